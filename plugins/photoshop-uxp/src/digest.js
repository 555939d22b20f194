// SHA-256 (FIPS 180-4) and HMAC (RFC 2104), for the bridge's proof: Photoshop is not known to have crypto.subtle.
"use strict";

const { encodeUtf8 } = require("./utf8.js");

const BLOCK = 64;

/**
 * The first 32 bits of the fractional parts of roots of the first primes.
 *
 * @param {number} count
 * @param {(prime: number) => number} root
 */
function fractions(count, root) {
  /** @type {number[]} */
  const primes = [];
  for (let candidate = 2; primes.length < count; candidate += 1)
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  return Uint32Array.from(primes, (prime) => Math.floor((root(prime) % 1) * 2 ** 32));
}

const ROUND = fractions(64, (prime) => prime ** (1 / 3));
const START = fractions(8, (prime) => prime ** (1 / 2));

/** @param {number} word @param {number} by */
const rotated = (word, by) => (word >>> by) | (word << (32 - by));

/**
 * @param {Uint8Array} bytes
 * @returns {Uint8Array} 32 bytes
 */
function digest(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0);
  const state = START.slice();
  const w = new Int32Array(64);
  for (let from = 0; from < padded.length; from += BLOCK) {
    for (let index = 0; index < 16; index += 1) w[index] = view.getInt32(from + 4 * index);
    for (let index = 16; index < 64; index += 1) {
      const [early, late] = [w[index - 15], w[index - 2]];
      const s0 = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
      const s1 = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
      w[index] = w[index - 16] + s0 + w[index - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let index = 0; index < 64; index += 1) {
      const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
      const first = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[index] + w[index]) | 0;
      const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
      const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] += word));
  }
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => out.setUint32(4 * index, word));
  return new Uint8Array(out.buffer);
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {Uint8Array} head @param {Uint8Array} tail */
function joined(head, tail) {
  const out = new Uint8Array(head.length + tail.length);
  out.set(head);
  out.set(tail, head.length);
  return out;
}

/**
 * @param {string} text
 * @returns {string} hexadecimal digits
 */
function sha256(text) {
  return hex(digest(encodeUtf8(text)));
}

/**
 * HMAC-SHA256.
 *
 * @param {string} key
 * @param {string} text
 * @returns {string} hexadecimal digits
 */
function hmac(key, text) {
  const given = encodeUtf8(key);
  const whole = joined(given.length > BLOCK ? digest(given) : given, new Uint8Array(BLOCK)).subarray(0, BLOCK);
  const inner = digest(joined(whole.map((byte) => byte ^ 0x36), encodeUtf8(text)));
  return hex(digest(joined(whole.map((byte) => byte ^ 0x5c), inner)));
}

module.exports = { hmac, sha256 };
