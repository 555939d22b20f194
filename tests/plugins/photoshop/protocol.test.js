"use strict";
// The vectors that Python and Lua read too, and what JavaScript could get wrong on its own.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const { plugin } = require("./support/plugin.js");

const protocol = plugin("src/protocol.js");
const utf8 = plugin("src/utf8.js");
const digest = plugin("src/digest.js");

const VECTORS = path.join(__dirname, "../../vectors");
const NAMES = fs.readdirSync(VECTORS).filter((name) => name.endsWith(".frame")).map((name) => name.slice(0, -6));

assert.ok(NAMES.length > 30);

for (const name of NAMES) {
  test(`vector ${name} means what it says`, () => {
    const bytes = new Uint8Array(fs.readFileSync(path.join(VECTORS, `${name}.frame`)));
    const meant = JSON.parse(fs.readFileSync(path.join(VECTORS, `${name}.json`), "utf8"));
    if (meant.error) {
      assert.throws(() => protocol.decodeFrame(bytes), { code: meant.error });
      return;
    }
    const frame = protocol.decodeFrame(bytes);
    assert.equal(frame.kind, meant.kind);
    assert.deepEqual(frame.message, meant.message);
    const described = frame.payloads.map((payload) => ({
      ...payload,
      content: Buffer.from(frame.contents[payload.name]).toString("hex"),
    }));
    assert.deepEqual(described, meant.payloads);
    if (meant.canonical) {
      const parts = frame.payloads.map((payload) => ({ payload, content: frame.contents[payload.name] }));
      assert.deepEqual(protocol.encodeFrame(frame.kind, frame.message, parts), bytes);
    }
  });
}

test("keys are sorted by code points, as Python does", () => {
  const message = { "\u{1F600}": 1, "\uFF00": 2, a: 3, ab: 4, "": 5 };
  const text = utf8.decodeUtf8(protocol.encodeFrame("request", message).subarray(12));
  assert.equal(text, '{"payloads":[],"request":{"":5,"a":3,"ab":4,"\uFF00":2,"\u{1F600}":1}}');
});

test("what JSON cannot say is refused", () => {
  assert.throws(() => protocol.encodeFrame("request", { x: NaN }), RangeError);
  const payload = protocol.pixelsPayload("image", { width: 2, height: 2, channels: 3, depth: "u8" });
  assert.throws(() => protocol.encodeFrame("request", {}, [{ payload, content: new Uint8Array(3) }]), RangeError);
});

test("samples are copied from any address", () => {
  const bytes = new Uint8Array([9, 1, 2, 3, 4]).subarray(1);
  assert.deepEqual(Array.from(protocol.samplesOf(bytes, "u16")), [0x0201, 0x0403]);
  const floats = Float32Array.of(0.5, 2);
  assert.deepEqual(protocol.samplesOf(protocol.bytesOf(floats), "f32"), floats);
});

test("UTF-8 is Node's, and nothing else is taken", () => {
  for (const text of ["", "abc", "café", "婚礼", "\u{1F469}\u200D\u{1F3A8}", "\0\x7F\u07FF\u0800\uFFFF\u{10FFFF}"]) {
    assert.deepEqual(utf8.encodeUtf8(text), new Uint8Array(Buffer.from(text, "utf8")));
    assert.equal(utf8.decodeUtf8(utf8.encodeUtf8(text)), text);
  }
  const bad = [[0x80], [0xc0, 0x80], [0xc3], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xf4, 0x90, 0x80, 0x80]];
  for (const bytes of bad) assert.throws(() => utf8.decodeUtf8(Uint8Array.from(bytes)), RangeError, String(bytes));
  assert.ok(utf8.hasLoneSurrogate("a\uD800"));
  assert.ok(utf8.hasLoneSurrogate("\uDC00a"));
  assert.ok(!utf8.hasLoneSurrogate("\u{1F600}\u{1F600}"));
});

test("the vectors of the bridge's proof", () => {
  for (const { url, token, nonce, secret, proof } of JSON.parse(fs.readFileSync(path.join(VECTORS, "proofs.json"), "utf8"))) {
    const shared = digest.sha256(token);
    assert.equal(digest.sha256(shared).slice(0, 16), secret);
    assert.equal(digest.hmac(shared, `gpen-bridge:${url.split(":").at(-1)}:${nonce}`), proof);
  }
});

test("SHA-256 and HMAC of every length around the blocks are Node's own", () => {
  const crypto = require("node:crypto");
  for (let length = 0; length < 200; length += 1) {
    const text = "wé".repeat(length).slice(0, length);
    assert.equal(digest.sha256(text), crypto.createHash("sha256").update(text).digest("hex"));
    assert.equal(digest.hmac(text, "x"), crypto.createHmac("sha256", text).update("x").digest("hex"));
  }
});
