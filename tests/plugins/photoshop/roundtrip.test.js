"use strict";
// A layer to the bridge and back, in every kind of document: pixels compared exactly with the bridge's own
// answer for the whole picture.

const assert = require("node:assert/strict");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { FULL } = require("./support/raster.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");

const WHOLE = rectOf(0, 0, 420, 330);
/** The face is about 90 pixels wide and lies at (262, 100). */
const PLACE = { left: 0, top: 20 };
let bridge;
before(async () => {
  bridge = await startBridge();
});

/** A document with one portrait on one layer, enhanced; and what it was before. */
async function enhanced({ facts = {}, layer = {}, paint = {}, ...asked } = {}) {
  const { world, tools } = await scene(bridge);
  const bits = facts.bits || 8;
  const document = world.open({ width: 420, height: 330, ...facts });
  const options = { full: FULL[bits], gray: facts.mode === "Grayscale", ...paint };
  const source = document.addLayer({ name: "Photo", rect: WHOLE, paint: painter([PLACE], options), ...layer });
  const before = { picture: document.composite(WHOLE), source: source.raster.read(WHOLE), history: document.history.length };
  const { enhanceLayer } = world.load("src/enhance.js");
  const outcome = await inPhotoshop(() => enhanceLayer(tools, order(world, asked)));
  return { world, tools, document, source, before, outcome, top: document.state.layers[0] };
}

/** The bridge's answer for the whole layer at once, and the faces that were asked for. */
async function answerForAll({ world, tools }, asked = {}) {
  const { capture } = world.load("src/enhance.js");
  const { findFaces } = world.load("src/faces.js");
  const { Ledger, inHost, restore } = world.load("src/work.js");
  const { target, form } = await capture(tools, order(world));
  const faces = (await findFaces(tools, target, {})).map(({ box, landmarks, score }) => ({ box, landmarks, score }));
  const question = { compose: "layers", faces, params: { strength: 70, denoise: 0, sharpen: 0, mode: "natural", ...asked } };
  const source = inHost(tools, target, form, {});
  return { ...(await restore(tools.bridge, source, target.bounds, form.profile, question, {}, new Ledger())), form };
}

function assertOneCleanStep({ document, before, world, source }) {
  assert.equal(document.history.length, before.history + 1);
  assert.match(document.history.at(-1).name, /^GPEN Enhance: /);
  assert.deepEqual(source.raster.read(WHOLE), before.source, "the source layer was written to");
  assert.equal(world.liveImages, 0, "image data was not disposed of");
  document.undo();
  assert.deepEqual(document.composite(WHOLE), before.picture, "undo does not give the picture back");
  document.history.push(document.history.at(-1));
}

/** assert.equal for every pixel would take minutes. */
function assertSame(got, wanted) {
  if (got !== wanted) assert.equal(got, wanted);
}

/** The new layer is the bridge's answer at the host's own levels, its mask the bridge's mask in eight bits. */
async function assertExactlyTheBridges(done) {
  const { top, document } = done;
  const { image, mask, form } = await answerForAll(done);
  const rect = top.raster.bounds;
  const wanted = await image.read(rect);
  const feather = await mask.read(rect);
  const got = top.raster.read(rect);
  const gotMask = top.masks.user.read(rect);
  const channels = top.raster.channels;
  const [full, wire] = [FULL[document.bits], { u8: 255, u16: 65535, f32: 1 }[image.depth]];
  let inside = 0;
  for (let pixel = 0; pixel < feather.length; pixel += 1) {
    assertSame(gotMask[pixel], Math.round((255 * feather[pixel]) / wire));
    if (feather[pixel] === 0) continue;
    inside += 1;
    for (let c = 0; c < channels - 1; c += 1) {
      const value = wanted[pixel * form.channels + c];
      const stored = document.bits === 32 ? value : Math.round((value * full) / wire);
      assertSame(got[pixel * channels + c], stored);
    }
  }
  assert.ok(inside > 5000, `only ${inside} pixels were restored`);
  return { rect, feather };
}

/** Where the mask is 0 the document shows what it showed, bit for bit; inside, something changed. */
function assertUntouchedOutside({ document, before, top }) {
  const now = document.composite(WHOLE);
  const mask = top.masks.user ? top.masks.user.read(WHOLE) : null;
  const channels = top.raster.channels;
  let changed = 0;
  for (let pixel = 0; pixel < now.length / channels; pixel += 1) {
    let same = true;
    for (let at = pixel * channels; at < (pixel + 1) * channels; at += 1) same = same && now[at] === before.picture[at];
    if (same) continue;
    changed += 1;
    if (!(mask && mask[pixel] > 0)) assert.fail(`pixel ${pixel} changed outside of the mask`);
  }
  assert.ok(changed > 5000, `only ${changed} pixels changed`);
}

const DOCUMENTS = {
  "8-bit sRGB": {},
  "8-bit Adobe RGB": { profile: "Adobe RGB (1998)" },
  "16-bit ProPhoto RGB": { bits: 16, profile: "ProPhoto RGB" },
  "32-bit linear sRGB": { bits: 32 },
  "8-bit gray": { mode: "Grayscale", profile: "Gray Gamma 2.2" },
  "16-bit gray": { mode: "Grayscale", profile: "Gray Gamma 2.2", bits: 16 },
};

for (const [name, facts] of Object.entries(DOCUMENTS)) {
  test(`${name}: exactly the bridge's pixels, one step, nothing else touched`, async () => {
    const done = await enhanced({ facts });
    assert.equal(done.outcome.restored, 1);
    assert.deepEqual(done.outcome.warnings, []);
    assert.equal(done.top.opacity, 70);
    await assertExactlyTheBridges(done);
    assertUntouchedOutside(done);
    assertOneCleanStep(done);
    const profiles = done.world.reads.filter((read) => read.bits === done.document.bits && read.layerID === done.source.id);
    assert.ok(profiles.every((read) => read.profile.startsWith(done.document.profile) || read.profile.startsWith("sRGB")));
  });
}

test("a Background layer has three components and stays as it is", async () => {
  const done = await enhanced({ layer: { name: "Background", background: true } });
  await assertExactlyTheBridges(done);
  assertOneCleanStep(done);
});

test("Lab travels as 16-bit ProPhoto RGB and comes back where it was", async () => {
  const { converter } = require("./support/colour.js");
  const toLab = converter("sRGB IEC61966-2.1", "Lab D50");
  const rgb = painter([PLACE]);
  const paint = (x, y) => [...toLab(rgb(x, y).slice(0, 3).map((v) => v / 255)).map((v) => Math.round(v * 32768)), 32768];
  const facts = { mode: "Lab", bits: 16, profile: "Lab D50" };
  const done = await enhanced({ facts, layer: { paint } });
  assert.equal(done.outcome.restored, 1);
  assertUntouchedOutside(done);
  assertOneCleanStep(done);
});

test("transparent pixels stay transparent, also in gray, where they come without alpha", async () => {
  for (const facts of [{}, { mode: "Grayscale", profile: "Gray Gamma 2.2" }]) {
    const alpha = (x, y) => (x > 350 ? 0 : y > 200 ? 0.5 : 1);
    const done = await enhanced({ facts, paint: { alpha } });
    assert.equal(done.outcome.restored, 1);
    const now = done.document.composite(WHOLE);
    const channels = done.top.raster.channels;
    for (let pixel = 0; pixel < now.length / channels; pixel += 1)
      if (done.before.picture[pixel * channels + channels - 1] === 0) assertSame(now[pixel * channels + channels - 1], 0);
    assertOneCleanStep(done);
  }
});

test("denoise and sharpen are a layer of their own, below the faces, in one group and one step", async () => {
  const done = await enhanced({ parameters: { denoise: 30, sharpen: 50 } });
  const group = done.document.state.layers[0];
  assert.equal(group.name, "GPEN Enhance: Default");
  assert.deepEqual(group.children.map((layer) => [layer.name, layer.opacity]), [
    ["GPEN Default, strength 70", 70],
    ["GPEN denoise 30, sharpen 50", 100],
  ]);
  const { Ledger, inHost, restore } = done.world.load("src/work.js");
  const { capture } = done.world.load("src/enhance.js");
  const { target, form } = await capture(done.tools, order(done.world));
  const params = { strength: 0, denoise: 30, sharpen: 50 };
  const { image } = await restore(done.tools.bridge, inHost(done.tools, target, form, {}), WHOLE, form.profile, { params }, {}, new Ledger());
  assert.deepEqual(group.children[1].raster.read(WHOLE), await image.read(WHOLE));
  assertOneCleanStep(done);
});

test("denoise alone needs no face and looks for none", async () => {
  const done = await enhanced({ parameters: { strength: 0, denoise: 40 } });
  assert.deepEqual(done.document.state.layers.map((layer) => layer.name), ["GPEN denoise 40, sharpen 0", "Photo"]);
  assert.equal(done.outcome.found, 0);
  assertOneCleanStep(done);
});

test("a profile that the bridge does not know is converted there and back by Photoshop, and it says so", async () => {
  for (const facts of [{ profile: "Studio Camera 7", bits: 16 }, { profile: "Dot Gain 20%", mode: "Grayscale" }]) {
    const done = await enhanced({ facts });
    assert.deepEqual(done.outcome.warnings, ["profile_converted"]);
    assert.equal(done.outcome.restored, 1);
    assertUntouchedOutside(done);
    // The restoration brightens only a little: a colour shift would show as a large change in the feather's rim.
    const now = done.document.composite(WHOLE);
    const rim = done.top.masks.user.read(WHOLE);
    for (let pixel = 0; pixel < rim.length; pixel += 1) {
      if (rim[pixel] === 0 || rim[pixel] > 8) continue;
      const at = pixel * done.top.raster.channels;
      assert.ok(Math.abs(now[at] - done.before.picture[at]) <= FULL[done.document.bits] / 40);
    }
    assertOneCleanStep(done);
  }
});
