// The use case: one layer of one document, from the click to the new layers. Every effect is passed in.
//
// Kept by the tests: nothing waits for the bridge inside a modal command of a panel; the source layer is
// never written to; what is written is one step in the history or nothing; the user may go on working.
"use strict";

const { area, boxOf, intersection, moved, regionsOf, sameRect, strips } = require("./geometry.js");
const { findFaces } = require("./faces.js");
const { settle } = require("./far.js");
const { Problem } = require("./problem.js");
const { eightBits, product } = require("./samples.js");
const { Ledger, STRIP_PIXELS, inHost, restore } = require("./work.js");

/**
 * @typedef {import("./geometry.js").Rect} Rect
 * @typedef {import("./geometry.js").FaceOnLayer} FaceOnLayer
 * @typedef {import("./faces.js").FoundFace} FoundFace
 * @typedef {import("./host.js").Target} Target
 * @typedef {import("./pixels.js").Form} Form
 * @typedef {import("./protocol.js").Samples} Samples
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./work.js").Photo} Photo
 * @typedef {import("./work.js").Readable} Readable
 * @typedef {import("./work.js").Restored} Restored
 * @typedef {import("./cancellation.js").Cancellation} Cancellation
 *
 * @typedef {object} Tools
 * @property {typeof import("./host.js")} host
 * @property {typeof import("./pixels.js")} pixels
 * @property {import("./bridge.js").Bridge} bridge
 * @property {(key: string, values?: Record<string, string | number>) => string} say names layers in the user's language
 *
 * @typedef {FoundFace & {wanted?: boolean}} ChosenFace `strength` is the face's own, where it has one
 * @typedef {{target: Target, fingerprint: Samples, photo: Photo, faces: ChosenFace[]}} Found what Find faces gave, ticked
 *   by the user; `photo` was read where the faces are
 *
 * @typedef {object} Order
 * @property {number | null} documentID null: the active document
 * @property {Settings} settings
 * @property {Found | null} [found] used if the layer is still the same
 * @property {Cancellation} cancellation
 * @property {(stage: string, done: number, values?: Record<string, string | number>) => void} onProgress done: 0-1
 *
 * @typedef {object} Piece
 * @property {Restored} restored
 * @property {Readable | null} mask the feather; null: all of it
 * @property {number} weight 0-1, multiplied into the mask
 *
 * @typedef {{name: string, opacity: number, pieces: Piece[]}} PlannedLayer
 * @typedef {(source: Readable, rect: Rect, question: {params: object, faces?: object[], compose?: string}) => Promise<Restored>} Ask
 *
 * @typedef {object} Outcome
 * @property {number} documentID
 * @property {string} documentName
 * @property {number[]} shown layers to switch off and on for before and after; none if nothing was to be done
 * @property {number} found faces
 * @property {number} restored faces
 * @property {string[]} checkpoints that were at work
 * @property {number} seconds
 * @property {string[]} warnings keys of messages.js, or sentences of the bridge
 */

/**
 * @param {Tools} tools
 * @param {Order} order
 * @returns {Promise<Outcome>}
 * @throws {Problem} by name; the document is then as it was
 */
async function enhanceLayer(tools, order) {
  const ledger = new Ledger();
  try {
    return await captureAndWrite(tools, order, ledger);
  } finally {
    await settle(tools.bridge, ledger.errands);
  }
}

/**
 * @param {Tools} tools
 * @param {Order} order
 * @param {Ledger} ledger
 * @returns {Promise<Outcome>}
 */
async function captureAndWrite(tools, order, ledger) {
  const { settings, cancellation, onProgress } = order;
  const began = Date.now();
  cancellation.check();
  onProgress("capture", 0);
  const captured = await capture(tools, order);
  const { target } = captured;
  const asking = { cancellation, onWait: () => onProgress("waiting", 0.05) };
  const found = await facesFor(tools, order, captured, asking);
  const chosen = found.filter((face) => isWanted(face, settings, captured.selection));
  const { warnings, told, plan, photo, form, restored, checkpoints } = await worked(tools, order, captured, chosen, asking, ledger);
  let shown = /** @type {number[]} */ ([]);
  if (plan.length > 0) {
    onProgress("write", 0.9);
    const written = await write(tools, order, captured, form, photo, plan);
    shown = written.shown;
    if (!written.exact) warnings.push("covers_more");
  }
  onProgress("done", 1);
  return {
    documentID: target.documentID,
    documentName: target.documentName,
    shown,
    found: found.length,
    restored,
    checkpoints,
    seconds: (Date.now() - began) / 1000,
    warnings: [...warnings, ...told],
  };
}

/**
 * @typedef {object} Captured
 * @property {Target} target
 * @property {Form} form
 * @property {Samples} fingerprint
 * @property {{rect: Rect, mask: Uint8Array} | null} selection
 * @property {boolean} reduced
 */

/**
 * All that has to be known at the moment of the click, in one short modal command.
 *
 * @param {Tools} tools
 * @param {{documentID: number | null, settings: Settings, cancellation: Cancellation}} order
 * @returns {Promise<Captured>}
 */
function capture({ host, pixels }, { documentID, settings, cancellation }) {
  const read = async () => {
    const target = await host.targetOf(documentID, settings.source);
    const selection = await pixels.readSelection(target);
    if (selection && area(selection.rect) === 0) throw new Problem("selection_outside");
    return { target, selection, ...(await pixels.probe(target)) };
  };
  return host.modal("GPEN Enhance", read, cancellation);
}

/**
 * The faces that the user ticked, if the layer is still the one they were found on; else those found now.
 *
 * @param {Tools} tools
 * @param {Order} order
 * @param {Captured} captured
 * @param {import("./bridge.js").Asking} asking
 * @returns {Promise<ChosenFace[]>}
 */
async function facesFor(tools, { settings, found, onProgress }, captured, asking) {
  const { target } = captured;
  if (found && (await isStill(tools, found, captured, asking))) return found.faces;
  if (settings.parameters.strength === 0) return [];
  onProgress("find", 0.1);
  return findFaces(tools, target, asking);
}

/**
 * Whether faces lie where they were found.
 *
 * @param {Tools} tools
 * @param {Found} found
 * @param {Captured} captured
 * @param {import("./bridge.js").Asking} asking
 */
async function isStill({ host, pixels }, found, { target, fingerprint }, asking) {
  const before = found.target;
  if (before.documentID !== target.documentID || before.layerID !== target.layerID) return false;
  if (!sameRect(before.bounds, target.bounds) || !pixels.looksTheSame(found.fingerprint, fingerprint)) return false;
  if (before.history === target.history) return true;
  return host.modal("GPEN Enhance", () => found.photo.unchanged(asking), asking.cancellation);
}

/**
 * @param {ChosenFace} face
 * @param {Settings} settings
 * @param {Captured["selection"]} selection
 */
function isWanted(face, settings, selection) {
  const strength = strengthOf(face, settings);
  const selected = selection === null || area(intersection(boxOf(face), selection.rect)) > 0;
  return face.wanted !== false && strength > 0 && selected;
}

/** @param {ChosenFace} face @param {Settings} settings */
function strengthOf(face, settings) {
  return face.strength === undefined ? settings.parameters.strength : face.strength;
}

/**
 * The bridge's part; in a colour space that every bridge knows if it does not know the document's own.
 *
 * @param {Tools} tools
 * @param {Order} order
 * @param {Captured} captured
 * @param {ChosenFace[]} faces
 * @param {import("./bridge.js").Asking} asking
 * @param {Ledger} ledger
 */
async function worked(tools, order, captured, faces, asking, ledger) {
  const warnings = captured.reduced ? ["depth_reduced"] : [];
  try {
    return { ...(await layersFor(tools, order, captured, faces, asking, ledger)), warnings, form: captured.form };
  } catch (error) {
    const unknown = ["profile_unknown", "profile_invalid"].includes(/** @type {Problem} */ (error).code);
    if (!unknown || captured.form.convertTo) throw error;
  }
  const { target } = captured;
  const { pixels, host } = tools;
  const { form } = await host.modal("GPEN Enhance", () => pixels.probe(target, { convert: true }));
  warnings.push("profile_converted");
  return { ...(await layersFor(tools, order, { ...captured, form }, faces, asking, ledger)), warnings, form };
}

/**
 * From the bottom up: denoise and sharpen of the whole layer, then the faces, which are restored from
 * the picture as it then is, so that they match what is around them.
 *
 * @param {Tools} tools
 * @param {Order} order
 * @param {Captured} captured
 * @param {ChosenFace[]} faces
 * @param {import("./bridge.js").Asking} asking
 * @param {Ledger} ledger
 */
async function layersFor(tools, order, { target, form }, faces, asking, ledger) {
  const { denoise, sharpen, mode } = order.settings.parameters;
  /** @type {Ask} */
  const ask = (source, rect, question) => restore(tools.bridge, source, rect, form.profile, question, asking, ledger);
  const photo = inHost(tools, target, form, asking);
  if (denoise === 0 && sharpen === 0) return { photo, ...together(await faceLayers(tools, order, photo, faces, ask)) };
  order.onProgress("filter", 0.2);
  const whole = await ask(photo, photo.rect, { params: { strength: 0, denoise, sharpen, mode } });
  const name = tools.say("layer_filtered", { denoise, sharpen });
  const filtered = { name, opacity: 100, pieces: [{ restored: whole, mask: null, weight: 1 }] };
  return { photo, ...together([filtered, ...(await faceLayers(tools, order, whole.image, faces, ask))]) };
}

/**
 * One layer for all faces, or one for each. Faces whose parts of the photo meet are restored together.
 *
 * @param {Tools} tools
 * @param {Order} order
 * @param {Readable} source
 * @param {ChosenFace[]} faces
 * @param {Ask} ask
 * @returns {Promise<PlannedLayer[]>}
 */
async function faceLayers({ say }, { settings, onProgress }, source, faces, ask) {
  const each = settings.layers === "each";
  const params = { ...settings.parameters, denoise: 0, sharpen: 0 };
  const layers = each ? faces.map((face) => [face]) : faces.length > 0 ? [faces] : [];
  const regions = layers.map((members) => regionsOf(members, source.rect));
  const count = regions.flat().length;
  let number = 0;
  /** @type {PlannedLayer[]} */
  const plan = [];
  for (const [index, parts] of regions.entries()) {
    /** @type {Restored[]} */
    const answers = [];
    for (const { rect, faces: members } of parts) {
      onProgress("restore", 0.4 + (0.5 * number) / count, { number: (number += 1), count });
      const inside = members.map((face) => onWire(moved(face, { left: -rect.left, top: -rect.top })));
      answers.push(await ask(source, rect, { compose: "layers", params, faces: inside }));
    }
    // Each answer's mask is relative to its own strongest face; the layer has one opacity for all.
    const opacity = Math.max(...answers.map(({ result }) => result.opacity));
    const strength = Math.round(100 * opacity);
    const pieces = answers.map((restored) => ({ restored, mask: restored.mask, weight: restored.result.opacity / opacity }));
    const preset = say(`preset:${settings.preset}`);
    const name = each ? say("layer_face", { number: index + 1, strength }) : say("layer_faces", { preset, strength });
    plan.push({ name, opacity: strength, pieces });
  }
  return plan;
}

/**
 * A plan, and what its answers say.
 *
 * @param {PlannedLayer[]} plan
 */
function together(plan) {
  const answers = plan.flatMap((layer) => layer.pieces.map((piece) => piece.restored));
  const faces = answers.flatMap(({ result }) => result.faces).filter((face) => face.checkpoint);
  return {
    plan,
    restored: faces.length,
    checkpoints: [...new Set(faces.map((face) => face.checkpoint))].sort(),
    told: [...new Set(answers.flatMap(({ result }) => /** @type {string[]} */ (result.warnings || [])))],
  };
}

/** @param {FaceOnLayer} face */
function onWire({ box, landmarks, score, strength }) {
  return { box, landmarks, score, ...(strength === undefined ? {} : { strength }) };
}

/**
 * Everything in one modal command and one step of the history. Nothing here waits for the network to work.
 *
 * @param {Tools} tools
 * @param {Order} order
 * @param {Captured} captured
 * @param {Form} form in which the pixels travelled
 * @param {Photo} photo what the bridge was given
 * @param {PlannedLayer[]} plan
 * @returns {Promise<{shown: number[], exact: boolean}>} the layers to switch for before and after; `exact` as in Joint
 */
async function write({ host, pixels, say }, { settings, cancellation, onProgress }, captured, form, photo, plan) {
  const { target, selection } = captured;
  const title = say("history", { preset: say(`preset:${settings.preset}`) });
  cancellation.check();
  return host.modal(
    title,
    async (context) => {
      await host.checkStillThere(target);
      const { fingerprint } = await pixels.probe(target);
      const same = pixels.looksTheSame(captured.fingerprint, fingerprint);
      // A small retouch does not show in the small picture; work on other layers does not change this one.
      if (!same || (host.isTouched(target) && !(await photo.unchanged({ cancellation }))))
        throw new Problem("layer_changed", { values: { layer: target.documentName } });
      const joint = await host.jointOf(target, photo.opaque());
      const ownMasks = await ownMasksOf(pixels, target, form, joint, plan);
      /** @type {number[]} */
      const made = [];
      try {
        return await host.inOneStep(context, target.documentID, title, async () => {
          const groupName = plan.length > 1 ? title : null;
          const { layers, shown } = await host.createLayers(target, joint.clipped, plan, groupName, made);
          for (const [index, layer] of plan.entries()) {
            for (const [number, piece] of layer.pieces.entries()) {
              await writePiece(pixels, { target, form, selection, shaped: joint.shaped, ownMasks }, layers[index], piece, number === 0, cancellation);
              const share = (index + (number + 1) / layer.pieces.length) / plan.length;
              onProgress("write", 0.9 + 0.1 * share);
              context.reportProgress({ value: share });
            }
          }
          cancellation.check();
          return { shown, exact: joint.exact };
        });
      } catch (error) {
        if (!context.isCancelled) host.deleteLayers(target.documentID, made);
        throw error;
      }
    },
    cancellation,
  );
}

/** @typedef {(strip: Rect) => Promise<(Uint8Array | null)[]>} OwnMasks what the source shows of a strip by itself */

/**
 * What results must repeat of what the source shows by itself. All that is visible will soon hold the results too, so
 * there it is read before they are made.
 *
 * @param {typeof import("./pixels.js")} pixels
 * @param {Target} target
 * @param {Form} form
 * @param {import("./joint.js").Joint} joint
 * @param {PlannedLayer[]} plan
 * @returns {Promise<OwnMasks | null>} null: nothing
 */
async function ownMasksOf(pixels, target, form, { shaped, masks }, plan) {
  if (masks.length === 0 && (shaped || !form.hidesAlpha)) return null;
  /** @type {OwnMasks} */
  const read = (strip) => pixels.readOwnMasks(target, form, strip, masks);
  if (target.layerID !== null) return read;
  const pieces = plan.flatMap((layer) => layer.pieces);
  /** @type {Map<string, (Uint8Array | null)[]>} */
  const before = new Map();
  for (const strip of pieces.flatMap((piece) => strips(piece.restored.image.rect, STRIP_PIXELS)))
    before.set(JSON.stringify(strip), await read(strip));
  return async (strip) => before.get(JSON.stringify(strip)) || [];
}

/**
 * @param {typeof import("./pixels.js")} pixels
 * @param {{target: Target, form: Form, selection: Captured["selection"], shaped: boolean, ownMasks: OwnMasks | null}} place
 * @param {number} layerID
 * @param {Piece} piece
 * @param {boolean} first of its layer
 * @param {Cancellation} cancellation
 */
async function writePiece(pixels, { target, form, selection, shaped, ownMasks }, layerID, piece, first, cancellation) {
  const masked = piece.mask !== null || selection !== null || ownMasks !== null;
  let makesMask = first;
  for (const strip of strips(piece.restored.image.rect, STRIP_PIXELS)) {
    cancellation.check();
    await pixels.writePixels(target, form, layerID, strip, await piece.restored.image.read(strip), shaped);
    if (!masked) continue;
    const masks = ownMasks ? [...(await ownMasks(strip))] : [];
    if (selection) masks.push(selectionOver(selection, strip));
    if (piece.mask) {
      const feather = await piece.mask.read(strip);
      masks.push(eightBits(new Uint8Array(feather.buffer), piece.mask.depth, piece.weight));
    }
    const mask = masks.reduce(product, null) || new Uint8Array(area(strip)).fill(255);
    await pixels.writeMask(target, layerID, strip, mask, makesMask);
    makesMask = false;
  }
}

/**
 * @param {{rect: Rect, mask: Uint8Array}} selection
 * @param {Rect} rect
 * @returns {Uint8Array} 0-255 over `rect`
 */
function selectionOver(selection, rect) {
  const result = new Uint8Array(area(rect));
  const shared = intersection(selection.rect, rect);
  const [from, to] = [selection.rect.right - selection.rect.left, rect.right - rect.left];
  for (let y = shared.top; y < shared.bottom; y += 1) {
    const start = (y - selection.rect.top) * from + shared.left - selection.rect.left;
    const line = selection.mask.subarray(start, start + shared.right - shared.left);
    result.set(line, (y - rect.top) * to + shared.left - rect.left);
  }
  return result;
}

module.exports = { capture, enhanceLayer };
