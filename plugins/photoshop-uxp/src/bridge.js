// The client of the bridge: finds it, pairs with it, asks it. The transport is passed in.
"use strict";

const { hmac, sha256 } = require("./digest.js");
const { MEDIA_TYPE, PROTOCOL, blankFrame, decodeFrame, pixelsPayload } = require("./protocol.js");
const { Problem } = require("./problem.js");
const { decodeUtf8 } = require("./utf8.js");

const HEALTH_MS = 2500;
const QUESTION_MS = 15000;
/** A slow processor with a group photo; the bridge says sooner if something is wrong. */
const WORK_MS = 30 * 60 * 1000;
/** How long a busy or starting bridge is waited for. */
const PATIENCE_MS = 10 * 60 * 1000;
const LONGEST_PAUSE_MS = 15000;
const SECRET_NAME_DIGITS = 16;

/**
 * @typedef {import("./transport.js").Send} Send
 * @typedef {import("./transport.js").Reply} Reply
 * @typedef {import("./cancellation.js").Cancellation} Cancellation
 * @typedef {import("./protocol.js").Depth} Depth
 * @typedef {import("./protocol.js").Payload} Payload
 *
 * @typedef {{service: string, status: "ok" | "starting" | "degraded", version: string, protocol: number}} Health
 * @typedef {{url: string, health?: Health, token?: string | null, problem?: Problem}} Attempt what became of one address;
 *   token: ours, if the bridge there proved that it knows it
 *
 * @typedef {object} Picture pixels on their way to the bridge
 * @property {number} width
 * @property {number} height
 * @property {1 | 3 | 4} channels
 * @property {Depth} depth
 * @property {string} [profile]
 * @property {(area: Uint8Array) => Promise<void>} fill writes the pixels, row by row, little-endian
 *
 * @typedef {{payload: Payload, content: Uint8Array}} Part
 * @typedef {{result: Record<string, any>, parts: Record<string, Part>}} Answer
 * @typedef {{cancellation?: Cancellation, onWait?: (problem: Problem) => void}} Asking
 */

class Bridge {
  /**
   * @param {object} parts
   * @param {Send} parts.send
   * @param {string[]} parts.addresses where a bridge may be, best first
   * @param {import("./settings.js").Tokens} parts.tokens
   * @param {string} parts.name what the owner reads in the list of clients
   */
  constructor({ send, addresses, tokens, name }) {
    this._send = send;
    this._tokens = tokens;
    this._name = name;
    this.addresses = addresses;
    /** @type {string | null} */
    this.url = null;
    /** @type {Health | null} */
    this.health = null;
    /** @type {string | null} */
    this._token = null;
  }

  get paired() {
    return this._token !== null;
  }

  /**
   * Find the bridge.
   *
   * @returns {Promise<Health>}
   * @throws {Problem} `protocol_mismatch`; `bridge_unreachable` with what each address said
   */
  async connect() {
    const attempts = await this._look(true);
    // Our own bridge comes first, wherever it is; else one that can be paired.
    const found = attempts.find(({ token }) => token) || attempts.find(({ health }) => health);
    this.url = found ? found.url : null;
    this.health = (found && found.health) || null;
    this._token = (found && found.token) || null;
    if (this.health) return this.health;
    const telling = attempts.find(({ problem }) => problem && problem.code === "protocol_mismatch");
    if (telling && telling.problem) throw telling.problem;
    const detail = attempts.map(({ url, problem }) => `${url}: ${problem ? problem.detail : ""}`).join("\n");
    throw new Problem("bridge_unreachable", { detail, retryable: true, values: { detail } });
  }

  /** What each address says, all of them: for people to read. */
  diagnose() {
    return this._look(false);
  }

  /**
   * @param {boolean} first stop at the bridge that is ours; without a token, at the first one
   * @returns {Promise<Attempt[]>}
   */
  async _look(first) {
    /** @type {Attempt[]} */
    const attempts = [];
    for (const url of this.addresses) {
      try {
        const token = await this._tokens.load(url);
        const { health, known } = await this._answerAt(url, token, HEALTH_MS);
        attempts.push({ url, health, token: known ? token : null });
        if (first && (known || token === null)) break;
      } catch (error) {
        attempts.push({ url, problem: /** @type {Problem} */ (error) });
      }
    }
    return attempts;
  }

  /**
   * What answers at an address, and whether it proved that it knows our token. The token itself is not sent.
   *
   * @param {string} url
   * @param {string | null} token
   * @param {number} timeout in milliseconds
   * @param {Cancellation} [cancellation]
   * @returns {Promise<{health: Health, known: boolean}>}
   * @throws {Problem} `not_a_bridge`: also where the proof is wrong; `protocol_mismatch`
   */
  async _answerAt(url, token, timeout, cancellation) {
    const secret = token === null ? "" : sha256(token);
    const nonce = crypto.randomUUID();
    const question = token === null ? "" : `?secret=${sha256(secret).slice(0, SECRET_NAME_DIGITS)}&nonce=${nonce}`;
    const reply = await this._send({ method: "GET", url: `${url}/v1/health${question}`, timeout, cancellation });
    const health = jsonOf(reply);
    if (reply.status !== 200 || !health || health.service !== "gpen-bridge")
      throw new Problem("not_a_bridge", { detail: `another program answers there (status ${reply.status})`, values: { url } });
    if (health.protocol !== PROTOCOL) {
      const values = { url, theirs: health.protocol, ours: PROTOCOL, version: health.version };
      const detail = `the bridge there (version ${health.version}) speaks protocol ${health.protocol}, the plug-in ${PROTOCOL}`;
      throw new Problem("protocol_mismatch", { detail, values });
    }
    const proof = token === null ? null : reply.header("GPEN-Proof");
    if (proof !== null && proof !== hmac(secret, `gpen-bridge:${portOf(url)}:${nonce}`))
      throw new Problem("not_a_bridge", { detail: "a program that is not your bridge answers there", values: { url } });
    return { health, known: proof !== null };
  }

  /**
   * Exchange the code that the bridge shows for a token of our own.
   *
   * @param {string} code
   */
  async pair(code) {
    const asked = { code: code.trim(), client: "photoshop", name: this._name };
    const { token } = await this.json("POST", "/v1/pair", asked);
    this._token = token;
    await this._tokens.save(this._address(), token);
  }

  /** Device, checkpoints, presets, limits. */
  capabilities() {
    return this.json("GET", "/v1/capabilities");
  }

  /** Readiness, with reasons. */
  ready() {
    return this.json("GET", "/v1/ready");
  }

  /** Throughput, and `in_flight`: how many pictures are being worked on. */
  stats() {
    return this.json("GET", "/v1/stats");
  }

  /**
   * @param {string} name
   * @param {object} parameters
   */
  savePreset(name, parameters) {
    return this.json("PUT", `/v1/presets/${encodeURIComponent(name)}`, { parameters });
  }

  /** @param {string} name */
  deletePreset(name) {
    return this.json("DELETE", `/v1/presets/${encodeURIComponent(name)}`);
  }

  /**
   * The faces of a picture.
   *
   * @param {Picture} picture
   * @param {{min_size?: number, min_score?: number}} question
   * @param {Asking} [asking]
   * @returns {Promise<Record<string, any>>} as `/v1/faces` answers
   */
  async faces(picture, question, asking = {}) {
    return (await this._work("/v1/faces", picture, question, asking)).result;
  }

  /**
   * A picture, enhanced: `image` and `mask` as parts of pixels.
   *
   * @param {Picture} picture
   * @param {object} question as `/v1/enhance` takes it
   * @param {Asking} [asking]
   * @returns {Promise<Answer>}
   */
  enhance(picture, question, asking = {}) {
    return this._work("/v1/enhance", picture, question, asking);
  }

  /**
   * @param {string} path
   * @param {Picture} picture
   * @param {object} question
   * @param {Asking} asking
   * @returns {Promise<Answer>}
   */
  async _work(path, picture, question, asking) {
    const { fill, ...facts } = picture;
    const { body, contents } = blankFrame("request", question, [pixelsPayload("image", facts)]);
    await fill(contents.image);
    const reply = await this.patiently(asking, () => this._sendCancellable(path, body, asking.cancellation));
    const frame = decodeFrame(reply.body);
    /** @type {Record<string, Part>} */
    const parts = {};
    for (const payload of frame.payloads) parts[payload.name] = { payload, content: frame.contents[payload.name] };
    return { result: frame.message, parts };
  }

  /**
   * The connection's end stops the work; the call to cancel stops it too where a host keeps the connection.
   *
   * @param {string} path
   * @param {Uint8Array} body
   * @param {Cancellation | undefined} cancellation
   */
  async _sendCancellable(path, body, cancellation) {
    const id = crypto.randomUUID();
    const stopListening = cancellation
      ? cancellation.onCancel(() => this.json("POST", `/v1/requests/${id}/cancel`).catch(() => {}))
      : () => {};
    try {
      const headers = { "Content-Type": MEDIA_TYPE, "GPEN-Request-Id": id };
      return await this.ask({ method: "POST", path, headers, body, timeout: WORK_MS, cancellation });
    } finally {
      stopListening();
    }
  }

  /**
   * Ask again while the bridge is busy or starting.
   *
   * @template T
   * @param {Asking} asking
   * @param {() => Promise<T>} question
   * @returns {Promise<T>}
   */
  async patiently({ cancellation, onWait }, question) {
    for (let waited = 0; ; ) {
      try {
        return await question();
      } catch (error) {
        const problem = /** @type {Problem} */ (error);
        if (!["busy", "not_ready", "workers_unreachable"].includes(problem.code) || waited >= PATIENCE_MS) throw problem;
        if (onWait) onWait(problem);
        const pause = Math.min(LONGEST_PAUSE_MS, 1000 * Math.max(1, Number(problem.values.seconds) || 1));
        waited += pause;
        if (cancellation) await cancellation.sleep(pause);
        else await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  /**
   * A question without pixels.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [content]
   * @returns {Promise<any>}
   */
  async json(method, path, content) {
    /** @type {Record<string, string>} */
    const headers = content ? { "Content-Type": "application/json" } : {};
    const body = content ? JSON.stringify(content) : undefined;
    const reply = await this.ask({ method, path, headers, body, timeout: QUESTION_MS });
    return reply.body.length > 0 ? jsonOf(reply) : null;
  }

  /**
   * One exchange with our token; anything but success is thrown by its name. Before each, the bridge proves itself:
   * it may have died, and a program of another user have taken its port.
   *
   * @param {{method: string, path: string, headers?: Record<string, string>, body?: string | Uint8Array, timeout: number, cancellation?: Cancellation}} question
   * @returns {Promise<Reply>}
   */
  async ask({ path, headers = {}, ...call }) {
    const url = this._address();
    const token = this._token;
    if (token !== null) {
      const { known } = await this._answerAt(url, token, QUESTION_MS, call.cancellation);
      if (!known) throw this._unknown();
    }
    /** @type {Record<string, string>} */
    const authorization = token !== null ? { Authorization: `Bearer ${token}` } : {};
    const reply = await this._send({ ...call, url: url + path, headers: { ...headers, ...authorization } });
    if (reply.status >= 200 && reply.status < 300) return reply;
    throw reply.status === 401 ? this._unknown() : problemOf(reply);
  }

  /** Revoked, or lost by the bridge: the panel asks for a new code. The token is kept till then: who says so may lie. */
  _unknown() {
    this._token = null;
    return new Problem("unauthorized", { status: 401 });
  }

  _address() {
    if (this.url === null) throw new Problem("bridge_unreachable", { detail: "No bridge has been found yet." });
    return this.url;
  }
}

/** @param {string} url */
function portOf(url) {
  const port = /^https?:\/\/[^/]*:(\d+)/.exec(url);
  return port ? port[1] : url.startsWith("https:") ? "443" : "80";
}

/**
 * @param {Reply} reply
 * @returns {any} null where the body is not JSON
 */
function jsonOf(reply) {
  try {
    return JSON.parse(decodeUtf8(reply.body));
  } catch {
    return null;
  }
}

/** @param {Reply} reply */
function problemOf(reply) {
  const told = jsonOf(reply) || {};
  const code = typeof told.code === "string" ? told.code : "answer_unknown";
  const seconds = Number(reply.header("Retry-After")) || 0;
  return new Problem(code, {
    detail: told.detail || told.title || `The bridge answered with status ${reply.status}.`,
    hint: told.hint,
    status: reply.status,
    retryable: told.retryable === true,
    values: { status: reply.status, seconds, detail: told.detail || "" },
  });
}

module.exports = { Bridge };
