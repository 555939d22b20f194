// One rectangle of a layer to the bridge and back, without more of it in memory than need be.
"use strict";

const { area, height, strips, width } = require("./geometry.js");
const { restoreFar } = require("./far.js");
const { bytesOf, samplesOf, BYTES_PER_SAMPLE } = require("./protocol.js");
const { isOpaque, sumOf } = require("./samples.js");

/** Pixels of a strip: read, converted and written at once; small enough not to freeze the panel. */
const STRIP_PIXELS = 2e6;
/**
 * Photoshop warns from 600 MB a plug-in. A rectangle whose question and answer take more than NEAR_BYTES,
 * or whose answer no longer fits beside those that wait to be written, goes by upload and job.
 */
const NEAR_BYTES = 160e6;
const WAITING_BYTES = 240e6;

/**
 * @typedef {import("./geometry.js").Rect} Rect
 * @typedef {import("./protocol.js").Samples} Samples
 * @typedef {import("./protocol.js").Depth} Depth
 * @typedef {import("./bridge.js").Asking} Asking
 * @typedef {import("./bridge.js").Part} Part
 * @typedef {import("./pixels.js").Form} Form
 *
 * @typedef {object} Readable pixels that lie somewhere: in the layer, in memory, on the bridge
 * @property {Rect} rect
 * @property {1 | 3 | 4} channels
 * @property {Depth} depth
 * @property {(part: Rect) => Promise<Samples>} read of a rectangle inside `rect`
 *
 * @typedef {object} Witness what is remembered of all that was read of a layer
 * @property {() => boolean} opaque nothing below shows through it
 * @property {(asking: Asking) => Promise<boolean>} unchanged it is still the same, bit for bit; inside of a modal command
 * @typedef {Readable & Witness} Photo a layer
 *
 * @typedef {object} Restored
 * @property {Record<string, any>} result as the bridge's frame has it
 * @property {Readable} image
 * @property {Readable | null} mask
 */

/** What the answers of one run hold until they are written: memory here, jobs on the bridge. */
class Ledger {
  constructor() {
    this.bytes = 0;
    /** @type {import("./far.js").Errand[]} */
    this.errands = [];
  }

  /**
   * Whether a rectangle fits; if so its answer counts from now on.
   *
   * @param {Rect} rect
   * @param {number} channels
   * @param {Depth} depth
   */
  takes(rect, channels, depth) {
    const question = area(rect) * channels * BYTES_PER_SAMPLE[depth];
    const answer = question + area(rect) * BYTES_PER_SAMPLE[depth];
    if (question + answer > NEAR_BYTES || this.bytes + answer > WAITING_BYTES) return false;
    this.bytes += answer;
    return true;
  }
}

/** @type {Record<number, Depth>} */
const DEPTHS = { 8: "u8", 16: "u16", 32: "f32" };

/**
 * Ask the bridge for a rectangle: in one request if it fits into memory, else by upload and job.
 *
 * @param {import("./bridge.js").Bridge} bridge
 * @param {Readable} source
 * @param {Rect} rect inside the source's
 * @param {string} profile
 * @param {{params: object, faces?: object[], compose?: string}} question as `/v1/enhance` takes it,
 *   coordinates relative to `rect`
 * @param {Asking} asking
 * @param {Ledger} ledger
 * @returns {Promise<Restored>}
 */
async function restore(bridge, source, rect, profile, question, asking, ledger) {
  if (!ledger.takes(rect, source.channels, source.depth))
    return restoreFar(bridge, source, rect, profile, question, asking, STRIP_PIXELS, ledger.errands);
  const picture = {
    width: width(rect),
    height: height(rect),
    channels: source.channels,
    depth: source.depth,
    profile,
    fill: (/** @type {Uint8Array} */ content) => copyInto(content, source, rect, asking),
  };
  const { result, parts } = await unlessCancelled(() => bridge.enhance(picture, question, asking), asking);
  const mask = parts.mask ? inMemory(parts.mask, rect) : null;
  return { result, image: inMemory(parts.image, rect), mask };
}

/**
 * @param {Uint8Array} content
 * @param {Readable} source
 * @param {Rect} rect
 * @param {Asking} asking
 */
async function copyInto(content, source, rect, { cancellation }) {
  let offset = 0;
  for (const strip of strips(rect, STRIP_PIXELS)) {
    if (cancellation) cancellation.check();
    const bytes = bytesOf(await source.read(strip));
    content.set(bytes, offset);
    offset += bytes.length;
  }
}

/**
 * @param {Part} part
 * @param {Rect} rect
 * @returns {Readable}
 */
function inMemory({ payload, content }, rect) {
  const channels = /** @type {1 | 3 | 4} */ (payload.channels);
  const depth = /** @type {Depth} */ (payload.depth);
  const pixelBytes = channels * BYTES_PER_SAMPLE[depth];
  const rowBytes = width(rect) * pixelBytes;
  return {
    rect,
    channels,
    depth,
    read: async (part) => {
      const first = (part.top - rect.top) * rowBytes + (part.left - rect.left) * pixelBytes;
      if (width(part) === width(rect)) return samplesOf(content.subarray(first, first + height(part) * rowBytes), depth);
      const bytes = new Uint8Array(area(part) * pixelBytes);
      for (let row = 0; row < height(part); row += 1) {
        const start = first + row * rowBytes;
        bytes.set(content.subarray(start, start + width(part) * pixelBytes), row * width(part) * pixelBytes);
      }
      return samplesOf(bytes, depth);
    },
  };
}

/**
 * A layer as it lies in Photoshop. Each read is a short modal command of its own.
 *
 * @param {import("./enhance.js").Tools} tools
 * @param {import("./host.js").Target} target
 * @param {Form} form
 * @param {Asking} asking
 * @returns {Photo}
 */
function inHost({ host, pixels }, target, form, { cancellation }) {
  let opaque = true;
  /** @type {{part: Rect, sum: string}[]} */
  const seen = [];
  /** @param {Rect} part */
  const look = async (part) => {
    const samples = await pixels.readPixels(target, form, part);
    const alpha = await pixels.readHiddenAlpha(target, form, part);
    return { samples, alpha, sum: `${sumOf(samples)} ${alpha && sumOf(alpha)}` };
  };
  /** @param {Rect} part */
  const read = async (part) => {
    const { samples, alpha, sum } = await look(part);
    seen.push({ part, sum });
    opaque = opaque && (alpha ? alpha.every((value) => value === 255) : form.channels !== 4 || isOpaque(samples));
    return samples;
  };
  return {
    rect: target.bounds,
    channels: form.channels,
    depth: DEPTHS[form.bits],
    read: (part) => host.modal("GPEN Enhance", () => read(part), cancellation),
    opaque: () => opaque,
    unchanged: async (now) => {
      for (const { part, sum } of seen) {
        if (now.cancellation) now.cancellation.check();
        if ((await look(part)).sum !== sum) return false;
      }
      return true;
    },
  };
}

/**
 * Do it, unless it is cancelled before or after: what comes late is not used.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @param {Asking} asking
 */
async function unlessCancelled(work, { cancellation }) {
  if (cancellation) cancellation.check();
  const result = await work();
  if (cancellation) cancellation.check();
  return result;
}

module.exports = { Ledger, STRIP_PIXELS, inHost, unlessCancelled, restore };
