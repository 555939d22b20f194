// The door to Photoshop's documents, layers and history. Pixels go through pixels.js; nobody else
// knows Photoshop. Facts leave as plain values, because the user works on while the bridge does.
"use strict";

const { action, app, constants, core } = require("photoshop");
const { area, intersection, sameRect } = require("./geometry.js");
const { WITHOUT_PIXELS, jointFor } = require("./joint.js");
const { Problem, asProblem } = require("./problem.js");

const BUSY = 9;
/** What suspendHistory may give while an Action with its own suspended history plays. */
const NESTED_HISTORY = 4294967295;
/** Seconds that Photoshop retries when another plug-in is modal (25.10 and later; ignored before). */
const RETRY_SECONDS = 5;

/**
 * @typedef {import("./geometry.js").Rect} Rect
 * @typedef {import("./joint.js").Joint} Joint
 * @typedef {import("./cancellation.js").Cancellation} Cancellation
 * @typedef {import("photoshop/dom/Document").Document} Document
 * @typedef {import("photoshop/dom/Layer").Layer} Layer
 * @typedef {import("photoshop/dom/CoreModules").ExecutionContext} ExecutionContext
 *
 * @typedef {object} Target what is worked on
 * @property {number} documentID
 * @property {string} documentName
 * @property {number} history the document's state in its history when the target was taken
 * @property {number | null} layerID null: all that is visible
 * @property {number} besideID the layer that results are placed by
 * @property {"above" | "inside" | "top"} place
 * @property {"RGB" | "Grayscale" | "Lab"} mode
 * @property {8 | 16 | 32} bits
 * @property {Rect} canvas
 * @property {Rect} bounds where the layer has pixels, cut to the canvas
 */

/** @type {Record<string, "RGB" | "Grayscale" | "Lab">} */
const MODES = {
  [constants.DocumentMode.RGB]: "RGB",
  [constants.DocumentMode.GRAYSCALE]: "Grayscale",
  [constants.DocumentMode.LAB]: "Lab",
};

/** The open documents, the active one first. */
function openDocuments() {
  const active = app.documents.length > 0 ? app.activeDocument.id : null;
  const all = Array.from(app.documents, (document) => ({ id: document.id, name: document.name }));
  return all.sort((a, b) => Number(b.id === active) - Number(a.id === active));
}

/**
 * What is to be worked on, or why it cannot be.
 *
 * @param {number | null} documentID null: the active document
 * @param {"layer" | "visible"} source
 * @returns {Promise<Target>}
 * @throws {Problem} `no_document`, `mode_unsupported`, `no_layer`, `many_layers`, `layer_hidden`,
 *   `layer_without_pixels`, `layer_empty`, `layer_outside`
 */
async function targetOf(documentID, source) {
  const document = documentID === null ? activeDocument() : documentOf(documentID);
  const mode = MODES[document.mode];
  if (mode === undefined)
    throw new Problem("mode_unsupported", { values: { mode: modeName(document.mode), document: document.name } });
  const canvas = { left: 0, top: 0, right: document.width, bottom: document.height };
  const history = document.activeHistoryState.id;
  const facts = { documentID: document.id, documentName: document.name, history, mode, bits: bitsOf(document), canvas };
  if (source === "visible") {
    const besideID = document.layers[0].id;
    return { ...facts, layerID: null, besideID, place: "top", bounds: canvas };
  }
  const layer = chosenLayer(document);
  const artboard = artboardOf(document, layer);
  const room = artboard ? intersection(canvas, rectOf(artboard.bounds)) : canvas;
  return {
    ...facts,
    layerID: layer.id,
    besideID: layer.id,
    place: artboard && artboard.id === layer.id ? "inside" : "above",
    bounds: boundsWithPixels(layer, room),
  };
}

function activeDocument() {
  if (app.documents.length === 0) throw new Problem("no_document");
  return app.activeDocument;
}

/** @param {number} id */
function documentOf(id) {
  const document = Array.from(app.documents).find((open) => open.id === id);
  if (document === undefined) throw new Problem("document_closed");
  return document;
}

/** @param {string} mode as Photoshop writes it: "CMYKColorMode" */
function modeName(mode) {
  const name = mode.replace(/(Color)?Mode$/, "");
  return name[0].toUpperCase() + name.slice(1);
}

/**
 * @param {Document} document
 * @returns {8 | 16 | 32}
 */
function bitsOf(document) {
  return /** @type {8 | 16 | 32} */ (Number(/\d+$/.exec(document.bitsPerChannel)));
}

/** @param {Document} document */
function chosenLayer(document) {
  const chosen = document.activeLayers;
  if (chosen.length === 0) throw new Problem("no_layer");
  if (chosen.length > 1) throw new Problem("many_layers", { values: { count: chosen.length } });
  const layer = chosen[0];
  const values = { layer: layer.name };
  for (let above = /** @type {Layer | null} */ (layer); above; above = above.parent)
    if (!above.visible) throw new Problem("layer_hidden", { values });
  if (WITHOUT_PIXELS.has(layer.kind)) throw new Problem("layer_without_pixels", { values });
  return layer;
}

/**
 * @param {Layer} layer
 * @param {Rect} room
 */
function boundsWithPixels(layer, room) {
  const whole = rectOf(layer.boundsNoEffects);
  if (area(whole) === 0) throw new Problem("layer_empty", { values: { layer: layer.name } });
  const bounds = intersection(whole, room);
  if (area(bounds) === 0) throw new Problem("layer_outside", { values: { layer: layer.name } });
  return bounds;
}

/** @param {{left: number, top: number, right: number, bottom: number}} bounds @returns {Rect} */
function rectOf({ left, top, right, bottom }) {
  return { left: Math.floor(left), top: Math.floor(top), right: Math.ceil(right), bottom: Math.ceil(bottom) };
}

/**
 * The artboard that a layer is, or lies on.
 *
 * @param {Document} document
 * @param {Layer} layer
 */
function artboardOf(document, layer) {
  const boards = Array.from(document.artboards);
  for (let above = /** @type {Layer | null} */ (layer); above; above = above.parent) {
    const board = boards.find((one) => above !== null && one.id === above.id);
    if (board) return board;
  }
  return null;
}

/**
 * How results join the layers around them, as these are now.
 *
 * @param {Target} target
 * @param {boolean} opaque the source's pixels are
 * @returns {Promise<Joint>}
 */
async function jointOf(target, opaque) {
  if (target.place !== "above") return { clipped: false, shaped: false, masks: [], exact: opaque };
  const document = documentOf(target.documentID);
  const layer = /** @type {Layer} */ (layerOf(document, target.besideID));
  const masks = await masksOf(document.id, layer.id);
  return jointFor(layer, { opaque, masks, isBase: isBase(layer, document) });
}

/**
 * Whether the layer above is clipped to this one.
 *
 * @param {Layer} layer
 * @param {Document} document
 */
function isBase(layer, document) {
  const siblings = Array.from((layer.parent && layer.parent.layers) || document.layers);
  const above = siblings[siblings.findIndex((one) => one.id === layer.id) - 1];
  return above !== undefined && above.isClippingMask;
}

/**
 * @param {number} documentID
 * @param {number} layerID
 * @returns {Promise<("user" | "vector")[]>}
 */
async function masksOf(documentID, layerID) {
  const [told] = await play([
    {
      _obj: "get",
      _target: [{ _ref: "layer", _id: layerID }, { _ref: "document", _id: documentID }],
    },
  ]);
  /** @type {("user" | "vector")[]} */
  const masks = [];
  if (told.hasUserMask && told.userMaskEnabled !== false) masks.push("user");
  if (told.hasVectorMask && told.vectorMaskEnabled !== false) masks.push("vector");
  return masks;
}

/**
 * batchPlay resolves even when Photoshop refuses: each result has to be looked at.
 *
 * @param {import("photoshop/dom/CoreModules").ActionDescriptor[]} descriptors
 * @returns {Promise<Record<string, any>[]>}
 */
async function play(descriptors) {
  const results = await action.batchPlay(descriptors, {});
  for (const result of results)
    if (result._obj === "error")
      throw result.result === -128
        ? new Problem("cancelled")
        : new Problem("host_failed", { values: { detail: String(result.message) } });
  return results;
}

/**
 * Run something as Photoshop's one modal command. Never wait for the bridge in here from a panel.
 *
 * @template T
 * @param {string} commandName
 * @param {(context: ExecutionContext) => Promise<T>} work
 * @param {Cancellation} [cancellation] Esc and Cancel in Photoshop's own progress bar set it
 * @returns {Promise<T>}
 * @throws {Problem} `host_busy`, `cancelled`, or what `work` threw
 */
async function modal(commandName, work, cancellation) {
  /** @type {{value: T} | null} */
  let done = null;
  let stopped = false;
  try {
    await core.executeAsModal(
      async (context) => {
        context.onCancel = () => {
          stopped = true;
          if (cancellation) cancellation.cancel();
        };
        if (context.isCancelled) stopped = true;
        done = { value: await work(context) };
      },
      { commandName, timeOut: RETRY_SECONDS },
    );
  } catch (error) {
    if (stopped) throw new Problem("cancelled");
    const { number, message } = /** @type {{number?: number, message?: string}} */ (error || {});
    if (number === BUSY) throw new Problem("host_busy", { detail: message, retryable: true });
    throw asProblem(error);
  }
  return /** @type {{value: T}} */ (/** @type {unknown} */ (done)).value;
}

/**
 * Everything that `work` does becomes one step in the history, or leaves none.
 *
 * @template T
 * @param {ExecutionContext} context
 * @param {number} documentID
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function inOneStep(context, documentID, name, work) {
  const suspension = await context.hostControl.suspendHistory({ documentID, name });
  let result;
  try {
    result = await work();
  } catch (error) {
    // After a cancel even this call throws; leaving the scope with an exception rolls back as well.
    await context.hostControl.resumeHistory(suspension, false).catch(() => {});
    throw error;
  }
  try {
    await context.hostControl.resumeHistory(suspension, true);
  } catch (error) {
    if (Number(suspension) !== NESTED_HISTORY) throw error; // else the playing Action closes the step
  }
  return result;
}

/**
 * Whether anything was done in the document since the target was taken, on whatever layer.
 *
 * @param {Target} target
 */
function isTouched(target) {
  return documentOf(target.documentID).activeHistoryState.id !== target.history;
}

/**
 * Throws unless the target is still what it was.
 *
 * @param {Target} target
 */
async function checkStillThere(target) {
  const document = documentOf(target.documentID);
  const changed = new Problem("document_changed", { values: { document: target.documentName } });
  const { right, bottom } = target.canvas;
  if (document.width !== right || document.height !== bottom) throw changed;
  if (MODES[document.mode] !== target.mode || bitsOf(document) !== target.bits) throw changed;
  const layer = layerOf(document, target.besideID);
  if (layer === null) throw new Problem("layer_gone");
  if (target.layerID === null) return;
  const artboard = artboardOf(document, layer);
  const room = artboard ? intersection(target.canvas, rectOf(artboard.bounds)) : target.canvas;
  const bounds = boundsWithPixels(layer, room);
  if (!sameRect(bounds, target.bounds)) throw new Problem("layer_changed", { values: { layer: layer.name } });
}

/**
 * @param {Document} document
 * @param {number} id
 * @returns {Layer | null}
 */
function layerOf(document, id) {
  /** @param {Iterable<Layer> | null} layers @returns {Layer | null} */
  const search = (layers) => {
    for (const layer of layers || []) {
      const found = layer.id === id ? layer : search(layer.layers);
      if (found) return found;
    }
    return null;
  };
  return search(document.layers);
}

/**
 * New, empty layers for a target, the first at the bottom; in a group of their own if a name is given.
 *
 * @param {Target} target
 * @param {boolean} clipped
 * @param {{name: string, opacity: number}[]} wanted opacity 0-100
 * @param {string | null} groupName
 * @param {number[]} made gets the id of everything that was made, as it is made
 * @returns {Promise<{layers: number[], shown: number[]}>} ids; `shown` are those to switch for before and after
 */
async function createLayers(target, clipped, wanted, groupName, made) {
  const document = documentOf(target.documentID);
  if (app.activeDocument.id !== document.id) app.activeDocument = document;
  const { ElementPlacement } = constants;
  const source = /** @type {Layer} */ (layerOf(document, target.besideID));
  const chosen = Array.from(document.activeLayers, (layer) => layer.id);
  /** @type {Layer[]} */
  const results = [];
  for (const { name, opacity } of wanted) {
    const layer = await document.createPixelLayer({ name, opacity });
    if (!layer) throw new Problem("host_failed", { values: { detail: "createPixelLayer" } });
    made.push(layer.id);
    const below = results.length > 0 ? results[results.length - 1] : source;
    const inside = results.length === 0 && target.place === "inside";
    layer.move(below, inside ? ElementPlacement.PLACEINSIDE : ElementPlacement.PLACEBEFORE);
    if (clipped) layer.isClippingMask = true;
    results.push(layer);
  }
  const layers = results.map((layer) => layer.id);
  // A group cannot be clipped in every version, so clipped results stay side by side.
  const group = groupName === null || clipped ? null : await document.groupLayers(results);
  if (group) made.push(group.id);
  if (group && groupName !== null) group.name = groupName;
  // Enhancing again, with other settings, is to start from the photo and not from this result.
  if (chosen.length === 1) await play([{ _obj: "select", _target: [{ _ref: "layer", _id: chosen[0] }], makeVisible: false }]);
  return { layers, shown: group ? [group.id] : layers };
}

/**
 * Take back what a failed write left where the history could not be rolled back.
 *
 * @param {number} documentID
 * @param {number[]} layerIDs
 */
function deleteLayers(documentID, layerIDs) {
  const document = Array.from(app.documents).find((open) => open.id === documentID);
  for (const id of layerIDs) {
    const layer = document && layerOf(document, id);
    if (layer) layer.delete();
  }
}

/**
 * @param {number} documentID
 * @param {number[]} layerIDs those that are gone are passed over
 * @param {boolean} visible
 */
async function show(documentID, layerIDs, visible) {
  await modal("GPEN Enhance", async () => {
    const document = documentOf(documentID);
    for (const id of layerIDs) {
      const layer = layerOf(document, id);
      if (layer) layer.visible = visible;
    }
  });
}

/**
 * A flattened RGB copy of a document that GPEN cannot work on as it is. The user asked for it.
 *
 * @param {string} name
 */
async function duplicateAsRgb(name) {
  await modal("GPEN Enhance", async () => {
    const copy = await activeDocument().duplicate(name, true);
    await copy.changeMode(constants.ChangeMode.RGB);
  });
}

module.exports = {
  checkStillThere,
  createLayers,
  deleteLayers,
  duplicateAsRgb,
  inOneStep,
  isTouched,
  jointOf,
  modal,
  openDocuments,
  show,
  targetOf,
};
