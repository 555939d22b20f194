// application/x-gpen-frame as bytes: one JSON header and raw payloads behind it (docs/protocol.md).
// Pure; what the JSON means is not known here. Every machine that runs Photoshop is little-endian.
"use strict";

const { Problem } = require("./problem.js");
const { decodeUtf8, encodeUtf8, hasLoneSurrogate } = require("./utf8.js");

const PROTOCOL = 1;
const MEDIA_TYPE = "application/x-gpen-frame";
const MAGIC = [0x47, 0x50, 0x45, 0x4e];
const VERSION = 1;
const PREFIX_BYTES = 12;
const MAX_HEADER_BYTES = 1024 * 1024;
const MAX_PAYLOADS = 16;
const MAX_NESTING = 200;
const MAX_SIDE = 1000000;
/** @type {Record<string, number>} */
const BYTES_PER_SAMPLE = { u8: 1, u16: 2, f32: 4 };

/**
 * @typedef {"u8" | "u16" | "f32"} Depth u8 0-255 and u16 0-65535 in the profile's encoding, f32 linear light
 * @typedef {Uint8Array | Uint16Array | Float32Array} Samples
 *
 * @typedef {object} Payload what a header says of a payload
 * @property {string} name
 * @property {"pixels" | "file" | "icc"} kind
 * @property {number} bytes
 * @property {number} [width]
 * @property {number} [height]
 * @property {1 | 3 | 4} [channels] gray, RGB, RGB with unassociated alpha; row-major, interleaved
 * @property {Depth} [depth]
 * @property {string} [profile]
 * @property {string} [media_type]
 *
 * @typedef {object} Header
 * @property {"request" | "result"} kind
 * @property {Record<string, any>} message
 * @property {Payload[]} payloads
 *
 * @typedef {Header & {contents: Record<string, Uint8Array>}} Frame payloads as views, by name
 */

/**
 * A payload of pixels.
 *
 * @param {string} name
 * @param {{width: number, height: number, channels: 1 | 3 | 4, depth: Depth, profile?: string}} facts
 * @returns {Payload}
 */
function pixelsPayload(name, facts) {
  const bytes = facts.width * facts.height * facts.channels * BYTES_PER_SAMPLE[facts.depth];
  const { profile, ...others } = facts;
  return { name, kind: "pixels", bytes, ...others, ...(profile ? { profile } : {}) };
}

/**
 * The first bytes of a frame: all but the payloads.
 *
 * @param {"request" | "result"} kind
 * @param {object} message
 * @param {Payload[]} payloads
 * @returns {Uint8Array}
 */
function frameHead(kind, message, payloads) {
  const header = encodeUtf8(canonicalJson({ [kind]: message, payloads }));
  if (header.length > MAX_HEADER_BYTES) throw new RangeError(`A header of ${header.length} bytes is too long.`);
  const head = new Uint8Array(PREFIX_BYTES + header.length);
  head.set(MAGIC);
  head[4] = VERSION;
  new DataView(head.buffer).setUint32(8, header.length, true);
  head.set(header, PREFIX_BYTES);
  return head;
}

/**
 * A whole frame whose payloads are still to be filled in, so that pixels need no second copy.
 *
 * @param {"request" | "result"} kind
 * @param {object} message
 * @param {Payload[]} payloads
 * @returns {{body: Uint8Array, contents: Record<string, Uint8Array>}}
 */
function blankFrame(kind, message, payloads) {
  const head = frameHead(kind, message, payloads);
  const body = new Uint8Array(head.length + payloads.reduce((sum, payload) => sum + payload.bytes, 0));
  body.set(head);
  return { body, contents: split(body, head.length, payloads) };
}

/**
 * A frame in one piece.
 *
 * @param {"request" | "result"} kind
 * @param {object} message
 * @param {{payload: Payload, content: Uint8Array}[]} [parts]
 * @returns {Uint8Array}
 */
function encodeFrame(kind, message, parts = []) {
  const { body, contents } = blankFrame(kind, message, parts.map(({ payload }) => payload));
  for (const { payload, content } of parts) {
    if (content.length !== payload.bytes)
      throw new RangeError(`${payload.name} declares ${payload.bytes} bytes, not ${content.length}.`);
    contents[payload.name].set(content);
  }
  return body;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Frame}
 * @throws {Problem} `frame_malformed`, or `protocol_mismatch` for a frame of another version
 */
function decodeFrame(bytes) {
  const length = headerLength(bytes);
  if (bytes.length < PREFIX_BYTES + length) throw malformed("The frame ends inside its header.");
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
  const start = PREFIX_BYTES + length;
  const declared = header.payloads.reduce((sum, payload) => sum + payload.bytes, 0);
  if (bytes.length - start !== declared)
    throw malformed(`The payloads take ${bytes.length - start} bytes; the header says ${declared}.`);
  return { ...header, contents: split(bytes, start, header.payloads) };
}

/**
 * Length of the header in bytes, from the first 12 bytes of a frame.
 *
 * @param {Uint8Array} bytes
 * @returns {number}
 */
function headerLength(bytes) {
  if (bytes.length < PREFIX_BYTES) throw malformed(`A frame begins with ${PREFIX_BYTES} bytes.`);
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) throw malformed('A frame begins with "GPEN".');
  if (bytes[4] !== VERSION)
    throw new Problem("protocol_mismatch", { detail: `The frame has version ${bytes[4]}, not ${VERSION}.` });
  if (bytes[5] || bytes[6] || bytes[7]) throw malformed("Bytes 5 to 7 of a frame must be zero.");
  const length = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES).getUint32(8, true);
  if (length > MAX_HEADER_BYTES) throw malformed(`The header takes ${length} bytes.`);
  return length;
}

/**
 * The header from its JSON, every size in it checked.
 *
 * @param {Uint8Array} bytes
 * @returns {Header}
 */
function parseHeader(bytes) {
  const content = parseJson(bytes);
  if (!isObject(content)) throw malformed("The header is not an object.");
  const kinds = /** @type {("request" | "result")[]} */ (["request", "result"]).filter((kind) => kind in content);
  if (kinds.length !== 1) throw malformed('A header has either "request" or "result".');
  const message = content[kinds[0]];
  if (!isObject(message)) throw malformed(`"${kinds[0]}" is not an object.`);
  if (Object.keys(content).some((key) => key !== kinds[0] && key !== "payloads"))
    throw malformed("The header has a field that is not known.");
  const payloads = content.payloads === undefined ? [] : content.payloads;
  if (!Array.isArray(payloads) || payloads.length > MAX_PAYLOADS)
    throw malformed(`"payloads" is a list of at most ${MAX_PAYLOADS}.`);
  payloads.forEach(checkPayload);
  if (new Set(payloads.map((payload) => payload.name)).size !== payloads.length)
    throw malformed("Two payloads have the same name.");
  return { kind: kinds[0], message, payloads };
}

/** @type {Record<string, string[]>} */
const FIELDS = {
  pixels: ["width", "height", "channels", "depth", "profile"],
  file: ["media_type"],
  icc: [],
};

/** @param {any} payload */
function checkPayload(payload) {
  if (!isObject(payload)) throw malformed("A payload is not an object.");
  const fields = typeof payload.kind === "string" ? FIELDS[payload.kind] : undefined;
  if (fields === undefined) throw malformed(`A payload cannot be of kind ${JSON.stringify(payload.kind)}.`);
  if (typeof payload.name !== "string" || !/^[a-z][a-z0-9_-]{0,63}$/.test(payload.name))
    throw malformed(`${JSON.stringify(payload.name)} is no name for a payload.`);
  if (!isCount(payload.bytes, 0, 2 ** 40)) throw malformed(`${payload.name}: "bytes" is no length.`);
  for (const key of Object.keys(payload))
    if (!["name", "kind", "bytes", ...fields].includes(key))
      throw malformed(`${payload.name} has an unknown field ${JSON.stringify(key)}.`);
  if (payload.kind === "file" && (typeof payload.media_type !== "string" || !/^[\w.+-]+\/[\w.+-]+$/.test(payload.media_type)))
    throw malformed(`${payload.name}: "media_type" is none.`);
  if (payload.kind === "pixels") checkPixels(payload);
}

/** @param {any} payload */
function checkPixels(payload) {
  const { name, width, height, channels, depth, profile } = payload;
  if (!isCount(width, 1, MAX_SIDE) || !isCount(height, 1, MAX_SIDE)) throw malformed(`${name} has no size.`);
  if (![1, 3, 4].includes(channels)) throw malformed(`${name}: "channels" is 1, 3 or 4.`);
  if (!(typeof depth === "string" && depth in BYTES_PER_SAMPLE)) throw malformed(`${name}: "depth" is u8, u16 or f32.`);
  if (profile !== undefined && (typeof profile !== "string" || profile.length < 1 || profile.length > 200))
    throw malformed(`${name}: "profile" is no name.`);
  const expected = width * height * channels * BYTES_PER_SAMPLE[depth];
  if (payload.bytes !== expected) throw malformed(`${name} takes ${expected} bytes, not ${payload.bytes}.`);
}

/**
 * Strict where JSON.parse is lax: a bound on nesting, no lone surrogates.
 *
 * @param {Uint8Array} bytes
 * @returns {any}
 */
function parseJson(bytes) {
  try {
    const text = decodeUtf8(bytes);
    if (nesting(text) > MAX_NESTING) throw new RangeError(`It is nested over ${MAX_NESTING} levels.`);
    return JSON.parse(text, (key, value) => {
      if (hasLoneSurrogate(key) || (typeof value === "string" && hasLoneSurrogate(value)))
        throw new RangeError("It has a lone surrogate.");
      return value;
    });
  } catch (error) {
    throw malformed(`The header is not JSON in UTF-8: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * The deepest level of brackets outside of strings.
 *
 * @param {string} text
 */
function nesting(text) {
  let level = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/g)) {
    if (token === "[" || token === "{") deepest = Math.max(deepest, (level += 1));
    else if (token === "]" || token === "}") level -= 1;
  }
  return deepest;
}

/**
 * JSON with sorted keys and nothing between, so that every language writes the same bytes.
 *
 * @param {unknown} value
 * @returns {string}
 */
function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isObject(value)) {
    const members = Object.keys(value)
      .filter((key) => value[key] !== undefined)
      .sort(byCodePoints)
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
    return `{${members.join(",")}}`;
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`${value} has no form in JSON.`);
  return JSON.stringify(value);
}

/**
 * JavaScript compares UTF-16 units, the other languages code points.
 *
 * @param {string} first
 * @param {string} second
 */
function byCodePoints(first, second) {
  const a = Array.from(first, (character) => /** @type {number} */ (character.codePointAt(0)));
  const b = Array.from(second, (character) => /** @type {number} */ (character.codePointAt(0)));
  const differs = a.findIndex((point, index) => point !== b[index]);
  return differs < 0 ? a.length - b.length : differs >= b.length ? 1 : a[differs] - b[differs];
}

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {Payload[]} payloads
 */
function split(bytes, start, payloads) {
  /** @type {Record<string, Uint8Array>} */
  const contents = {};
  let offset = start;
  for (const payload of payloads) {
    contents[payload.name] = bytes.subarray(offset, offset + payload.bytes);
    offset += payload.bytes;
  }
  return contents;
}

/**
 * Bytes of pixels as samples. Copies: behind a header a view may begin at an odd address.
 *
 * @param {Uint8Array} bytes
 * @param {Depth} depth
 * @returns {Samples}
 */
function samplesOf(bytes, depth) {
  const copy = bytes.slice();
  if (depth === "u16") return new Uint16Array(copy.buffer);
  return depth === "f32" ? new Float32Array(copy.buffer) : copy;
}

/**
 * @param {Samples} samples
 * @returns {Uint8Array} the same memory
 */
function bytesOf(samples) {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 */
function isCount(value, least, most) {
  return Number.isInteger(value) && /** @type {number} */ (value) >= least && /** @type {number} */ (value) <= most;
}

/** @param {string} detail */
function malformed(detail) {
  return new Problem("frame_malformed", { detail });
}

module.exports = {
  BYTES_PER_SAMPLE,
  MEDIA_TYPE,
  PREFIX_BYTES,
  PROTOCOL,
  blankFrame,
  bytesOf,
  decodeFrame,
  encodeFrame,
  frameHead,
  headerLength,
  parseHeader,
  pixelsPayload,
  samplesOf,
};
