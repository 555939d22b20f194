"use strict";
// XMLHttpRequest as UXP has it, over Node's http: asynchronous, credentials on unless turned off, some
// headers silently dropped, only to addresses that the manifest names, and DONE not defined.
const { Buffer } = require("node:buffer");

const http = require("node:http");
const https = require("node:https");

const FORBIDDEN = /^(host|origin|referer|cookie|connection|content-length|transfer-encoding|accept-encoding|te|upgrade|proxy-.*|sec-.*)$/i;
const agent = new http.Agent({ keepAlive: false });

class FakeXMLHttpRequest {
  constructor() {
    Object.assign(this, { readyState: 0, status: 0, response: null, responseType: "", timeout: 0, withCredentials: true });
    this._headers = {};
    this._ended = false;
  }

  open(method, url, asynchronous) {
    if (!asynchronous) throw new Error("Only asynchronous requests are supported.");
    Object.assign(this, { _method: method, _url: url, readyState: 1 });
  }

  setRequestHeader(name, value) {
    if (!FORBIDDEN.test(name)) this._headers[name] = value;
  }

  getResponseHeader(name) {
    return this._replied.headers[name.toLowerCase()] || null;
  }

  send(body) {
    if (this.withCredentials) throw new Error("The plug-in must not send credentials.");
    const bytes = body === null || body === undefined ? null : typeof body === "string" ? Buffer.from(body) : Buffer.from(body);
    FakeXMLHttpRequest.sent.push({ method: this._method, url: this._url, headers: { ...this._headers }, bytes: bytes ? bytes.length : 0 });
    const headers = { ...this._headers, ...(bytes ? { "Content-Length": bytes.length } : {}) };
    const { permitted, authority } = FakeXMLHttpRequest;
    if (permitted && !permitted.some((origin) => this._url.startsWith(`${origin}/`))) {
      setTimeout(() => this._end("onerror", null, new Error("Permission denied to the url. Manifest entry not found.")));
      return;
    }
    const how = this._url.startsWith("https:") ? { over: https, ca: authority } : { over: http, agent };
    this._request = how.over.request(this._url, { method: this._method, headers, ...how }, (reply) => {
      this._replied = reply;
      const chunks = [];
      reply.on("data", (chunk) => chunks.push(chunk));
      reply.on("end", () => this._end("onload", () => {
        const whole = Buffer.concat(chunks);
        this.status = reply.statusCode;
        this.readyState = 4;
        this.response = this.responseType === FakeXMLHttpRequest.spelling
          ? whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.length)
          : whole.toString("latin1");
      }));
      reply.on("error", (error) => this._end("onerror", null, error));
    });
    this._request.on("error", (error) => this._end("onerror", null, error));
    if (this.timeout > 0)
      this._timer = setTimeout(() => {
        this._end("ontimeout");
        this._request.destroy();
      }, this.timeout);
    this._request.end(bytes || undefined);
  }

  abort() {
    if (this._request && !this._ended) {
      this._end("onabort");
      this._request.destroy();
    }
  }

  _end(event, before, error) {
    if (this._ended) return;
    this._ended = true;
    clearTimeout(this._timer);
    if (before) before();
    if (this[event]) this[event]({ message: error && error.message });
  }
}

/** What the host calls bytes; UXP's documentation writes it unlike the web. */
FakeXMLHttpRequest.spelling = "arraybuffer";
FakeXMLHttpRequest.sent = [];
/** Origins that the manifest names; null: it is not asked. */
FakeXMLHttpRequest.permitted = null;
/** The certificate of an authority that the system trusts beside the usual ones; undefined: none. */
FakeXMLHttpRequest.authority = undefined;

module.exports = { FakeXMLHttpRequest };
