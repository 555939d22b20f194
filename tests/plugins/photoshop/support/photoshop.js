"use strict";
// A fake `photoshop` module with a real pixel store, that models what trips plug-ins up: regions trimmed to
// where pixels are, 3 or 4 components, cached pyramid levels, 16 bits as 0-32768, use after dispose, the
// busy error 9, calls that throw after a cancel, histories to be suspended and resumed in pairs, refusals
// that resolve, and changes outside of a modal scope.

const { converter } = require("./colour.js");
const { CHANNELS, MODES, node } = require("./documents.js");
const { FULL, KINDS, Raster } = require("./raster.js");

const SPACES = { RGB: 3, Grayscale: 1, Lab: 3 };
const LINEAR = { RGB: " (Linear RGB Profile)", Grayscale: " (Linear Gray Profile)", Lab: "" };
const WORKING = { RGB: "sRGB IEC61966-2.1", Grayscale: "Gray Gamma 2.2", Lab: "Lab D50" };

/** @param {import("./world.js").World} world */
function photoshopModule(world) {
  const inScope = () => {
    world.calls += 1;
    if (world.scopes.some((scope) => scope.isCancelled)) throw new Error("User cancelled the operation.");
  };
  const changing = () => {
    inScope();
    if (world.scopes.length === 0)
      throw new Error("Event: operation may modify the state of Photoshop; only allowed from inside a modal scope");
  };

  // --- the DOM ---

  class Layer {
    constructor(document, id) {
      Object.assign(this, { _document: document, id });
    }
    get _node() {
      const found = this._document.find(this.id);
      if (!found) throw new Error(`There is no layer ${this.id}.`);
      return found;
    }
    get name() { return this._node.name; }
    set name(name) { changing(); this._node.name = name; this._document.record("Rename"); }
    get kind() { return this._node.kind; }
    get visible() { return this._node.visible; }
    set visible(visible) { changing(); this._node.visible = visible; this._document.record("Layer Visibility"); }
    get opacity() { return this._node.opacity; }
    set opacity(opacity) { changing(); this._node.opacity = opacity; this._document.record("Opacity"); }
    get fillOpacity() { return this._node.fillOpacity; }
    get blendMode() { return this._node.blendMode; }
    get isClippingMask() { return this._node.clipped; }
    set isClippingMask(clipped) { changing(); this._node.clipped = clipped; this._document.record("Clipping Mask"); }
    get isBackgroundLayer() { return this._node.background; }
    get locked() { return this._node.locked; }
    get parent() {
      const parent = this._document.parentOf(this.id);
      return parent && new Layer(this._document, parent.id);
    }
    get layers() {
      const { children } = this._node;
      return children && children.map((child) => new Layer(this._document, child.id));
    }
    get boundsNoEffects() {
      const rects = [];
      const gather = (one) => {
        if (one.raster && one.raster.bounds) rects.push(one.raster.bounds);
        (one.children || []).forEach(gather);
      };
      gather(this._node);
      if (rects.length === 0) return { left: 0, top: 0, right: 0, bottom: 0, width: 0, height: 0 };
      return {
        left: Math.min(...rects.map((r) => r.left)),
        top: Math.min(...rects.map((r) => r.top)),
        right: Math.max(...rects.map((r) => r.right)),
        bottom: Math.max(...rects.map((r) => r.bottom)),
      };
    }
    get bounds() { return this._node.artboard || this.boundsNoEffects; }
    move(relative, placement) {
      changing();
      const document = this._document;
      const moved = this._node;
      document.siblings(this.id).splice(document.siblings(this.id).indexOf(moved), 1);
      const other = relative._node;
      if (placement === "placeInside") {
        if (!other.children) throw new Error("Only a group takes layers inside.");
        other.children.unshift(moved);
      } else if (placement === "placeBefore") {
        const siblings = document.siblings(other.id);
        siblings.splice(siblings.indexOf(other), 0, moved);
      } else throw new Error(`The fake does not know ${placement}.`);
      document.record("Move");
    }
    delete() {
      changing();
      const siblings = this._document.siblings(this.id);
      siblings.splice(siblings.indexOf(this._node), 1);
      this._document.record("Delete");
    }
  }

  class Document {
    constructor(document) {
      this._document = document;
    }
    get id() { return this._document.id; }
    get name() { return this._document.name; }
    get width() { return this._document.state.size.width; }
    get height() { return this._document.state.size.height; }
    get mode() { return MODES[this._document.colour]; }
    get bitsPerChannel() { return `bitDepth${this._document.bits}`; }
    get colorProfileName() { return this._document.profile; }
    get layers() { return this._document.state.layers.map((one) => new Layer(this._document, one.id)); }
    get activeLayers() { return this._document.active.map((id) => new Layer(this._document, id)); }
    get activeHistoryState() { return { id: this._document.history.at(-1).id }; }
    get artboards() {
      return this._document.state.layers.filter((one) => one.artboard).map((one) => new Layer(this._document, one.id));
    }
    get selection() {
      const { selection } = this._document.state;
      return { bounds: selection ? { ...selection.bounds } : null };
    }
    async createPixelLayer({ name = "Layer", opacity = 100 } = {}) {
      changing();
      if (world.activeDocument !== this._document) throw new Error("Only the active document takes new layers.");
      const document = this._document;
      const made = node({ name, opacity, raster: new Raster(document.bits, CHANNELS[document.colour]) });
      const active = document.active.length > 0 ? document.find(document.active[0]) : null;
      const siblings = active ? document.siblings(active.id) : document.state.layers;
      siblings.splice(active ? siblings.indexOf(active) : 0, 0, made);
      document.active = [made.id];
      document.record("New Layer");
      return new Layer(document, made.id);
    }
    async groupLayers(layers) {
      changing();
      const document = this._document;
      const nodes = layers.map((layer) => layer._node);
      const siblings = document.siblings(nodes[0].id);
      const ordered = siblings.filter((one) => nodes.includes(one));
      const group = node({ name: "Group", kind: "group", children: ordered });
      siblings.splice(siblings.indexOf(ordered[0]), 0, group);
      for (const one of ordered) siblings.splice(siblings.indexOf(one), 1);
      document.active = [group.id];
      document.record("Group");
      return new Layer(document, group.id);
    }
    async duplicate(name, merged) {
      changing();
      const copy = world.open({ name, mode: this._document.colour, bits: this._document.bits, width: this.width, height: this.height, profile: this._document.profile });
      world.duplicated.push({ name, merged });
      return new Document(copy);
    }
    async changeMode(mode) {
      changing();
      this._document.colour = Object.keys(MODES).find((name) => MODES[name] === mode);
      this._document.record("Mode");
    }
  }

  const app = {
    get documents() { return world.documents.map((document) => new Document(document)); },
    get activeDocument() { return new Document(world.activeDocument); },
    set activeDocument(document) { changing(); world.activeDocument = document._document; },
  };

  // --- imaging ---

  class ImageData {
    constructor({ values, width, height, components, colorSpace, colorProfile, bits }) {
      Object.assign(this, { _values: values, width, height, components, colorSpace, colorProfile, componentSize: bits });
      this.hasAlpha = components === 2 || components === 4;
      this.isChunky = true;
      this.type = "image/uncompressed";
      world.held(values.byteLength);
    }
    async getData({ chunky = true, fullRange = false } = {}) {
      world.calls += 1;
      if (!this._values) throw new Error("The image data was disposed.");
      if (!chunky) throw new Error("The fake gives chunky data only.");
      world.measure();
      const copy = this._values.slice();
      if (this.componentSize === 16 && fullRange)
        for (let i = 0; i < copy.length; i += 1) copy[i] = Math.round((copy[i] * 65535) / 32768);
      return copy;
    }
    dispose() {
      if (!this._values) throw new Error("The image data was disposed twice.");
      world.held(-this._values.byteLength);
      this._values = null;
    }
  }

  const documentFor = (id) => {
    const found = id === undefined ? world.activeDocument : world.documents.find((one) => one.id === id);
    if (!found) throw new Error(`There is no document ${id}.`);
    return found;
  };
  const layerFor = (document, id) => {
    const found = document.find(id);
    if (!found) throw new Error(`There is no layer ${id}.`);
    return found;
  };
  const known = (options, names) => {
    for (const name of Object.keys(options)) if (!names.includes(name)) throw new Error(`Unknown option ${name}.`);
  };

  const imaging = {
    async getPixels(options) {
      inScope();
      known(options, ["documentID", "layerID", "historyStateID", "sourceBounds", "targetSize", "colorSpace", "colorProfile", "componentSize", "applyAlpha"]);
      const document = documentFor(options.documentID);
      if (!(document.colour in SPACES)) throw new Error("Error. Code: -25000");
      const bits = options.componentSize > 0 ? options.componentSize : document.bits;
      if (world.refusedDepths.has(bits)) throw new Error("Error. Code: -1");
      const layer = options.layerID === undefined ? null : layerFor(document, options.layerID);
      const canvas = { left: 0, top: 0, right: document.state.size.width, bottom: document.state.size.height };
      const where = layer ? new Layer(document, layer.id).boundsNoEffects : canvas;
      const rect = document.extent(layer ? [layer] : document.state.layers, meet(options.sourceBounds || where, where));
      if (rect.right <= rect.left || rect.bottom <= rect.top) throw new Error("The requested region has no pixels.");
      const space = options.colorSpace || document.colour;
      const own = document.profile + (document.bits === 32 ? LINEAR[document.colour] : "");
      const asked = options.colorProfile || (space === document.colour ? document.profile : WORKING[space]);
      const profile = asked + (bits === 32 ? LINEAR[space] : "");
      const scaled = scaledRead(document, layer, rect, options.targetSize);
      const opaque = layer ? layer.background : document.state.layers.some((one) => one.background && one.visible);
      const converted = convert(document, scaled.values, { own, profile, space, bits, opaque, onWhite: options.applyAlpha });
      world.reads.push({ layerID: options.layerID, rect, space, profile, bits, modal: world.scopes.length > 0 });
      return {
        imageData: new ImageData({ ...converted, width: scaled.width, height: scaled.height, colorSpace: space, colorProfile: profile, bits }),
        sourceBounds: scaled.bounds,
        level: scaled.level,
      };
    },

    async putPixels(options) {
      changing();
      known(options, ["documentID", "layerID", "imageData", "replace", "targetBounds", "commandName"]);
      const document = documentFor(options.documentID);
      const layer = layerFor(document, options.layerID);
      if (layer.kind !== "pixel" || layer.background) throw new Error("The target layer must be a pixel layer.");
      const { imageData } = options;
      if (!imageData._values) throw new Error("The image data was disposed.");
      if (options.replace !== false) layer.raster = new Raster(document.bits, CHANNELS[document.colour]);
      const { left, top } = options.targetBounds || { left: 0, top: 0 };
      const rect = { left, top, right: left + imageData.width, bottom: top + imageData.height };
      const own = document.profile + (document.bits === 32 ? LINEAR[document.colour] : "");
      const from = (imageData.colorProfile || document.profile) + (imageData.componentSize === 32 ? LINEAR[imageData.colorSpace] : "");
      layer.raster.write(rect, stored(document, imageData, converter(from, own)));
      world.measure();
      world.writes.push({ layerID: layer.id, rect, profile: imageData.colorProfile });
      document.record(options.commandName || "Put Pixels");
    },

    async getLayerMask(options) {
      inScope();
      known(options, ["documentID", "layerID", "kind", "sourceBounds", "targetSize"]);
      const layer = layerFor(documentFor(options.documentID), options.layerID);
      const mask = layer.masks[options.kind || "user"];
      if (!mask) throw new Error("The layer has no such mask.");
      return oneChannel(mask, options.sourceBounds || mask.bounds);
    },

    async putLayerMask(options) {
      changing();
      known(options, ["documentID", "layerID", "imageData", "kind", "replace", "targetBounds", "commandName"]);
      const document = documentFor(options.documentID);
      const layer = layerFor(document, options.layerID);
      const { imageData } = options;
      if (imageData.components !== 1 || imageData.colorSpace !== "Grayscale") throw new Error("A mask has one gray component.");
      if (options.replace !== false) layer.masks.user = new Raster(imageData.componentSize, 1, world.maskOutside);
      if (!layer.masks.user) throw new Error("There is no mask to add to.");
      const { left, top } = options.targetBounds || { left: 0, top: 0 };
      layer.masks.user.write({ left, top, right: left + imageData.width, bottom: top + imageData.height }, imageData._values);
      document.record("Put Layer Mask");
    },

    async getSelection(options) {
      inScope();
      const { selection } = documentFor(options.documentID).state;
      if (!selection) throw new Error("Nothing is selected.");
      return oneChannel(selection, meet(options.sourceBounds || selection.bounds, selection.bounds));
    },

    async createImageDataFromBuffer(buffer, options) {
      world.calls += 1;
      known(options, ["width", "height", "components", "chunky", "colorProfile", "colorSpace", "fullRange"]);
      const bits = Number(Object.keys(KINDS).find((size) => buffer instanceof KINDS[size]));
      if (!bits) throw new Error("The buffer is of no known kind.");
      if (buffer.length !== options.width * options.height * options.components) throw new Error("The buffer has the wrong length.");
      if (/Linear/.test(options.colorProfile || "")) throw new Error("Invalid color profile.");
      const values = buffer.slice();
      if (bits === 16)
        for (let i = 0; i < values.length; i += 1) {
          if (options.fullRange) values[i] = Math.round((values[i] * 32768) / 65535);
          else if (values[i] > 32768) throw new Error("A 16-bit value is beyond 32768.");
        }
      return new ImageData({ ...options, values, bits });
    },

    async encodeImageData({ imageData, base64 }) {
      world.calls += 1;
      if (imageData.colorSpace !== "RGB" || !base64) throw new Error("Only RGB to base64.");
      return world.encodePicture(imageData);
    },
  };

  function oneChannel(raster, bounds) {
    const { left, top, right, bottom } = bounds;
    const values = raster.read(bounds);
    return {
      imageData: new ImageData({ values, width: right - left, height: bottom - top, components: 1, colorSpace: "Grayscale", colorProfile: "Gray Gamma 2.2", bits: raster.bits }),
      sourceBounds: { left, top, right, bottom },
    };
  }

  /**
   * A region, reduced where a target size asks for it; bounds then are those of the pyramid level.
   * Layers that are computed rather than stored are sampled at single points.
   */
  function scaledRead(document, layer, rect, targetSize) {
    const [fullWidth, fullHeight] = [rect.right - rect.left, rect.bottom - rect.top];
    const read = (part) => (layer ? document.values(layer, part) : document.composite(part));
    const width = (targetSize && targetSize.width) || (targetSize && Math.round((fullWidth * targetSize.height) / fullHeight)) || fullWidth;
    const height = (targetSize && targetSize.height) || Math.max(1, Math.round((fullHeight * width) / fullWidth));
    if (width === fullWidth && height === fullHeight) return { values: read(rect), width, height, bounds: { ...rect }, level: 0 };
    const level = Math.max(0, Math.min(world.pyramidLevels, Math.floor(Math.log2(fullWidth / width))));
    const step = 2 ** level;
    const channels = CHANNELS[document.colour];
    const values = new KINDS[document.bits](width * height * channels);
    const procedure = layer && layer.raster && layer.raster.procedure;
    for (let y = 0; procedure && y < height; y += 1) {
      const row = Math.floor(rect.top + ((y + 0.5) * fullHeight) / height);
      for (let x = 0; x < width; x += 1) values.set(procedure(Math.floor(rect.left + ((x + 0.5) * fullWidth) / width), row), (y * width + x) * channels);
    }
    for (let y = 0; !procedure && y < height; y += 1) {
      const rows = spread(rect.top, (y * fullHeight) / height, fullHeight / height);
      const line = rows.map((row) => read({ left: rect.left, right: rect.right, top: row, bottom: row + 1 }));
      for (let x = 0; x < width; x += 1) {
        const columns = spread(0, (x * fullWidth) / width, fullWidth / width);
        for (let c = 0; c < channels; c += 1) {
          let sum = 0;
          for (const values_ of line) for (const column of columns) sum += values_[column * channels + c];
          const average = sum / (rows.length * columns.length);
          values[(y * width + x) * channels + c] = document.bits === 32 ? average : Math.round(average);
        }
      }
    }
    const bounds = {
      left: Math.floor(rect.left / step),
      top: Math.floor(rect.top / step),
      right: Math.ceil(rect.right / step),
      bottom: Math.ceil(rect.bottom / step),
    };
    return { values, width, height, bounds, level };
  }

  /** Values of a document in another space, profile and depth; alpha as the host gives it. */
  function convert(document, values, { own, profile, space, bits, opaque, onWhite }) {
    const channels = CHANNELS[document.colour];
    const colours = channels - 1;
    const convertColour = converter(own, profile);
    const bare = onWhite || opaque || space !== "RGB"; // gray and Lab come without alpha, also where it matters
    const components = SPACES[space] + (bare ? 0 : 1);
    const count = values.length / channels;
    if (!convertColour && bits === document.bits && components === channels) return { values, components };
    if (!convertColour && !onWhite && bits === document.bits) return { values: regrouped(values, channels, components, 0), components };
    const result = new KINDS[bits](count * components);
    const [from, to] = [FULL[document.bits], FULL[bits]];
    for (let pixel = 0; pixel < count; pixel += 1) {
      const alpha = values[pixel * channels + colours] / from;
      let colour = [];
      for (let c = 0; c < colours; c += 1) colour.push(values[pixel * channels + c] / from);
      if (convertColour) colour = convertColour(colour);
      if (onWhite) colour = colour.map((value) => value * alpha + 1 - alpha);
      for (let c = 0; c < SPACES[space]; c += 1) result[pixel * components + c] = rounded(colour[c] * to, bits);
      if (!bare) result[pixel * components + SPACES[space]] = rounded(alpha * to, bits);
    }
    return { values: result, components };
  }

  /** Image data as a document stores it. */
  function stored(document, imageData, convertColour) {
    const channels = CHANNELS[document.colour];
    const { components, componentSize, _values: values } = imageData;
    const colours = SPACES[imageData.colorSpace];
    const count = values.length / components;
    if (!convertColour && componentSize === document.bits) return regrouped(values, components, channels, FULL[document.bits]);
    const result = new KINDS[document.bits](count * channels);
    const [from, to] = [FULL[componentSize], FULL[document.bits]];
    for (let pixel = 0; pixel < count; pixel += 1) {
      let colour = [];
      for (let c = 0; c < colours; c += 1) colour.push(values[pixel * components + c] / from);
      if (convertColour) colour = convertColour(colour);
      for (let c = 0; c < channels - 1; c += 1) result[pixel * channels + c] = rounded(colour[c] * to, document.bits);
      const alpha = components > colours ? values[pixel * components + colours] / from : 1;
      result[pixel * channels + channels - 1] = rounded(alpha * to, document.bits);
    }
    return result;
  }

  // --- modal scopes ---

  async function executeAsModal(work, { commandName, timeOut }) {
    if (!commandName) throw new Error("commandName is required.");
    void timeOut;
    if (world.busy) throw Object.assign(new Error("host is in a modal state"), { number: 9 });
    const scope = { isCancelled: false, onCancel: null, suspended: [], commandName };
    world.scopes.push(scope);
    const context = contextOf(scope);
    let failed = true;
    try {
      const value = await work(context, {});
      if (scope.isCancelled) throw new Error("User cancelled.");
      failed = false;
      return value;
    } finally {
      world.scopes.splice(world.scopes.indexOf(scope), 1);
      for (const document of scope.suspended) if (document.suspension) document.resume(!failed && !scope.isCancelled);
    }
  }

  function contextOf(scope) {
    return {
      get isCancelled() { return scope.isCancelled; },
      set onCancel(listener) { scope.onCancel = listener; },
      reportProgress({ value }) { world.progress.push(value); },
      hostControl: {
        async suspendHistory({ documentID, name }) {
          inScope();
          const document = documentFor(documentID);
          if (world.nestedHistory) return 4294967295;
          document.suspend(name);
          scope.suspended.push(document);
          return document.id;
        },
        async resumeHistory(suspension, commit) {
          inScope();
          if (suspension === 4294967295) {
            if (commit) throw new Error("The history belongs to the Action.");
            return;
          }
          documentFor(suspension).resume(commit);
        },
      },
    };
  }

  const action = {
    async batchPlay(descriptors) {
      inScope();
      return descriptors.map((descriptor) => {
        const [target, owner] = descriptor._target;
        const document = owner ? documentFor(owner._id) : world.activeDocument;
        const found = document.find(target._id);
        if (!found) return { _obj: "error", message: "The object is not currently available.", result: -25922 };
        if (descriptor._obj === "get")
          return {
            hasUserMask: "user" in found.masks,
            ...("user" in found.masks ? { userMaskEnabled: found.maskEnabled } : {}),
            hasVectorMask: "vector" in found.masks,
          };
        if (descriptor._obj === "select") {
          changing();
          document.active = [target._id];
          return {};
        }
        return { _obj: "error", message: `The fake does not know ${descriptor._obj}.`, result: -1 };
      });
    },
    async recordAction(step, info) {
      if (info === undefined) throw new Error("Argument 2 is missing");
      if (world.recording) world.recording.push({ ...step, info: JSON.parse(JSON.stringify(info)) });
    },
  };

  const core = { executeAsModal, showAlert: async ({ message }) => void world.alerts.push(message) };
  const constants = {
    DocumentMode: { RGB: MODES.RGB, GRAYSCALE: MODES.Grayscale, LAB: MODES.Lab },
    ChangeMode: { RGB: MODES.RGB },
    ElementPlacement: { PLACEBEFORE: "placeBefore", PLACEINSIDE: "placeInside" },
  };
  world.contextOf = contextOf;
  return { app, action, constants, core, imaging };
}

const meet = (a, b) => ({
  left: Math.max(a.left, b.left),
  top: Math.max(a.top, b.top),
  right: Math.min(a.right ?? a.left + a.width, b.right),
  bottom: Math.min(a.bottom ?? a.top + a.height, b.bottom),
});
/** The same values with alpha dropped, or added with the value given. */
function regrouped(values, from, to, added) {
  if (from === to) return values.slice();
  const result = new values.constructor((values.length / from) * to);
  for (let read = 0, write = 0; read < values.length; read += from, write += to)
    for (let c = 0; c < to; c += 1) result[write + c] = c < from ? values[read + c] : added;
  return result;
}
const rounded = (value, bits) => (bits === 32 ? value : Math.min(FULL[bits], Math.max(0, Math.round(value))));
/** Up to three whole positions that stand for a span. */
function spread(origin, start, length) {
  const first = Math.floor(start);
  const last = Math.max(first, Math.ceil(start + length) - 1);
  const all = last - first < 3 ? [first, first + 1, first + 2].filter((at) => at <= last) : [first, (first + last) >> 1, last];
  return all.map((at) => origin + at);
}

module.exports = { photoshopModule };
