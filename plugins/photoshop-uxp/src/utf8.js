// Text <-> UTF-8 bytes. Photoshop has no TextEncoder, and secureStorage speaks bytes.
"use strict";

/** The code points that are no characters: halves of surrogate pairs. */
const SURROGATES = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?:^|[^\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
function encodeUtf8(text) {
  /** @type {number[]} */
  const bytes = [];
  for (const character of text) {
    const point = /** @type {number} */ (character.codePointAt(0));
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else
      bytes.push(
        0xf0 | (point >> 18),
        0x80 | ((point >> 12) & 63),
        0x80 | ((point >> 6) & 63),
        0x80 | (point & 63),
      );
  }
  return Uint8Array.from(bytes);
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 * @throws {RangeError} where the bytes are not UTF-8 (overlong, cut, surrogates).
 */
function decodeUtf8(bytes) {
  /** @type {string[]} */
  const parts = [];
  let index = 0;
  while (index < bytes.length) {
    const first = bytes[index];
    const length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || index + length > bytes.length) throw malformed(index);
    let point = length === 1 ? first : first & (0xff >> (length + 1));
    for (let offset = 1; offset < length; offset += 1) {
      const next = bytes[index + offset];
      if ((next & 0xc0) !== 0x80) throw malformed(index);
      point = (point << 6) | (next & 63);
    }
    const least = [0, 0, 0x80, 0x800, 0x10000][length];
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) throw malformed(index);
    parts.push(String.fromCodePoint(point));
    index += length;
  }
  return parts.join("");
}

/** @param {number} index */
function malformed(index) {
  return new RangeError(`Byte ${index} is not UTF-8.`);
}

/** @param {string} text */
function hasLoneSurrogate(text) {
  return SURROGATES.test(text);
}

module.exports = { encodeUtf8, decodeUtf8, hasLoneSurrogate };
