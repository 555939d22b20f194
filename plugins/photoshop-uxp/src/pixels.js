// The door to Photoshop's pixels: read as the bridge takes them, written as it gives them.
// Knows the imaging interface and its traps; every PhotoshopImageData is disposed of in here.
"use strict";

const { app, imaging } = require("photoshop");
const { area, height, intersection, reduction, width } = require("./geometry.js");
const { asProblem } = require("./problem.js");
const { alphaOf, surrounded, withChannels } = require("./samples.js");

const SRGB = "sRGB IEC61966-2.1";
const MASK_PROFILE = "Gray Gamma 2.2";
/** What 32-bit documents add to their profile's name; neither Photoshop nor the bridge takes it back. */
const LINEAR_SUFFIX = / ?\(Linear \w+ Profile\)$/;
/** Side of the small picture that tells whether a layer is still the same. */
const FINGERPRINT_SIDE = 64;

/**
 * @typedef {import("./geometry.js").Rect} Rect
 * @typedef {import("./host.js").Target} Target
 * @typedef {import("./protocol.js").Samples} Samples
 *
 * @typedef {object} Form how a target's pixels travel
 * @property {"RGB" | "Grayscale"} space
 * @property {string} [convertTo] a profile that Photoshop converts to; absent: the document's own, untouched
 * @property {8 | 16 | 32} bits
 * @property {1 | 3 | 4} channels
 * @property {string} profile its name, for the bridge and for writing
 * @property {boolean} hidesAlpha the layer has transparency that does not come with its pixels
 *
 * @typedef {{width: number, height: number, samples: Uint8Array, rect: Rect}} Look a reduced sRGB picture of `rect`
 */

/**
 * How a target's pixels travel, found by reading a small picture; and that picture, to compare with later.
 *
 * @param {Target} target
 * @param {{convert?: boolean}} [options] convert: to a profile that every bridge knows
 * @returns {Promise<{form: Form, fingerprint: Samples, reduced: boolean}>} `reduced`: only 8 bits could be read
 */
async function probe(target, { convert = false } = {}) {
  const gray = target.mode === "Grayscale";
  const space = gray ? "Grayscale" : "RGB";
  // Lab has no form on the wire: it travels in the widest RGB space, at 16 bits.
  const converted = convert || target.mode === "Lab";
  const convertTo = converted ? (gray ? MASK_PROFILE : "ProPhoto RGB") : undefined;
  const bits = converted && target.bits === 8 ? 16 : target.bits;
  const wanted = { space: /** @type {"RGB" | "Grayscale"} */ (space), convertTo };
  const targetSize = { width: Math.min(FINGERPRINT_SIDE, width(target.bounds)) };
  try {
    return { ...(await probeAt(target, { ...wanted, bits }, targetSize)), reduced: false };
  } catch (error) {
    if (bits === 8) throw asProblem(error);
    return { ...(await probeAt(target, { ...wanted, bits: 8 }, targetSize)), reduced: true };
  }
}

/**
 * @param {Target} target
 * @param {{space: "RGB" | "Grayscale", convertTo?: string, bits: 8 | 16 | 32}} wanted
 * @param {{width: number}} targetSize
 * @returns {Promise<{form: Form, fingerprint: Samples}>}
 */
async function probeAt(target, wanted, targetSize) {
  const { imageData } = await imaging.getPixels({ ...query(target, target.bounds, wanted), targetSize });
  try {
    const channels = wanted.space === "Grayscale" ? 1 : imageData.components === 4 ? 4 : 3;
    const hidesAlpha = channels === 1 && (await alphaThroughRgb(target, target.bounds, targetSize)) !== null;
    const profile = imageData.colorProfile.replace(LINEAR_SUFFIX, "");
    const facts = { channels: /** @type {1 | 3 | 4} */ (channels), profile, hidesAlpha };
    const form = { ...wanted, ...facts };
    return { form, fingerprint: await imageData.getData({ chunky: true, fullRange: true }) };
  } finally {
    imageData.dispose();
  }
}

/**
 * @param {Target} target
 * @param {Rect} rect
 * @param {{space: "RGB" | "Grayscale", convertTo?: string, bits: 8 | 16 | 32}} form
 */
function query(target, rect, form) {
  return {
    documentID: target.documentID,
    ...(target.layerID === null ? {} : { layerID: target.layerID }),
    sourceBounds: rect,
    colorSpace: form.space,
    ...(form.convertTo === undefined ? {} : { colorProfile: form.convertTo }),
    componentSize: form.bits,
  };
}

/**
 * Whether the layer looks as it did from afar; a level of a cached reduction may differ by a rounding. What is too small
 * to show here is noticed by the history and the pixels themselves (work.js, Photo).
 *
 * @param {Samples} before
 * @param {Samples} now
 */
function looksTheSame(before, now) {
  const tolerance = before instanceof Uint8Array ? 2 : before instanceof Uint16Array ? 600 : 0.01;
  return before.length === now.length && before.every((value, index) => Math.abs(value - now[index]) <= tolerance);
}

/**
 * Full-size pixels of a rectangle inside the target's bounds.
 *
 * @param {Target} target
 * @param {Form} form
 * @param {Rect} rect
 * @returns {Promise<Samples>} exactly `rect`, in `form.channels`; 16 bits as 0-65535
 */
async function readPixels(target, form, rect) {
  const { imageData, sourceBounds } = await imaging.getPixels(query(target, rect, form));
  try {
    const data = await imageData.getData({ chunky: true, fullRange: true });
    const got = { left: sourceBounds.left, top: sourceBounds.top, right: 0, bottom: 0 };
    got.right = got.left + imageData.width;
    got.bottom = got.top + imageData.height;
    if (area(got) === area(rect)) return withChannels(data, imageData.components, form.channels);
    // Photoshop trims to where pixels are; what it left out is transparent, in gray black with its alpha apart.
    const whole = form.channels === 1 ? 1 : 4;
    return withChannels(surrounded(withChannels(data, imageData.components, whole), got, rect, whole), whole, form.channels);
  } finally {
    imageData.dispose();
  }
}

/**
 * The transparency of a rectangle where that does not come with its pixels.
 *
 * @param {Target} target
 * @param {Form} form
 * @param {Rect} rect
 * @returns {Promise<Uint8Array | null>} 0-255; null: it came with the pixels, or there is none
 */
async function readHiddenAlpha(target, form, rect) {
  return form.hidesAlpha ? alphaThroughRgb(target, rect) : null;
}

/**
 * A reduced picture on white, for finding faces and for thumbnails.
 *
 * @param {Target} target
 * @param {Rect} rect
 * @param {number} pixels at most about this many
 * @returns {Promise<Look>}
 */
async function readLook(target, rect, pixels) {
  return withLook(target, rect, pixels, async (imageData, covered) => ({
    width: imageData.width,
    height: imageData.height,
    samples: /** @type {Uint8Array} */ (
      withChannels(await imageData.getData({ chunky: true }), imageData.components, 3)
    ),
    rect: covered,
  }));
}

/**
 * @param {Target} target
 * @param {Rect} rect
 * @param {number} pixels
 * @returns {Promise<string>} a JPEG as a data URL, for an <img>
 */
async function readThumbnail(target, rect, pixels) {
  const jpeg = await withLook(target, rect, pixels, (imageData) => imaging.encodeImageData({ imageData, base64: true }));
  return `data:image/jpeg;base64,${jpeg}`;
}

/**
 * @template T
 * @param {Target} target
 * @param {Rect} rect
 * @param {number} pixels
 * @param {(imageData: import("photoshop/dom/ImagingModule").imaging.PhotoshopImageData, covered: Rect) => Promise<T>} use
 */
async function withLook(target, rect, pixels, use) {
  const scale = reduction(rect, pixels);
  const { imageData, sourceBounds, level } = await imaging.getPixels({
    ...query(target, rect, { space: "RGB", convertTo: SRGB, bits: 8 }),
    applyAlpha: true,
    ...(scale < 1 ? { targetSize: { width: Math.max(1, Math.round(width(rect) * scale)) } } : {}),
  });
  try {
    // Bounds come in pixels of the cached level that was read.
    const step = 2 ** (level || 0);
    const { left, top, right, bottom } = sourceBounds;
    const covered = { left: left * step, top: top * step, right: right * step, bottom: bottom * step };
    return await use(imageData, step === 1 ? covered : intersection(covered, rect));
  } finally {
    imageData.dispose();
  }
}

/**
 * The selection as a mask over the part of the document that it touches.
 *
 * @param {Target} target
 * @returns {Promise<{rect: Rect, mask: Uint8Array} | null>} null: nothing is selected
 */
async function readSelection(target) {
  const document = Array.from(app.documents).find((open) => open.id === target.documentID);
  const bounds = document && document.selection ? document.selection.bounds : null;
  if (!bounds) return null;
  const rect = intersection(
    { left: Math.floor(bounds.left), top: Math.floor(bounds.top), right: Math.ceil(bounds.right), bottom: Math.ceil(bounds.bottom) },
    target.bounds,
  );
  if (area(rect) === 0) return { rect, mask: new Uint8Array(0) };
  const { imageData, sourceBounds } = await imaging.getSelection({ documentID: target.documentID, sourceBounds: rect });
  return { rect, mask: await maskOf(imageData, sourceBounds, rect) };
}

/**
 * What of a rectangle is shown by what was read: the layer's own masks, and the transparency where that does not
 * come with the pixels (gray documents).
 *
 * @param {Target} target
 * @param {Form} form
 * @param {Rect} rect
 * @param {("user" | "vector")[]} kinds of the masks
 * @returns {Promise<(Uint8Array | null)[]>} 0-255 each; null: all of it
 */
async function readOwnMasks(target, form, rect, kinds) {
  /** @type {(Uint8Array | null)[]} */
  const masks = [];
  const { documentID, layerID } = target;
  for (const kind of kinds) {
    if (layerID === null) break;
    const asked = { documentID, layerID, kind, sourceBounds: rect };
    const { imageData, sourceBounds } = await imaging.getLayerMask(asked);
    masks.push(await maskOf(imageData, sourceBounds, rect));
  }
  masks.push(await readHiddenAlpha(target, form, rect));
  return masks;
}

/**
 * Gray layers come without alpha even where they are transparent; asked for as RGB they bring it.
 *
 * @param {Target} target
 * @param {Rect} rect
 * @param {{width: number}} [targetSize] where only its being there matters
 */
async function alphaThroughRgb(target, rect, targetSize) {
  const asked = { ...query(target, rect, { space: "RGB", bits: 8 }), ...(targetSize ? { targetSize } : {}) };
  const { imageData, sourceBounds } = await imaging.getPixels(asked);
  try {
    const { left, top } = sourceBounds;
    const got = { left, top, right: left + imageData.width, bottom: top + imageData.height };
    const all = targetSize !== undefined || area(got) === area(rect);
    if (all && imageData.components !== 4) return null;
    const data = withChannels(await imageData.getData({ chunky: true }), imageData.components, 4);
    return alphaOf(all ? data : surrounded(data, got, rect, 4));
  } finally {
    imageData.dispose();
  }
}

/**
 * One-channel image data over exactly `rect`, in eight bits; 0 where Photoshop left it out.
 *
 * @param {import("photoshop/dom/ImagingModule").imaging.PhotoshopImageData} imageData
 * @param {{left: number, top: number}} origin
 * @param {Rect} rect
 */
async function maskOf(imageData, origin, rect) {
  try {
    const data = await imageData.getData({ chunky: true, fullRange: true });
    const scale = data instanceof Uint8Array ? 1 : data instanceof Uint16Array ? 255 / 65535 : 255;
    const mask = new Uint8Array(area(rect));
    for (let row = 0; row < imageData.height; row += 1) {
      const y = origin.top + row - rect.top;
      for (let column = 0; column < imageData.width; column += 1) {
        const x = origin.left + column - rect.left;
        if (x >= 0 && y >= 0 && x < width(rect) && y < height(rect))
          mask[y * width(rect) + x] = Math.round(data[row * imageData.width + column] * scale);
      }
    }
    return mask;
  } finally {
    imageData.dispose();
  }
}

/**
 * @param {Target} target
 * @param {Form} form
 * @param {number} layerID a new pixel layer
 * @param {Rect} rect
 * @param {Samples} samples in `form.channels`; 16 bits as 0-65535
 * @param {boolean} shaped what is below gives the layer its shape: its own alpha is not written
 */
async function writePixels(target, form, layerID, rect, samples, shaped) {
  const components = shaped && form.channels === 4 ? 3 : form.channels;
  const imageData = await imaging.createImageDataFromBuffer(withChannels(samples, form.channels, components), {
    width: width(rect),
    height: height(rect),
    components,
    chunky: true,
    colorSpace: form.space,
    colorProfile: form.profile,
    fullRange: true,
  });
  try {
    const place = { documentID: target.documentID, layerID, targetBounds: rect };
    await imaging.putPixels({ ...place, imageData, replace: false });
  } finally {
    imageData.dispose();
  }
}

/**
 * @param {Target} target
 * @param {number} layerID
 * @param {Rect} rect
 * @param {Uint8Array} mask 0-255
 * @param {boolean} first makes the layer's mask; later ones add to it
 */
async function writeMask(target, layerID, rect, mask, first) {
  const imageData = await imaging.createImageDataFromBuffer(mask, {
    width: width(rect),
    height: height(rect),
    components: 1,
    chunky: true,
    colorSpace: "Grayscale",
    colorProfile: MASK_PROFILE,
  });
  try {
    const place = { documentID: target.documentID, layerID, targetBounds: rect };
    await imaging.putLayerMask({ ...place, kind: "user", imageData, replace: first });
  } finally {
    imageData.dispose();
  }
}

module.exports = {
  looksTheSame,
  probe,
  readHiddenAlpha,
  readLook,
  readOwnMasks,
  readPixels,
  readSelection,
  readThumbnail,
  writeMask,
  writePixels,
};
