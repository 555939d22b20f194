// A rectangle too large for memory: sent to the bridge in strips, worked on as a job, fetched in strips.
// What was fetched is never held: each read asks the bridge for its rows.
"use strict";

const { area, height, intersection, strips, width } = require("./geometry.js");
const { Problem } = require("./problem.js");
const {
  BYTES_PER_SAMPLE,
  MEDIA_TYPE,
  PREFIX_BYTES,
  bytesOf,
  frameHead,
  headerLength,
  parseHeader,
  pixelsPayload,
  samplesOf,
} = require("./protocol.js");
const { decodeUtf8 } = require("./utf8.js");

const PIECE_MS = 60000;
const POLL_MS = 400;
/** How long the end of a run waits until the bridge knows of it; after that the bridge is told all the same. */
const FAREWELL_MS = 1000;

/**
 * @typedef {import("./work.js").Readable} Readable
 * @typedef {import("./work.js").Restored} Restored
 * @typedef {import("./geometry.js").Rect} Rect
 * @typedef {import("./bridge.js").Bridge} Bridge
 * @typedef {import("./bridge.js").Asking} Asking
 *
 * @typedef {{job: string, done: boolean}} Errand a job that a run gave the bridge; `done`: its result lies there
 */

/**
 * Ask the bridge for a rectangle by upload and job.
 *
 * @param {Bridge} bridge
 * @param {Readable} source
 * @param {Rect} rect
 * @param {string} profile
 * @param {{params: object, faces?: object[], compose?: string}} question
 * @param {Asking} asking
 * @param {number} stripPixels
 * @param {Errand[]} errands of the run; gets the job
 * @returns {Promise<Restored>}
 */
async function restoreFar(bridge, source, rect, profile, question, asking, stripPixels, errands) {
  const upload = await send(bridge, source, rect, profile, asking, stripPixels);
  const { params, faces, compose } = question;
  const item = { ref: "layer", source: { upload }, params, ...(faces ? { faces } : {}), ...(compose ? { compose } : {}) };
  const order = { client: "photoshop", name: "Photoshop", priority: "interactive", output: { format: "frame" }, items: [item] };
  const { job } = await bridge.json("POST", "/v1/jobs", order);
  const errand = { job, done: false };
  errands.push(errand);
  await settled(bridge, itemOf(errand), asking);
  errand.done = true;
  return result(bridge, itemOf(errand), rect, asking);
}

/**
 * The end of a run, however it ended: what is done is acknowledged and the rest is cancelled, or the bridge would keep
 * uploads and results for somebody who comes back. Never throws; a bridge that cannot be reached keeps them.
 *
 * @param {Bridge} bridge
 * @param {Errand[]} errands
 */
async function settle(bridge, errands) {
  if (errands.length === 0) return;
  const all = Promise.all(errands.map((errand) => letGo(bridge, errand).catch(() => {})));
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))]);
}

/** @param {Bridge} bridge @param {Errand} errand */
async function letGo(bridge, errand) {
  if (!errand.done) {
    await bridge.json("POST", `/v1/jobs/${errand.job}/cancel`);
    await settled(bridge, itemOf(errand), {}); // throws, but for a result that was just being written
  }
  await bridge.json("POST", `${itemOf(errand)}/ack`);
}

/** @param {Errand} errand @returns {string} its one item's path */
function itemOf({ job }) {
  return `/v1/jobs/${job}/items/0`;
}

/**
 * @param {Bridge} bridge
 * @param {Readable} source
 * @param {Rect} rect
 * @param {string} profile
 * @param {Asking} asking
 * @param {number} stripPixels
 * @returns {Promise<string>} the upload's id
 */
async function send(bridge, source, rect, profile, { cancellation }, stripPixels) {
  const facts = { width: width(rect), height: height(rect), channels: source.channels, depth: source.depth, profile };
  const payload = pixelsPayload("image", facts);
  const head = frameHead("request", {}, [payload]);
  const size = head.length + payload.bytes;
  const created = await bridge.ask({
    method: "POST",
    path: "/v1/uploads",
    headers: { "Content-Type": MEDIA_TYPE, "Upload-Length": String(size), "GPEN-File-Name": "layer" },
    timeout: PIECE_MS,
    cancellation,
  });
  const { upload } = JSON.parse(decodeUtf8(created.body));
  let offset = 0;
  /** @param {Uint8Array} body */
  const append = async (body) => {
    const headers = { "Content-Type": "application/octet-stream", "Upload-Offset": String(offset) };
    await bridge.ask({ method: "PATCH", path: `/v1/uploads/${upload}`, headers, body, timeout: PIECE_MS, cancellation });
    offset += body.length;
  };
  await append(head);
  for (const strip of strips(rect, stripPixels)) await append(bytesOf(await source.read(strip)));
  return upload;
}

/**
 * Wait until the item is done.
 *
 * @param {Bridge} bridge
 * @param {string} path
 * @param {Asking} asking
 */
async function settled(bridge, path, { cancellation }) {
  for (;;) {
    const item = await bridge.json("GET", path);
    if (item.state === "done") return;
    if (item.state === "cancelled") throw new Problem("cancelled");
    if (item.state === "failed") {
      const { code, title, detail, hint, retryable } = item.error;
      throw new Problem(code, { detail: detail || title, hint, retryable, values: { detail } });
    }
    if (cancellation) await cancellation.sleep(POLL_MS);
    else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * The frame that the job wrote, as pictures whose rows are fetched when they are read.
 *
 * @param {Bridge} bridge
 * @param {string} path
 * @param {Rect} rect
 * @param {Asking} asking its cancel stops a fetch, also one inside of a modal command
 * @returns {Promise<Restored>}
 */
async function result(bridge, path, rect, { cancellation }) {
  /** @param {number} first @param {number} count */
  const bytes = async (first, count) => {
    const headers = { Range: `bytes=${first}-${first + count - 1}` };
    const reply = await bridge.ask({ method: "GET", path: `${path}/result`, headers, timeout: PIECE_MS, cancellation });
    if (reply.body.length !== count)
      throw new Problem("answer_unknown", { detail: `${reply.body.length} bytes came, not ${count}.`, values: { status: reply.status } });
    return reply.body;
  };
  const length = headerLength(await bytes(0, PREFIX_BYTES));
  const header = parseHeader(await bytes(PREFIX_BYTES, length));
  let offset = PREFIX_BYTES + length;
  /** @type {Record<string, Readable>} */
  const pictures = {};
  for (const payload of header.payloads) {
    if (payload.kind === "pixels") pictures[payload.name] = rowsOf(payload, offset, rect, bytes);
    offset += payload.bytes;
  }
  return { result: header.message, image: pictures.image, mask: pictures.mask || null };
}

/**
 * @param {import("./protocol.js").Payload} payload
 * @param {number} offset of its first byte
 * @param {Rect} rect
 * @param {(first: number, count: number) => Promise<Uint8Array>} bytes
 * @returns {Readable}
 */
function rowsOf(payload, offset, rect, bytes) {
  const channels = /** @type {1 | 3 | 4} */ (payload.channels);
  const depth = /** @type {import("./protocol.js").Depth} */ (payload.depth);
  const pixelBytes = channels * BYTES_PER_SAMPLE[depth];
  const rowBytes = width(rect) * pixelBytes;
  return {
    rect,
    channels,
    depth,
    read: async (part) => {
      const rows = await bytes(offset + (part.top - rect.top) * rowBytes, height(part) * rowBytes);
      if (area(intersection(part, rect)) === height(part) * width(rect)) return samplesOf(rows, depth);
      const cut = new Uint8Array(area(part) * pixelBytes);
      for (let row = 0; row < height(part); row += 1) {
        const start = row * rowBytes + (part.left - rect.left) * pixelBytes;
        cut.set(rows.subarray(start, start + width(part) * pixelBytes), row * width(part) * pixelBytes);
      }
      return samplesOf(cut, depth);
    },
  };
}

module.exports = { restoreFar, settle };
