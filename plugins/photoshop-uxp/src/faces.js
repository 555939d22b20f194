// Finding faces: a look at the reduced layer, then a closer one at each face that the first saw too small.
"use strict";

const { area, boxOf, intersection, moved, reduction, union, width, height } = require("./geometry.js");
const { unlessCancelled } = require("./work.js");

/** The first look: enough for faces of 24 pixels in a photo of 100 megapixels. */
const LOOK_PIXELS = 12e6;
/** The second: a face of 500 pixels, whose five points are then exact to a pixel or two. */
const CLOSE_PIXELS = 1e6;
/** Faces seen at this size or more need no second look. */
const SEEN_WELL = 200;
const SMALLEST_FACE = 24; // the bridge's own default, in pixels of the photo
const SMALLEST_ASKED = 8; // the least that the bridge takes

/**
 * @typedef {import("./geometry.js").Rect} Rect
 * @typedef {import("./geometry.js").FaceOnLayer} FaceOnLayer
 * @typedef {import("./host.js").Target} Target
 * @typedef {import("./pixels.js").Look} Look
 * @typedef {FaceOnLayer & {size: number, quality?: {grade: string}, suggested_preset?: string}} FoundFace
 */

/**
 * The faces of a layer, largest first, in pixels of the document.
 *
 * @param {import("./enhance.js").Tools} tools
 * @param {Target} target
 * @param {import("./bridge.js").Asking} asking
 * @returns {Promise<FoundFace[]>}
 */
async function findFaces(tools, target, asking) {
  const look = await takeLook(tools, target, target.bounds, LOOK_PIXELS);
  const found = await facesIn(tools, look, asking);
  /** @type {FoundFace[]} */
  const faces = [];
  for (const face of found) faces.push(await closer(tools, target, look, face, asking));
  return faces;
}

/**
 * @param {import("./enhance.js").Tools} tools
 * @param {Target} target
 * @param {Rect} rect
 * @param {number} pixels
 */
function takeLook({ host, pixels: door }, target, rect, pixels) {
  return host.modal("GPEN Enhance", () => door.readLook(target, rect, pixels));
}

/**
 * @param {import("./enhance.js").Tools} tools
 * @param {Look} look
 * @param {import("./bridge.js").Asking} asking
 * @returns {Promise<FoundFace[]>}
 */
async function facesIn({ bridge }, look, asking) {
  const [scaleX, scaleY] = [width(look.rect) / look.width, height(look.rect) / look.height];
  const picture = {
    width: look.width,
    height: look.height,
    channels: /** @type {3} */ (3),
    depth: /** @type {"u8"} */ ("u8"),
    fill: async (/** @type {Uint8Array} */ content) => content.set(look.samples),
  };
  const question = { min_size: Math.max(SMALLEST_ASKED, SMALLEST_FACE / Math.max(scaleX, scaleY)) };
  const told = await unlessCancelled(() => bridge.faces(picture, question, asking), asking);
  const change = { scaleX, scaleY, left: look.rect.left, top: look.rect.top };
  return told.faces.map((/** @type {FoundFace} */ face) => ({ ...moved(face, change), size: face.size * scaleX }));
}

/**
 * The same face with the points of a closer look, if that sees it.
 *
 * @param {import("./enhance.js").Tools} tools
 * @param {Target} target
 * @param {Look} look
 * @param {FoundFace} face
 * @param {import("./bridge.js").Asking} asking
 */
async function closer(tools, target, look, face, asking) {
  const seen = (face.size * look.width) / width(look.rect);
  if (look.width === width(look.rect) || seen >= SEEN_WELL) return face;
  const box = boxOf(face);
  const room = intersection(around(box), target.bounds);
  if (reduction(room, CLOSE_PIXELS) * width(room) <= (look.width / width(look.rect)) * width(room)) return face;
  const close = await takeLook(tools, target, room, CLOSE_PIXELS);
  const candidates = await facesIn(tools, close, asking);
  const same = candidates
    .map((candidate) => ({ candidate, share: overlap(boxOf(candidate), box) }))
    .sort((a, b) => b.share - a.share)[0];
  return same && same.share > 0.4 ? same.candidate : face;
}

/** @param {Rect} box @returns {Rect} as the detector likes it: the face with half its size on every side */
function around(box) {
  const [x, y] = [Math.round(width(box) / 2), Math.round(height(box) / 2)];
  return { left: box.left - x, top: box.top - y, right: box.right + x, bottom: box.bottom + y };
}

/** @param {Rect} a @param {Rect} b @returns {number} intersection over union */
function overlap(a, b) {
  const shared = area(intersection(a, b));
  return shared / (area(a) + area(b) - shared || area(union(a, b)));
}

module.exports = { around, findFaces };
