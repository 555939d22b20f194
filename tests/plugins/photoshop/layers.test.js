"use strict";
// What each kind of layer, document and selection comes to.

const assert = require("node:assert/strict");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { Raster } = require("./support/raster.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");

const WHOLE = rectOf(0, 0, 420, 330);
const PHOTO = { name: "Photo", rect: WHOLE, paint: painter([{ left: 0, top: 20 }]) };
let bridge;
before(async () => {
  bridge = await startBridge();
});

async function opened(facts = {}) {
  const made = await scene(bridge);
  const document = made.world.open({ width: 420, height: 330, ...facts });
  const { enhanceLayer } = made.world.load("src/enhance.js");
  const run = (asked) => inPhotoshop(() => enhanceLayer(made.tools, order(made.world, asked)));
  return { ...made, document, run };
}

/** Refused by name, in a sentence, before anything was changed. */
async function refused({ run, document, explain, world }, code, asked) {
  const states = document ? document.history.length : 0;
  await assert.rejects(run(asked), (problem) => {
    assert.equal(problem.code, code);
    assert.doesNotMatch(explain(problem), /\{|undefined/);
    assert.match(explain(problem), /\.$/);
    return true;
  });
  if (document) assert.equal(document.history.length, states);
  assert.equal(world.liveImages, 0);
}

const names = (layers) => layers.map((layer) => layer.name);

for (const mode of ["CMYK", "Indexed", "Bitmap", "Duotone", "Multichannel"]) {
  test(`${mode} is refused in a plain sentence, and never converted by itself`, async () => {
    const made = await opened({ mode });
    await refused(made, "mode_unsupported");
    assert.equal(made.document.colour, mode);
    assert.deepEqual(made.world.duplicated, []);
  });
}

test("an RGB copy is made only when it was asked for; the original stays", async () => {
  const { world, tools, document } = await opened({ mode: "CMYK" });
  await inPhotoshop(() => tools.host.duplicateAsRgb("Untitled RGB"));
  assert.deepEqual(world.duplicated, [{ name: "Untitled RGB", merged: true }]);
  assert.equal(document.colour, "CMYK");
  assert.equal(world.activeDocument.colour, "RGB");
});

test("nothing to work on is said for what it is", async () => {
  const made = await scene(bridge);
  const { enhanceLayer } = made.world.load("src/enhance.js");
  const run = () => enhanceLayer(made.tools, order(made.world));
  await refused({ ...made, run }, "no_document");
  const other = await opened();
  other.document.active = [];
  await refused(other, "no_layer");
  const [a, b] = [other.document.addLayer(PHOTO), other.document.addLayer(PHOTO)];
  other.document.active = [a.id, b.id];
  await refused(other, "many_layers");
});

test("hidden layers, and layers in hidden groups, are not worked on", async () => {
  const made = await opened();
  made.document.addLayer({ ...PHOTO, visible: false });
  await refused(made, "layer_hidden");
  const group = made.document.addLayer({ kind: "group", name: "Group", children: [], visible: false });
  made.document.addLayer({ ...PHOTO, parent: group });
  await refused(made, "layer_hidden");
});

test("empty layers, layers off the canvas and adjustment layers are refused", async () => {
  const made = await opened();
  made.document.addLayer({ name: "Empty", raster: new Raster(8, 4) });
  await refused(made, "layer_empty");
  made.document.addLayer({ ...PHOTO, rect: rectOf(500, 0, 50, 50) });
  await refused(made, "layer_outside");
  made.document.addLayer({ kind: "curves", name: "Curves" });
  await refused(made, "layer_without_pixels");
});

test("everything visible can be worked on instead; the result lies on top of it", async () => {
  const made = await opened();
  made.document.addLayer(PHOTO);
  const curves = made.document.addLayer({ kind: "curves", name: "Curves" });
  const outcome = await made.run({ settings: { source: "visible" } });
  assert.equal(outcome.restored, 1);
  assert.deepEqual(names(made.document.state.layers), ["GPEN Default, strength 70", "Curves", "Photo"]);
  assert.deepEqual(made.document.active, [curves.id]);
});

for (const mode of ["Grayscale", "RGB"])
  test(`everything visible on a transparent canvas stays transparent where it was, and in its place: ${mode}`, async () => {
    const gray = mode === "Grayscale";
    const made = await opened({ mode, ...(gray ? { profile: "Gray Gamma 2.2" } : {}) });
    const rect = rectOf(13, 9, 390, 310);
    made.document.addLayer({ ...PHOTO, rect, paint: painter([{ left: 0, top: 20 }], { gray, alpha: (x) => (x > 380 ? 0 : 1) }) });
    const before = made.document.composite(WHOLE);
    const outcome = await made.run({ settings: { source: "visible" }, parameters: { denoise: 20 } });
    assert.equal(outcome.restored, 1);
    const now = made.document.composite(WHOLE);
    const channels = gray ? 2 : 4;
    let [difference, count] = [0, 0];
    for (let at = 0; at < now.length; at += channels) {
      if (now[at + channels - 1] !== before[at + channels - 1]) assert.fail(`alpha at ${at / channels} is ${now[at + channels - 1]}`);
      if (now[at + channels - 1] === 0) continue;
      difference += Math.abs(now[at] - before[at]);
      count += 1;
    }
    assert.ok(difference / count < 6, `a pixel changed by ${difference / count} on average`);
  });

test("locked layers, smart objects, type and groups are read; the result is a pixel layer above", async () => {
  for (const facts of [{ locked: true }, { kind: "smartObject" }, { kind: "text" }]) {
    const made = await opened();
    const source = made.document.addLayer({ ...PHOTO, ...facts });
    assert.equal((await made.run()).restored, 1);
    assert.deepEqual(names(made.document.state.layers), ["GPEN Default, strength 70", "Photo"]);
    assert.deepEqual(made.document.active, [source.id], "enhancing again must start from the photo");
  }
  const made = await opened();
  const group = made.document.addLayer({ kind: "group", name: "Group", children: [] });
  made.document.addLayer({ ...PHOTO, parent: group });
  made.document.active = [group.id];
  assert.equal((await made.run()).restored, 1);
  assert.deepEqual(names(made.document.state.layers), ["GPEN Default, strength 70", "Group"]);
});

test("a layer partly off the canvas is worked on where it can be seen", async () => {
  const made = await opened();
  made.document.addLayer({ ...PHOTO, rect: rectOf(-100, -60, 700, 500), paint: painter([{ left: -40, top: -50 }]) });
  assert.equal((await made.run()).restored, 1);
  const { left, top, right, bottom } = made.document.state.layers[0].raster.bounds;
  assert.ok(left >= 0 && top >= 0 && right <= 420 && bottom <= 330);
});

test("on an artboard the result stays on it", async () => {
  const made = await opened({ width: 1000 });
  const artboard = rectOf(500, 0, 420, 330);
  const board = made.document.addLayer({ kind: "group", name: "Artboard", children: [], artboard });
  made.document.addLayer({ ...PHOTO, parent: board, rect: rectOf(480, 0, 500, 330), paint: painter([{ left: 500, top: 20 }]) });
  assert.equal((await made.run()).restored, 1);
  const now = made.document.state.layers[0];
  assert.deepEqual(names(now.children), ["GPEN Default, strength 70", "Photo"]);
  assert.ok(now.children[0].raster.bounds.left >= 500);
  made.document.active = [now.id];
  assert.equal((await made.run()).restored, 1);
  assert.equal(made.document.state.layers.length, 1);
  assert.equal(made.document.state.layers[0].children.length, 3);
});

test("clipped layers keep their base", async () => {
  const made = await opened();
  const base = made.document.addLayer(PHOTO);
  made.document.addLayer({ name: "Tint", clipped: true, rect: WHOLE, paint: () => [90, 90, 90, 40] });
  made.document.active = [base.id];
  await made.run({ parameters: { denoise: 20 } });
  assert.deepEqual(
    made.document.state.layers.map((layer) => [layer.name, layer.clipped]),
    [["Tint", true], ["GPEN Default, strength 70", true], ["GPEN denoise 20, sharpen 0", true], ["Photo", false]],
  );
});

/** What the document shows with the source replaced by what the bridge made of it, at the layer's full strength. */
function wholeInstead({ document }, source) {
  const results = document.state.layers.filter((layer) => layer.name.startsWith("GPEN"));
  const values = source.raster.read(WHOLE);
  const real = Float64Array.from(values, (value, at) => (at % 4 === 3 ? 255 : value));
  for (const layer of results.reverse()) {
    const restored = layer.raster.read(WHOLE).map((value, at) => (at % 4 === 3 ? 255 : value));
    document.blend(real, restored, document.coverage(layer, WHOLE), "normal", true);
  }
  const kept = { source: source.raster, layers: document.state.layers };
  source.raster = new Raster(8, 4);
  source.raster.write(WHOLE, Uint8Array.from(real, (value, at) => (at % 4 === 3 ? values[at] : Math.round(value))));
  document.state.layers = kept.layers.filter((layer) => !results.includes(layer));
  const picture = document.composite(WHOLE);
  Object.assign(document.state, { layers: kept.layers });
  source.raster = kept.source;
  return picture;
}

function assertNear(got, wanted) {
  got.forEach((value, at) => {
    if (Math.abs(value - wanted[at]) > 1) assert.fail(`value ${at} is ${value}, not ${wanted[at]}`);
  });
}

const ramp = new Uint8Array(420 * 330).map((_, at) => Math.max(0, Math.min(255, (at % 420) - 150)));
const SHAPES = {
  "soft edges": { paint: painter([{ left: 0, top: 20 }], { alpha: (x) => Math.max(0, Math.min(1, (x - 150) / 255)) }) },
  "a soft mask": { mask: "user" },
  "a vector mask": { mask: "vector" },
  "opacity 60": { opacity: 60 },
  "fill 60": { fillOpacity: 60 },
  "the mode Multiply": { blendMode: "multiply" },
};
for (const [name, { mask, ...facts }] of Object.entries(SHAPES)) {
  test(`${name}: the result takes the layer's shape, opacity and mode, and covers nothing twice`, async () => {
    for (const parameters of [{}, { sharpen: 40 }]) {
      const made = await opened();
      const ground = made.document.addLayer({ name: "Ground", rect: WHOLE, paint: (x) => [x % 256, 200, 60, 255] });
      const source = made.document.addLayer({ ...PHOTO, ...facts });
      if (mask) made.document.addMask(source, mask, WHOLE, ramp);
      const before = made.document.composite(WHOLE);
      const outcome = await made.run({ parameters });
      assert.deepEqual([outcome.restored, outcome.warnings], [1, []]);
      const now = made.document.composite(WHOLE);
      assertNear(now, wholeInstead(made, source));
      assert.ok(now.some((value, at) => Math.abs(value - before[at]) > 3), "nothing was restored");
      const results = made.document.state.layers.slice(0, -2);
      assert.equal(results.length, parameters.sharpen ? 2 : 1);
      assert.ok(results.every((layer) => layer.clipped && layer.kind === "pixel" && layer.blendMode === "normal"));
      assert.deepEqual([ground.clipped, source.clipped], [false, false]);
    }
  });
}

test("in gray documents too, where the layer's transparency does not come with its pixels", async () => {
  const made = await opened({ mode: "Grayscale", profile: "Gray Gamma 2.2" });
  made.document.addLayer({ name: "Ground", rect: WHOLE, paint: (x) => [x % 256, 255] });
  const alpha = (x) => (x > 350 ? 0 : x > 217 ? 0.5 : 1);
  const source = made.document.addLayer({ ...PHOTO, paint: painter([{ left: 0, top: 20 }], { gray: true, alpha }) });
  await made.run();
  const [result] = made.document.state.layers;
  assert.equal(result.clipped, true);
  const [now, photo, shown] = [made.document.composite(WHOLE), source.raster.read(WHOLE), result.raster.read(WHOLE)];
  const mask = result.masks.user.read(WHOLE);
  for (let pixel = 0; pixel < mask.length; pixel += 1) {
    const share = (mask[pixel] / 255) * 0.7;
    const covered = photo[2 * pixel + 1] / 255;
    const value = (photo[2 * pixel] * (1 - share) + shown[2 * pixel] * share) * covered + ((pixel % 420) % 256) * (1 - covered);
    if (Math.abs(now[2 * pixel] - value) > 1) assert.fail(`pixel ${pixel} is ${now[2 * pixel]}, not ${value}`);
  }
});

test("an opaque layer, and the Background, need no clipping", async () => {
  for (const facts of [{}, { background: true }]) {
    const made = await opened();
    made.document.addLayer({ ...PHOTO, ...facts });
    await made.run({ parameters: { denoise: 20 } });
    assert.equal(made.document.state.layers[0].kind, "group");
    assert.ok([...made.document.nodes()].every((layer) => !layer.clipped));
  }
});

test("the opacity that counts is the one when the result is written", async () => {
  const made = await opened();
  const source = made.document.addLayer(PHOTO);
  const { enhance } = made.tools.bridge;
  made.tools.bridge.enhance = async (...given) => {
    source.opacity = 50;
    made.document.record("Opacity");
    return enhance.apply(made.tools.bridge, given);
  };
  await made.run();
  assert.equal(made.document.state.layers[0].clipped, true);
});

test("layers that are clipped to the source stay so, and its soft edges still count once", async () => {
  const made = await opened();
  made.document.addLayer({ name: "Ground", rect: WHOLE, paint: () => [20, 200, 60, 255] });
  const source = made.document.addLayer({ ...PHOTO, ...SHAPES["soft edges"] });
  made.document.addMask(source, "user", WHOLE, ramp);
  made.document.addLayer({ name: "Tint", clipped: true, rect: WHOLE, paint: () => [90, 90, 90, 40] });
  made.document.active = [source.id];
  await made.run();
  const layers = made.document.state.layers;
  assert.deepEqual(layers.map((layer) => layer.clipped), [true, true, false, false]);
  assert.ok(layers[1].masks.user.read(WHOLE).includes(255));
  assert.deepEqual(names([layers[0], layers[2]]), ["Tint", "Photo"]);
  assertNear(made.document.composite(WHOLE), wholeInstead(made, source));
});

test("a clipped layer cannot be a base: the result joins its group, and it is said where that covers more", async () => {
  for (const [facts, warnings] of [[{}, []], [{ opacity: 60 }, ["covers_more"]], [{ blendMode: "multiply" }, ["covers_more"]]]) {
    const made = await opened();
    made.document.addLayer({ name: "Frame", rect: rectOf(200, 0, 220, 330), paint: () => [0, 0, 0, 255] });
    made.document.addLayer({ ...PHOTO, clipped: true, ...facts });
    const outcome = await made.run();
    assert.deepEqual(outcome.warnings, warnings);
    assert.deepEqual(made.document.state.layers.map((layer) => layer.clipped), [true, true, false]);
    for (const warning of warnings) assert.match(made.say(warning), /covers more/);
  }
});

test("a group is a base too, unless drawing it by itself would change what is seen", async () => {
  const soft = { ...PHOTO, ...SHAPES["soft edges"] };
  const inside = {
    "a cut-out": [[soft], true],
    "a cut-out with a tint clipped to it": [[soft, { name: "Tint", clipped: true, blendMode: "multiply", rect: WHOLE, paint: () => [90, 90, 90, 40] }], true],
    "a layer that multiplies with what is below the group": [[{ ...soft, blendMode: "multiply" }], false],
    "an adjustment": [[soft, { kind: "curves", name: "Curves" }], false],
    "an adjustment that is off": [[soft, { kind: "curves", name: "Curves", visible: false }], true],
  };
  for (const [name, [layers, clipped]] of Object.entries(inside)) {
    for (const blendMode of ["passThrough", "normal"]) {
      const made = await opened();
      const group = made.document.addLayer({ kind: "group", name: "Group", children: [], blendMode });
      for (const layer of layers) made.document.addLayer({ ...layer, parent: group });
      made.document.active = [group.id];
      const outcome = await made.run();
      const expected = clipped || blendMode === "normal";
      assert.equal(made.document.state.layers[0].clipped, expected, `${name}, ${blendMode}`);
      assert.deepEqual(outcome.warnings, expected ? [] : ["covers_more"]);
    }
  }
});

test("a mask that is off does not limit the result", async () => {
  const half = new Uint8Array(420 * 330).map((_, at) => (at % 420 < 217 ? 255 : 0));
  const made = await opened();
  const off = made.document.addLayer({ ...PHOTO, maskEnabled: false });
  made.document.addMask(off, "user", WHOLE, half);
  await made.run();
  assert.ok(made.document.state.layers[0].masks.user.read(WHOLE).some((value, at) => value > 0 && at % 420 >= 217));
  assert.equal(made.document.state.layers[0].clipped, false);
});

test("a clipped layer's own masks are repeated by the result", async () => {
  const half = new Uint8Array(420 * 330).map((_, at) => (at % 420 < 217 ? 255 : 0));
  for (const kind of ["user", "vector"]) {
    const made = await opened();
    made.document.addLayer({ name: "Frame", rect: WHOLE, paint: () => [0, 0, 0, 255] });
    made.document.addMask(made.document.addLayer({ ...PHOTO, clipped: true }), kind, WHOLE, half);
    await made.run();
    const mask = made.document.state.layers[0].masks.user.read(WHOLE);
    assert.ok(mask.some((value) => value > 0));
    assert.ok(mask.every((value, at) => value === 0 || at % 420 < 217));
  }
});

test("a selection bounds what is changed, of faces and of the whole layer", async () => {
  const made = await opened();
  made.document.addLayer(PHOTO);
  const feathered = new Uint8Array(90 * 200).map((_, at) => (at % 90 < 45 ? 255 : 128));
  made.document.select(rectOf(260, 60, 90, 200), feathered);
  await made.run({ parameters: { sharpen: 40 } });
  for (const layer of made.document.state.layers[0].children) {
    const mask = layer.masks.user.read(WHOLE);
    mask.forEach((value, at) => {
      const [x, y] = [at % 420, Math.floor(at / 420)];
      const inside = x >= 260 && x < 350 && y >= 60 && y < 260;
      const most = !inside ? 0 : x < 305 ? 255 : 128;
      if (value > most) assert.fail(`${layer.name} at ${x}, ${y} has ${value}, more than ${most}`);
    });
    assert.ok(mask.some((value) => value === 128));
  }
  made.document.select(rectOf(0, 0, 40, 40));
  made.document.active = [made.document.state.layers.at(-1).id];
  const outcome = await made.run();
  assert.deepEqual([outcome.found, outcome.restored, outcome.shown], [1, 0, []]);
});

test("a selection that does not touch the layer is refused", async () => {
  const made = await opened();
  made.document.addLayer({ ...PHOTO, rect: rectOf(0, 0, 420, 300) });
  made.document.select(rectOf(10, 310, 20, 10));
  await refused(made, "selection_outside");
});

test("no face is a result, and leaves no trace", async () => {
  const made = await opened();
  made.document.addLayer({ ...PHOTO, paint: painter([]) });
  const states = made.document.history.length;
  const outcome = await made.run();
  assert.deepEqual([outcome.found, outcome.shown], [0, []]);
  assert.equal(made.document.history.length, states);
});

test("one layer for each face, each with its own strength; unticked ones are left out", async () => {
  const made = await opened({ width: 1100 });
  made.document.addLayer({ ...PHOTO, rect: rectOf(0, 0, 1100, 330), paint: painter([{ left: 0, top: 20 }, { left: 540, top: 20 }]) });
  const { capture } = made.world.load("src/enhance.js");
  const { findFaces } = made.world.load("src/faces.js");
  const captured = await capture(made.tools, order(made.world));
  const faces = (await findFaces(made.tools, captured.target, {})).sort((a, b) => a.box[0] - b.box[0]);
  assert.equal(faces.length, 2);
  const found = { ...captured, faces: [{ ...faces[0], strength: 40 }, { ...faces[1], strength: 90 }] };
  await made.run({ settings: { layers: "each" }, found });
  const group = made.document.state.layers[0];
  assert.deepEqual(group.children.map((layer) => [layer.name, layer.opacity]), [["GPEN face 2, strength 90", 90], ["GPEN face 1, strength 40", 40]]);
  made.document.undo();

  await made.run({ found });
  const [layer] = made.document.state.layers;
  assert.equal(layer.opacity, 90);
  const mask = layer.masks.user.read(rectOf(0, 0, 1100, 330));
  const most = (from, to) => mask.reduce((top, value, at) => (at % 1100 >= from && at % 1100 < to ? Math.max(top, value) : top), 0);
  assert.equal(most(540, 1100), 255);
  assert.equal(most(0, 540), Math.round((255 * 40) / 90), "the weaker face's strength is in the mask");
  made.document.undo();

  const outcome = await made.run({ found: { ...found, faces: [{ ...faces[0], wanted: false }, faces[1]] } });
  assert.equal(outcome.restored, 1);
  assert.ok(made.document.state.layers[0].raster.bounds.left > 540);
});

test("faces that are close together are restored together", async () => {
  const { regionsOf } = (await scene(null)).world.load("src/geometry.js");
  const face = (x, y, size) => ({
    box: [x, y, x + size, y + size],
    landmarks: [[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]].map(([u, v]) => [x + u * size, y + v * size]),
    score: 1,
  });
  const canvas = rectOf(0, 0, 2000, 1000);
  const regions = regionsOf([face(200, 300, 100), face(1500, 300, 100), face(320, 300, 90)], canvas);
  assert.deepEqual(regions.map((region) => region.faces.length).sort(), [1, 2]);
  assert.ok(regions[0].rect.right <= regions[1].rect.left || regions[1].rect.right <= regions[0].rect.left);
});

const MEANWHILE = {
  document_closed: ({ world, document }) => world.close(document),
  layer_gone: ({ document }) => void (document.state.layers = []),
  document_changed: ({ document }) => void (document.state.size.width = 300),
  layer_changed: ({ document }) => document.state.layers[0].raster.write(rectOf(0, 0, 200, 200), new Uint8Array(160000).fill(9)),
};
for (const [code, change] of Object.entries(MEANWHILE)) {
  test(`${code}: what the user did meanwhile is noticed, and nothing is written`, async () => {
    const made = await opened();
    made.document.addLayer(PHOTO);
    const { enhance } = made.tools.bridge;
    made.tools.bridge.enhance = async (...given) => {
      const answer = await enhance.apply(made.tools.bridge, given);
      change(made);
      return answer;
    };
    await refused(made, code);
    assert.ok(made.document.state.layers.length <= 1);
  });
}

/** A few levels in one pixel, as a healing brush leaves them: too little for a small picture of the layer. */
function retouched({ document }, layer, x, y) {
  const rect = rectOf(x, y, 1, 1);
  layer.raster.write(rect, layer.raster.read(rect).map((value, at) => (at === 3 ? value : value - 12)));
  document.record("Healing Brush");
}

async function runWhile(made, change, asked) {
  const { enhance } = made.tools.bridge;
  made.tools.bridge.enhance = async (...given) => {
    const answer = await enhance.apply(made.tools.bridge, given);
    made.tools.bridge.enhance = enhance; // a second rectangle is asked for undisturbed
    change();
    return answer;
  };
  const before = made.document.history.length;
  const outcome = await made.run(asked).catch((problem) => problem);
  return { outcome, states: made.document.history.length - before };
}

test("a small retouch meanwhile, where the result would hide it, is noticed", async () => {
  for (const [x, y, parameters] of [[300, 150, {}], [5, 5, { denoise: 20 }]]) {
    const made = await opened();
    const source = made.document.addLayer(PHOTO);
    const { outcome, states } = await runWhile(made, () => retouched(made, source, x, y), { parameters });
    assert.equal(outcome.code, "layer_changed");
    assert.equal(states, 1, "only the retouch");
    assert.equal(made.world.liveImages, 0);
  }
});

test("in gray documents an erased pixel is noticed as well", async () => {
  const made = await opened({ mode: "Grayscale", profile: "Gray Gamma 2.2" });
  const source = made.document.addLayer({ ...PHOTO, paint: painter([{ left: 0, top: 20 }], { gray: true }) });
  const erase = () => {
    source.raster.write(rectOf(300, 150, 1, 1), Uint8Array.of(source.raster.read(rectOf(300, 150, 1, 1))[0], 200));
    made.document.record("Eraser");
  };
  const { outcome } = await runWhile(made, erase);
  assert.equal(outcome.code, "layer_changed");
});

test("work elsewhere meanwhile is no reason to stop: beside the faces, on other layers, or undone", async () => {
  const elsewhere = {
    "beside the faces": (made, source) => retouched(made, source, 5, 5),
    "on another layer": (made, source, other) => retouched(made, other, 300, 150),
    undone: (made, source) => {
      retouched(made, source, 300, 150);
      made.document.undo();
    },
  };
  for (const [name, change] of Object.entries(elsewhere)) {
    const made = await opened();
    const other = made.document.addLayer({ ...PHOTO, name: "Other" });
    const source = made.document.addLayer(PHOTO);
    const { outcome } = await runWhile(made, () => change(made, source, other));
    assert.equal(outcome.restored, 1, name);
  }
});

test("found faces are used again after an enhancement, and found anew after a retouch of a face", async () => {
  const made = await opened();
  const source = made.document.addLayer(PHOTO);
  const { Model } = made.world.load("src/state.js");
  const model = new Model({ tools: made.tools, storage: globalThis.localStorage, onChange: () => {} });
  model.setParameters({ denoise: 0, sharpen: 0 });
  let asked = 0;
  const { faces } = made.tools.bridge;
  made.tools.bridge.faces = (...given) => ((asked += 1), faces.apply(made.tools.bridge, given));
  const enhanced = async () => {
    await inPhotoshop(() => model.enhance());
    assert.equal(model.state.problem, null);
    return made.document.state.layers.at(-2).opacity; // the newest lies right above the photo
  };
  await inPhotoshop(() => model.findFaces());
  model.setFace(0, { strength: 40 });
  assert.deepEqual([await enhanced(), await enhanced(), asked], [40, 40, 1]);
  retouched(made, source, 300, 150);
  assert.deepEqual([await enhanced(), asked], [70, 2]);
});

test("the user may switch documents meanwhile; the result goes where it belongs", async () => {
  const made = await opened();
  made.document.addLayer(PHOTO);
  const { enhance } = made.tools.bridge;
  made.tools.bridge.enhance = async (...given) => {
    const answer = await enhance.apply(made.tools.bridge, given);
    made.world.open({ width: 10, height: 10 });
    return answer;
  };
  await made.run();
  assert.equal(made.document.state.layers.length, 2);
});

test("a look through a cached pyramid level covers what it says, in pixels of the document", async () => {
  const made = await opened({ width: 1200, height: 800 });
  const rect = rectOf(101, 51, 1000, 700);
  made.document.addLayer({ ...PHOTO, rect, paint: (x, y) => [x % 256, y % 256, 128, 255] });
  const target = await made.tools.host.targetOf(null, "layer");
  const look = await made.tools.pixels.readLook(target, target.bounds, 40000);
  assert.ok(made.world.reads.at(-1).rect.right === 1101 && look.width < 260);
  assert.deepEqual([look.rect.left, look.rect.top], [101, 51].map((at) => Math.max(at, Math.floor(at / 4) * 4)));
  assert.deepEqual([look.rect.right, look.rect.bottom], [1101, 751]);
  assert.equal(look.samples.length, look.width * look.height * 3);
});
