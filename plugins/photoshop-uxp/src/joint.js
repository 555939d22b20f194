// How results join the layers around them: laid over their source, or clipped. Pure.
//
// Laid over a source that is translucent or blended, a result would cover what the source does not. The layers of a
// clipping group take shape, masks, opacity and mode from its base, so there the result is clipped to its source.
"use strict";

/** Kinds of layers that have no pixels of their own. */
const WITHOUT_PIXELS = new Set([
  "blackAndWhite", "brightnessContrast", "channelMixer", "colorBalance", "colorLookup", "curves", "exposure",
  "gradientMap", "hueSaturation", "inversion", "levels", "photoFilter", "posterize", "selectiveColor",
  "threshold", "vibrance",
]);
/** Blend modes as Photoshop's constants write them. */
const [NORMAL, PASS_THROUGH] = ["normal", "passThrough"];

/**
 * @typedef {object} LayerFacts what is asked of a layer
 * @property {string} kind
 * @property {boolean} visible
 * @property {boolean} isBackgroundLayer
 * @property {boolean} isClippingMask
 * @property {number} opacity 0-100
 * @property {number} fillOpacity 0-100
 * @property {string} blendMode
 * @property {Iterable<LayerFacts> | null} layers of a group
 *
 * @typedef {object} Joint
 * @property {boolean} clipped results belong to a clipping group
 * @property {boolean} shaped its base is the source
 * @property {("user" | "vector")[]} masks the source's own masks, where results must repeat them
 * @property {boolean} exact false: the source is translucent or blended, and results cannot take that from it
 */

/**
 * @param {LayerFacts} source
 * @param {object} more
 * @param {boolean} more.opaque its pixels are
 * @param {("user" | "vector")[]} more.masks those that are on
 * @param {boolean} more.isBase layers are clipped to it already
 * @returns {Joint}
 */
function jointFor(source, { opaque, masks, isBase }) {
  const plain = opaque && masks.length === 0 && coversFully(source);
  if (source.isClippingMask) return { clipped: true, shaped: false, masks, exact: plain };
  if (isBase || (!plain && canBeBase(source))) return { clipped: true, shaped: true, masks: [], exact: true };
  return { clipped: false, shaped: false, masks, exact: plain };
}

/**
 * Whether opacity, fill and mode let a layer hide what is below it.
 *
 * @param {LayerFacts} layer
 */
function coversFully(layer) {
  if (layer.isBackgroundLayer) return true;
  return layer.opacity === 100 && layer.fillOpacity === 100 && [NORMAL, PASS_THROUGH].includes(layer.blendMode);
}

/**
 * Whether clipping to a layer leaves the layer as it looks. The base of a clipping group is drawn by itself first;
 * a group that passes through must not hold anything that works on what is below the group.
 *
 * @param {LayerFacts} layer
 * @returns {boolean}
 */
function canBeBase({ blendMode, layers }) {
  if (blendMode !== PASS_THROUGH) return true;
  return Array.from(layers || [])
    .filter((inside) => inside.visible && !inside.isClippingMask)
    .every((inside) => [NORMAL, PASS_THROUGH].includes(inside.blendMode) && !WITHOUT_PIXELS.has(inside.kind) && canBeBase(inside));
}

module.exports = { WITHOUT_PIXELS, jointFor };
