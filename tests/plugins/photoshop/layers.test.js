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

test("the layer's own masks hide the restoration too, unless they are off", async () => {
  const half = new Uint8Array(420 * 330).map((_, at) => (at % 420 < 217 ? 255 : 0));
  for (const kind of ["user", "vector"]) {
    const made = await opened();
    made.document.addMask(made.document.addLayer(PHOTO), kind, WHOLE, half);
    await made.run();
    const mask = made.document.state.layers[0].masks.user.read(WHOLE);
    assert.ok(mask.some((value) => value > 0));
    assert.ok(mask.every((value, at) => value === 0 || at % 420 < 217));
  }
  const made = await opened();
  const off = made.document.addLayer({ ...PHOTO, maskEnabled: false });
  made.document.addMask(off, "user", WHOLE, half);
  await made.run();
  assert.ok(made.document.state.layers[0].masks.user.read(WHOLE).some((value, at) => value > 0 && at % 420 >= 217));
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
