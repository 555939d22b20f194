"use strict";
// Photos so large that a plug-in that reads them whole would be stopped by Photoshop.

const assert = require("node:assert/strict");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");

let bridge;
before(async () => {
  bridge = await startBridge();
});

test("small faces in a large photo are found through cached pyramid levels, where they are", async () => {
  const { world, tools } = await scene(bridge);
  const { enhanceLayer } = world.load("src/enhance.js");
  const document = world.open({ width: 9000, height: 6000 });
  const [left, top] = [5121, 3333];
  document.addLayer({ rect: rectOf(0, 0, 9000, 6000), paint: painter([{ left, top }]), procedural: true, background: true });
  await inPhotoshop(() => enhanceLayer(tools, order(world)));
  const { raster, masks } = document.state.layers[0];
  const mask = masks.user.read(raster.bounds);
  let [sum, x, y] = [0, 0, 0];
  const width = raster.bounds.right - raster.bounds.left;
  mask.forEach((value, at) => {
    sum += value;
    x += value * (raster.bounds.left + (at % width));
    y += value * (raster.bounds.top + Math.floor(at / width));
  });
  // The face's centre in the portrait is at about (217, 118).
  assert.ok(Math.abs(x / sum - left - 217) < 8, `x is off by ${x / sum - left - 217}`);
  assert.ok(Math.abs(y / sum - top - 118) < 12, `y is off by ${y / sum - top - 118}`);
});
