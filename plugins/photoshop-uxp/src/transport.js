// One HTTP exchange over XMLHttpRequest: the only way in Photoshop with a time-out and a real abort.
// Knows nothing of the bridge.
"use strict";

const { Problem } = require("./problem.js");

/**
 * @typedef {object} Call
 * @property {string} method
 * @property {string} url
 * @property {Record<string, string>} [headers]
 * @property {string | Uint8Array} [body]
 * @property {number} [timeout] in milliseconds, for the whole exchange
 * @property {import("./cancellation.js").Cancellation} [cancellation]
 *
 * @typedef {object} Reply
 * @property {number} status
 * @property {(name: string) => string | null} header
 * @property {Uint8Array} body
 *
 * @typedef {(call: Call) => Promise<Reply>} Send
 */

const DONE = 4; // XMLHttpRequest.DONE is not there before UXP 8.2
/** The web's spelling, and that of UXP's own documentation: whichever gives bytes is kept. */
const SPELLINGS = ["arraybuffer", "arrayBuffer"];
let spelling = SPELLINGS[0];

/**
 * @param {Call} call
 * @returns {Promise<Reply>}
 * @throws {Problem} `bridge_unreachable`, `bridge_timeout`, `cancelled`
 */
async function send(call) {
  const reply = await exchange(call);
  if (reply) return reply;
  // The first call of a session is GET /v1/health, which may be repeated.
  spelling = SPELLINGS[1 - SPELLINGS.indexOf(spelling)];
  const second = await exchange(call);
  if (second) return second;
  throw new Problem("host_failed", { values: { detail: "XMLHttpRequest gives no bytes" } });
}

/**
 * @param {Call} call
 * @returns {Promise<Reply | null>} null where the host gave something other than bytes
 */
function exchange(call) {
  const { cancellation } = call;
  if (cancellation) cancellation.check();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stopListening = cancellation ? cancellation.onCancel(() => request.abort()) : () => {};
    /** @param {string} code @param {string} detail */
    const fail = (code, detail) => {
      stopListening();
      const cancelled = cancellation && cancellation.cancelled;
      const facts = { detail, retryable: true, values: { url: call.url, detail } };
      reject(cancelled ? new Problem("cancelled") : new Problem(code, facts));
    };
    request.open(call.method, call.url, true);
    request.withCredentials = false; // UXP's default is true
    request.responseType = /** @type {XMLHttpRequestResponseType} */ (spelling);
    request.timeout = call.timeout || 0;
    for (const [name, value] of Object.entries(call.headers || {})) request.setRequestHeader(name, value);
    request.onerror = (event) => fail("bridge_unreachable", reason(event) || "the connection was refused");
    request.ontimeout = () => fail("bridge_timeout", `no answer within ${(call.timeout || 0) / 1000} s`);
    request.onabort = () => fail("bridge_unreachable", "the request was aborted");
    request.onload = () => {
      if (request.readyState !== DONE || request.status === 0) {
        fail("bridge_unreachable", "the answer had no status");
        return;
      }
      stopListening();
      const content = request.response;
      if (content !== null && !(content instanceof ArrayBuffer)) {
        resolve(null);
        return;
      }
      resolve({
        status: request.status,
        header: (name) => request.getResponseHeader(name),
        body: new Uint8Array(content || 0),
      });
    };
    try {
      request.send(whole(call.body));
    } catch (error) {
      fail("bridge_unreachable", /** @type {Error} */ (error).message);
    }
  });
}

/**
 * A view of part of a buffer would be sent as the whole buffer by some hosts.
 *
 * @param {string | Uint8Array | undefined} body
 * @returns {string | ArrayBuffer | null}
 */
function whole(body) {
  if (body === undefined || typeof body === "string") return body === undefined ? null : body;
  const alone = body.byteLength === body.buffer.byteLength ? body : body.slice();
  return /** @type {ArrayBuffer} */ (alone.buffer);
}

/** @param {unknown} event */
function reason(event) {
  const { message, error } = /** @type {{message?: string, error?: {message?: string}}} */ (event || {});
  return message || (error && error.message) || "";
}

module.exports = { send };
