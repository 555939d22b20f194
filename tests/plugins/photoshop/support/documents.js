"use strict";
// The fake's documents: layers, masks, selection and a history that can be suspended and rolled back.

const { FULL, Raster } = require("./raster.js");

const CHANNELS = { RGB: 4, Grayscale: 2, Lab: 4 };
const MODES = {
  RGB: "RGBColorMode",
  Grayscale: "grayscaleMode",
  Lab: "labColorMode",
  CMYK: "CMYKColorMode",
  Indexed: "indexedColorMode",
  Bitmap: "bitmapMode",
  Duotone: "duotoneMode",
  Multichannel: "multichannelMode",
};

let nextId = 100;

/** What of a document the history keeps. */
class State {
  constructor(layers, size, selection) {
    Object.assign(this, { layers, size, selection });
  }

  snapshot() {
    return new State(this.layers.map((layer) => copyNode(layer)), { ...this.size }, this.selection);
  }
}

function copyNode(node) {
  return {
    ...node,
    raster: node.raster && node.raster.clone(),
    masks: Object.fromEntries(Object.entries(node.masks).map(([kind, mask]) => [kind, mask.clone()])),
    children: node.children && node.children.map(copyNode),
  };
}

/** A layer as data; the plug-in sees a Layer that looks it up by its id. */
function node(facts) {
  return {
    id: (nextId += 1),
    name: "Layer",
    kind: "pixel",
    visible: true,
    opacity: 100,
    fillOpacity: 100,
    blendMode: facts.children ? "passThrough" : "normal", // as Photoshop makes them
    clipped: false,
    locked: false,
    background: false,
    artboard: null,
    masks: {},
    maskEnabled: true,
    raster: null,
    children: null,
    ...facts,
  };
}

class FakeDocument {
  constructor(world, { name = "Untitled", mode = "RGB", bits = 8, width, height, profile = "sRGB IEC61966-2.1" }) {
    this.world = world;
    this.id = nextId += 1;
    Object.assign(this, { name, bits, profile, colour: mode });
    this.state = new State([], { width, height }, null);
    this.active = [];
    this.history = [];
    this.suspension = null;
    this.record("Open");
  }

  // --- what tests use ---

  /** Puts a layer on top. `paint(x, y)` gives the host's own values, alpha last. */
  addLayer({ rect, paint, raster, parent, ...facts } = {}) {
    const made = node(facts);
    if (rect) {
      made.raster = new Raster(this.bits, CHANNELS[this.colour] || 4);
      made.raster.bounds = { ...rect };
      made.raster.procedure = paint;
      if (!facts.procedural && paint) {
        const values = made.raster.read(rect);
        made.raster.procedure = null;
        made.raster.bounds = null;
        made.raster.write(rect, values);
      }
    } else if (raster) made.raster = raster;
    (parent ? parent.children : this.state.layers).unshift(made);
    this.active = [made.id];
    this.record("Layer");
    return made;
  }

  addMask(layer, kind, rect, values) {
    const mask = new Raster(8, 1, this.world.maskOutside);
    mask.write(rect, values);
    layer.masks[kind] = mask;
    this.record("Mask");
  }

  select(rect, values = new Uint8Array((rect.right - rect.left) * (rect.bottom - rect.top)).fill(255)) {
    const mask = new Raster(8, 1);
    mask.write(rect, values);
    this.state.selection = mask;
    this.record("Selection");
  }

  /** Every layer, from the top down, also those in groups. */
  *nodes(layers = this.state.layers) {
    for (const one of layers) {
      yield one;
      if (one.children) yield* this.nodes(one.children);
    }
  }

  find(id) {
    for (const one of this.nodes()) if (one.id === id) return one;
    return null;
  }

  siblings(id, layers = this.state.layers) {
    if (layers.some((one) => one.id === id)) return layers;
    for (const one of layers) {
      const inside = one.children && this.siblings(id, one.children);
      if (inside) return inside;
    }
    return null;
  }

  parentOf(id, layers = this.state.layers, parent = null) {
    for (const one of layers) {
      if (one.id === id) return parent;
      const inside = one.children && this.parentOf(id, one.children, one);
      if (inside) return inside;
    }
    return null;
  }

  // --- history ---

  record(name) {
    if (this.suspension) return;
    this.history.push({ id: (nextId += 1), name, state: this.state.snapshot() });
  }

  suspend(name) {
    if (this.suspension) throw new Error("The history is suspended already.");
    this.suspension = { name, before: this.state.snapshot(), active: [...this.active] };
  }

  resume(commit) {
    const { before, name, active } = this.suspension;
    this.suspension = null;
    if (commit) this.record(name);
    else {
      this.state = before;
      this.active = active;
    }
  }

  undo() {
    this.history.pop();
    this.state = this.history[this.history.length - 1].state.snapshot();
  }

  // --- pixels ---

  /** A rectangle trimmed to where layers have pixels; of area 0 where none has. */
  extent(layers, rect) {
    const parts = [];
    const gather = (layer) => {
      const { bounds } = layer.raster || {};
      if (bounds)
        parts.push({
          left: Math.max(rect.left, bounds.left),
          top: Math.max(rect.top, bounds.top),
          right: Math.min(rect.right, bounds.right),
          bottom: Math.min(rect.bottom, bounds.bottom),
        });
      (layer.children || []).filter((child) => child.visible).forEach(gather);
    };
    layers.filter((layer) => layer.visible).forEach(gather);
    const met = parts.filter((part) => part.right > part.left && part.bottom > part.top);
    if (met.length === 0) return { ...rect, right: rect.left };
    const most = (side, choose) => choose(...met.map((part) => part[side]));
    return { left: most("left", Math.min), top: most("top", Math.min), right: most("right", Math.max), bottom: most("bottom", Math.max) };
  }

  /** Values of a layer as it lies, without masks; alpha last. */
  values(layer, rect) {
    if (layer.raster) return layer.raster.read(rect);
    return this.composited(layer.children || [], rect);
  }

  /** What the document shows. */
  composite(rect) {
    return this.composited(this.state.layers, rect);
  }

  composited(layers, rect) {
    const result = new Raster(this.bits, CHANNELS[this.colour] || 4).read(rect);
    const real = this.over(Float64Array.from(result), layers, rect);
    for (let i = 0; i < real.length; i += 1) result[i] = this.bits === 32 ? real[i] : Math.round(real[i]);
    return result;
  }

  /**
   * Layers over a picture. A clipping group is drawn by itself and has the shape, opacity and mode of its base; a
   * group that passes through is drawn onto what is below it, unless it is such a base.
   */
  over(below, layers, rect) {
    const upwards = [...layers].reverse();
    const drawn = (layer) => layer.visible && (layer.raster || layer.children);
    let picture = below;
    for (let index = 0; index < upwards.length; index += 1) {
      const base = upwards[index];
      const clipped = [];
      while (index + 1 < upwards.length && upwards[index + 1].clipped) clipped.push(upwards[(index += 1)]);
      if (!drawn(base)) continue;
      const share = this.coverage(base, rect);
      if (base.blendMode === "passThrough" && !clipped.some(drawn)) {
        picture = this.mixed(picture, this.over(Float64Array.from(picture), base.children, rect), share);
        continue;
      }
      const group = Float64Array.from(this.values(base, rect));
      for (const layer of clipped.filter(drawn)) this.blend(group, this.values(layer, rect), this.coverage(layer, rect), layer.blendMode, true);
      this.blend(picture, group, share, base.blendMode, false);
    }
    return picture;
  }

  /** Draws values onto a picture; with `inside` only where that has pixels, whose alpha stays. */
  blend(picture, values, share, mode, inside) {
    const channels = CHANNELS[this.colour] || 4;
    const [full, last] = [FULL[this.bits], channels - 1];
    for (let pixel = 0, at = 0; pixel < share.length; pixel += 1, at += channels) {
      const alpha = (share[pixel] * values[at + last]) / full;
      if (alpha === 0) continue;
      const below = inside ? 1 : picture[at + last] / full;
      const sum = alpha + below * (1 - alpha);
      for (let c = 0; c < last; c += 1) {
        const mixed = mode === "multiply" ? (1 - below) * values[at + c] + (below * values[at + c] * picture[at + c]) / full : values[at + c];
        picture[at + c] = (mixed * alpha + picture[at + c] * below * (1 - alpha)) / sum;
      }
      if (!inside) picture[at + last] = sum * full;
    }
  }

  /** Of two pictures as much of the second as the share of each pixel says. */
  mixed(first, second, share) {
    const channels = CHANNELS[this.colour] || 4;
    const last = channels - 1;
    return second.map((value, at) => {
      const part = share[Math.floor(at / channels)];
      if (part === 1) return value;
      const alphas = at - (at % channels) + last;
      const [a, b] = [first[alphas] * (1 - part), second[alphas] * part];
      if (at === alphas || a + b === 0) return a + b;
      return (first[at] * a + value * b) / (a + b);
    });
  }

  /** How much of a layer its opacity, fill and masks let through, 0-1 a pixel. */
  coverage(layer, rect) {
    const share = new Float64Array((rect.right - rect.left) * (rect.bottom - rect.top)).fill((layer.opacity * layer.fillOpacity) / 10000);
    if (layer.maskEnabled)
      for (const mask of Object.values(layer.masks)) {
        const values = mask.read(rect);
        for (let i = 0; i < share.length; i += 1) share[i] *= values[i] / FULL[mask.bits];
      }
    return share;
  }
}

module.exports = { CHANNELS, FakeDocument, MODES, node };
