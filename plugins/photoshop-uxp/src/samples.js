// Pixel buffers: alpha added and dropped, masks brought to eight bits. Pure, and given strips, not photos:
// Photoshop has no second thread, so a long loop would freeze the panel.
"use strict";

const { samplesOf } = require("./protocol.js");

/**
 * @typedef {import("./protocol.js").Samples} Samples
 * @typedef {import("./protocol.js").Depth} Depth
 */

/** @type {Record<Depth, number>} */
const FULL = { u8: 255, u16: 65535, f32: 1 };

/**
 * @param {Samples} samples
 * @returns {Depth}
 */
function depthOf(samples) {
  if (samples instanceof Uint8Array) return "u8";
  return samples instanceof Uint16Array ? "u16" : "f32";
}

/**
 * @template {Samples} S
 * @param {S} like
 * @param {number} length
 * @returns {S} zeros of the same kind
 */
function blankLike(like, length) {
  const Kind = /** @type {new (length: number) => S} */ (/** @type {unknown} */ (like.constructor));
  return new Kind(length);
}

/**
 * The same pixels with another number of channels: opaque alpha is added, or alpha dropped.
 *
 * @param {Samples} samples
 * @param {number} from 1, 3 or 4
 * @param {number} to the same, or 3 and 4
 * @returns {Samples}
 */
function withChannels(samples, from, to) {
  if (from === to) return samples;
  if (!((from === 3 && to === 4) || (from === 4 && to === 3))) throw new RangeError(`${from} channels to ${to}`);
  const count = samples.length / from;
  const result = blankLike(samples, count * to);
  const full = FULL[depthOf(samples)];
  for (let pixel = 0, read = 0, write = 0; pixel < count; pixel += 1, read += from, write += to) {
    result[write] = samples[read];
    result[write + 1] = samples[read + 1];
    result[write + 2] = samples[read + 2];
    if (to === 4) result[write + 3] = full;
  }
  return result;
}

/**
 * @param {Samples} samples four channels
 * @returns {Uint8Array} alpha, 0-255
 */
function alphaOf(samples) {
  const scale = 255 / FULL[depthOf(samples)];
  const alpha = new Uint8Array(samples.length / 4);
  for (let pixel = 0; pixel < alpha.length; pixel += 1) alpha[pixel] = Math.round(samples[4 * pixel + 3] * scale);
  return alpha;
}

/**
 * @param {Samples} samples four channels
 * @returns {boolean} whether alpha is full everywhere
 */
function isOpaque(samples) {
  const full = FULL[depthOf(samples)];
  for (let at = 3; at < samples.length; at += 4) if (samples[at] < full) return false;
  return true;
}

/**
 * A number that tells pixels apart (FNV-1a, by words of 32 bits): two that differ have the same by an accident in
 * four thousand million.
 *
 * @param {Samples} samples
 * @returns {number}
 */
function sumOf(samples) {
  const { buffer, byteOffset, byteLength } = samples.byteOffset % 4 === 0 ? samples : samples.slice();
  const count = byteLength >> 2;
  let sum = 0x811c9dc5;
  for (const word of new Uint32Array(buffer, byteOffset, count)) sum = Math.imul(sum ^ word, 0x01000193);
  for (const byte of new Uint8Array(buffer, byteOffset + 4 * count, byteLength & 3)) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum;
}

/**
 * A rectangle of a picture into a larger one of zeros.
 *
 * @param {Samples} samples of `inner`
 * @param {import("./geometry.js").Rect} inner lies in `outer`
 * @param {import("./geometry.js").Rect} outer
 * @param {number} channels
 * @returns {Samples} of `outer`
 */
function surrounded(samples, inner, outer, channels) {
  const [width, wide] = [inner.right - inner.left, outer.right - outer.left];
  const result = blankLike(samples, channels * wide * (outer.bottom - outer.top));
  for (let row = inner.top; row < inner.bottom; row += 1) {
    const line = samples.subarray(channels * width * (row - inner.top), channels * width * (row - inner.top + 1));
    result.set(line, channels * (wide * (row - outer.top) + inner.left - outer.left));
  }
  return result;
}

/**
 * A mask of any depth in the eight bits of a layer mask.
 *
 * @param {Uint8Array} bytes
 * @param {Depth} depth
 * @param {number} weight 0-1, multiplied in
 * @returns {Uint8Array} 0-255
 */
function eightBits(bytes, depth, weight) {
  const samples = samplesOf(bytes, depth);
  const scale = (255 / FULL[depth]) * weight;
  const mask = new Uint8Array(samples.length);
  for (let index = 0; index < mask.length; index += 1) mask[index] = Math.round(samples[index] * scale);
  return mask;
}

/**
 * Both masks must let a pixel through.
 *
 * @param {Uint8Array | null} first 0-255; null: all
 * @param {Uint8Array | null} second
 * @returns {Uint8Array | null}
 */
function product(first, second) {
  if (first === null || second === null) return first || second;
  return first.map((value, index) => Math.round((value * second[index]) / 255));
}

module.exports = { alphaOf, depthOf, eightBits, isOpaque, product, sumOf, surrounded, withChannels };
