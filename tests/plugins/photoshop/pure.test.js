"use strict";
// What needs neither Photoshop nor the bridge: words, settings, geometry, buffers, and the house's own rules.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");
const { FOLDER, plugin } = require("./support/plugin.js");

const { LANGUAGES, wordsFor } = plugin("src/messages.js");
const { Problem } = plugin("src/problem.js");
const { BUILT_IN, loadSettings, parametersFrom, saveSettings } = plugin("src/settings.js");
const geometry = plugin("src/geometry.js");
const samples = plugin("src/samples.js");
const SOURCES = fs.readdirSync(path.join(FOLDER, "src")).map((name) => [name, fs.readFileSync(path.join(FOLDER, "src", name), "utf8")]);

const placeholders = (text) => [...text.matchAll(/\{\w+\}/g)].map(([one]) => one).sort();

test("both languages say the same things, with the same placeholders", () => {
  const { en, zh } = LANGUAGES;
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en)) assert.deepEqual(placeholders(zh[key]), placeholders(en[key]), key);
  for (const key of Object.keys(en)) if (/[a-z]{4}/.test(en[key])) assert.match(zh[key], /[\u4e00-\u9fff]|^\{|^GPEN/, `${key} is not translated`);
});

test("every word that the plug-in uses is in the tables, and every entry is used", () => {
  const { en } = LANGUAGES;
  const text = SOURCES.map(([name, source]) => (name === "messages.js" ? source.slice(source.indexOf("function wordsFor")) : source)).join("\n");
  const used = new Set([...text.matchAll(/say\("([\w:-]+)"/g)].map((match) => match[1]));
  for (const key of used) assert.ok(key in en, key);
  const codes = new Set([...text.matchAll(/new Problem\("(\w+)"/g)].map((match) => match[1]));
  for (const code of codes) if (code !== "frame_malformed") assert.ok(code in en, `${code} has no sentence`);
  const families = ["stage_", "mode_", "layers_", "source_", "face_grade_", "preset:"];
  const bridgeCodes = new Set(fs.readFileSync(path.join(__dirname, "../../../docs/protocol.md"), "utf8").match(/(?<=^\| `)\w+(?=` \| \d{3})/gm));
  for (const key of Object.keys(en)) {
    const known = used.has(key) || codes.has(key) || bridgeCodes.has(key) || families.some((family) => key.startsWith(family)) || text.includes(`"${key}"`);
    assert.ok(known, `${key} is not used`);
  }
});

test("built-in presets are translated; others keep the name that the user gave", () => {
  const { say } = wordsFor("zh_CN");
  for (const name of BUILT_IN) assert.match(say(`preset:${name}`), /[\u4e00-\u9fff]/);
  assert.equal(say("preset:name"), "name");
  assert.equal(wordsFor("de_DE").say("strength"), "Strength");
});

test("a code without a sentence is told in the bridge's own words", () => {
  const { explain } = wordsFor("en_US");
  assert.equal(explain(new Problem("new_code", { detail: "It rained in.", hint: "Close the window." })), "The bridge reports: It rained in. Close the window.");
});

test("settings are clamped, and survive whatever lies in the store", () => {
  const clamped = parametersFrom({ strength: 180, denoise: -3, sharpen: "42", mode: "cubist" });
  assert.deepEqual(clamped, { strength: 100, denoise: 0, sharpen: 42, mode: "natural" });
  for (const stored of [null, "", "{", "[]", '"x"', '{"parameters":{"strength":null}}', '{"layers":7}']) {
    const settings = loadSettings({ getItem: () => stored });
    assert.deepEqual(settings.parameters, { strength: 70, denoise: 30, sharpen: 50, mode: "natural" });
  }
  let kept;
  const settings = { ...loadSettings({ getItem: () => null }), preset: "婚礼", layers: "each" };
  saveSettings({ setItem: (_, text) => (kept = text) }, settings);
  assert.deepEqual(loadSettings({ getItem: () => kept }), settings);
});

/** A small generator, so that failures can be repeated. */
function random(seed) {
  let state = seed;
  return (below) => (state = (state * 1103515245 + 12345) % 2147483648) % below;
}

test("strips cover a rectangle once, whatever its size", () => {
  const next = random(7);
  for (let round = 0; round < 200; round += 1) {
    const [left, top] = [next(50) - 25, next(50) - 25];
    const rect = { left, top, right: left + 1 + next(300), bottom: top + 1 + next(300) };
    const bands = geometry.strips(rect, 1 + next(5000));
    assert.equal(bands.reduce((sum, band) => sum + geometry.area(band), 0), geometry.area(rect));
    bands.forEach((band, index) => assert.equal(band.top, index === 0 ? rect.top : bands[index - 1].bottom));
  }
});

test("regions never overlap, hold every face once, and reach as far as each needs", () => {
  const next = random(11);
  const canvas = { left: 0, top: 0, right: 3000, bottom: 2000 };
  for (let round = 0; round < 100; round += 1) {
    const faces = Array.from({ length: 1 + next(12) }, () => {
      const [x, y, size] = [next(2900), next(1900), 20 + next(400)];
      const landmarks = [[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]].map(([u, v]) => [x + u * size, y + v * size]);
      return { box: [x, y, x + size, y + size], landmarks, score: 1 };
    });
    const regions = geometry.regionsOf(faces, canvas);
    assert.equal(regions.flatMap((region) => region.faces).length, faces.length);
    for (const [index, region] of regions.entries()) {
      for (const other of regions.slice(index + 1)) assert.equal(geometry.area(geometry.intersection(region.rect, other.rect)), 0);
      for (const face of region.faces) {
        const needed = geometry.intersection(geometry.reach(face), canvas);
        assert.deepEqual(geometry.intersection(needed, region.rect), needed);
      }
    }
  }
});

test("the reach of a face turns with it", () => {
  const upright = [[100, 100], [160, 100], [130, 135], [106, 165], [154, 165]];
  const turned = upright.map(([x, y]) => [130 - (y - 130), 130 + (x - 130)]);
  const [a, b] = [upright, turned].map((landmarks) => geometry.reach({ box: [0, 0, 1, 1], landmarks, score: 1 }));
  assert.ok(Math.abs(geometry.width(a) - geometry.height(b)) <= 3);
  assert.ok(a.bottom - 130 < 130 - a.top + 80);
});

test("a face scaled and moved comes back with the inverse", () => {
  const face = { box: [10, 20, 30, 50], landmarks: [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]], score: 0.5 };
  const there = geometry.moved(face, { scaleX: 4, scaleY: 4 });
  assert.deepEqual(there.landmarks[0], [5.5, 9.5], "(0, 0) is the centre of the first pixel");
  assert.deepEqual(geometry.moved(there, { scaleX: 0.25, scaleY: 0.25 }), face);
});

test("alpha is added opaque and dropped without touching colour, in every depth", () => {
  for (const [Kind, full] of [[Uint8Array, 255], [Uint16Array, 65535], [Float32Array, 1]]) {
    const colour = Kind.from([1, 2, 3, 4, 5, 6].map((value) => value / (full === 1 ? 8 : 1)));
    const four = samples.withChannels(colour, 3, 4);
    assert.equal(four[3], full);
    assert.deepEqual(samples.withChannels(four, 4, 3), colour);
    assert.deepEqual(Array.from(samples.alphaOf(four)), [255, 255]);
  }
  assert.throws(() => samples.withChannels(new Uint8Array(3), 1, 3), RangeError);
});

test("masks come to eight bits by rounding, in every depth", () => {
  const bytes = (typed) => new Uint8Array(typed.buffer);
  assert.deepEqual(Array.from(samples.eightBits(bytes(Uint16Array.of(0, 128, 129, 65535)), "u16", 1)), [0, 0, 1, 255]);
  assert.deepEqual(Array.from(samples.eightBits(bytes(Float32Array.of(0, 0.5, 1)), "f32", 1)), [0, 128, 255]);
  assert.deepEqual(Array.from(samples.eightBits(Uint8Array.of(0, 100, 255), "u8", 0.5)), [0, 50, 128]);
  assert.deepEqual(Array.from(samples.product(Uint8Array.of(255, 128, 0), Uint8Array.of(10, 128, 255))), [10, 64, 0]);
  assert.equal(samples.product(null, null), null);
});

test("only the two doors know Photoshop, and nobody uses what it lacks or we did not ask for", () => {
  for (const [name, source] of SOURCES) {
    if (source.includes('require("photoshop")')) assert.ok(["host.js", "pixels.js", "actions.js", "app.js"].includes(name), name);
    const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    assert.doesNotMatch(code, /\b(TextEncoder|TextDecoder|Worker|structuredClone|queueMicrotask|URLSearchParams|eval|fetch|WebSocket|innerHTML|Buffer|clipboard)\b\s*[(.]|new Function/, name);
    assert.ok(source.split("\n").length <= 450, `${name} is too long`);
    assert.match(source, /^\/\/ .*\n(\/\/.*\n)*"use strict";/, `${name} does not say what it owns`);
  }
});
