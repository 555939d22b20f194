"use strict";
// What users of comparable plug-ins complain about, one test each. The places are named as "owner/repository#number".
// (Packages that do not install by double click: tests/test_plugins.py.)

const assert = require("node:assert/strict");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { FOLDER } = require("./support/plugin.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");
const { FakeXMLHttpRequest } = require("./support/xhr.js");

const WHOLE = rectOf(0, 0, 420, 330);
let bridge;
before(async () => {
  bridge = await startBridge();
});

async function opened({ facts = {}, full = 255, layer = {} } = {}) {
  const made = await scene(bridge);
  const document = made.world.open({ width: 420, height: 330, ...facts });
  const source = document.addLayer({ name: "Photo", rect: WHOLE, paint: painter([{ left: 0, top: 20 }], { full }), ...layer });
  const { enhanceLayer } = made.world.load("src/enhance.js");
  const run = (asked) => inPhotoshop(() => enhanceLayer(made.tools, order(made.world, asked)));
  return { ...made, document, source, run };
}

test("colours do not shift in wide-gamut documents (zombieyang/sd-ppp#200, AbdullahAlfaraj/Auto-Photoshop-StableDiffusion-Plugin#170)", async () => {
  for (const profile of ["Adobe RGB (1998)", "Display P3", "ProPhoto RGB"]) {
    const { world, document, source, run } = await opened({ facts: { profile, bits: 16 }, full: 32768 });
    const before = document.composite(WHOLE);
    await run();
    assert.ok(world.writes.every((write) => write.profile === profile));
    assert.ok(world.reads.filter((read) => read.bits === 16).every((read) => read.profile === profile));
    // Where the feather has barely begun nothing but a conversion could move a pixel by more than a few levels.
    const [now, mask] = [document.composite(WHOLE), document.state.layers[0].masks.user.read(WHOLE)];
    for (let pixel = 0; pixel < mask.length; pixel += 1)
      for (let c = 0; c < 3; c += 1) {
        const difference = Math.abs(now[4 * pixel + c] - before[4 * pixel + c]);
        if (difference > (mask[pixel] * 32768) / 255 / 4) assert.fail(`${profile}: ${difference} where the mask is ${mask[pixel]}`);
      }
    assert.deepEqual(source.raster.read(WHOLE), document.state.layers[1].raster.read(WHOLE));
  }
});

test("no JPEG lies on the way (NimaNzrii/comfyui-photoshop#239)", async () => {
  const { world, run } = await opened();
  world.photoshop.imaging.encodeImageData = () => assert.fail("encodeImageData is for thumbnails");
  FakeXMLHttpRequest.sent.length = 0;
  await run();
  for (const { url, headers } of FakeXMLHttpRequest.sent.filter((one) => one.bytes > 1000))
    assert.equal(headers["Content-Type"], "application/x-gpen-frame", url);
});

test("opaque and Background layers do not crash it (zombieyang/sd-ppp#119)", async () => {
  const { run, document } = await opened({ layer: { background: true } });
  assert.equal((await run()).restored, 1);
  assert.equal(document.state.layers.length, 2);
});

test("16 bits stay 16 bits; where Photoshop refuses them with “Code: -1”, 8 are taken and it is said (zombieyang/sd-ppp#90)", async () => {
  const good = await opened({ facts: { bits: 16 }, full: 32768 });
  assert.deepEqual((await good.run()).warnings, []);
  const values = good.document.state.layers[0].raster.read(good.document.state.layers[0].raster.bounds);
  assert.ok(values.some((value) => value % 128 !== 0), "the result has more than 8 bits");
  const bad = await opened({ facts: { bits: 16 }, full: 32768 });
  bad.world.refusedDepths.add(16);
  const outcome = await bad.run();
  assert.deepEqual([outcome.restored, outcome.warnings], [1, ["depth_reduced"]]);
  assert.match(bad.say("depth_reduced"), /8 bits/);
});

test("the result comes back with a layer mask (zombieyang/sd-ppp#122)", async () => {
  for (const outside of [0, 255]) {
    const { world, document, run } = await opened();
    world.maskOutside = outside; // what lies beyond a mask that is smaller than the canvas is not documented
    const before = document.composite(WHOLE);
    await run();
    const [layer] = document.state.layers;
    const mask = layer.masks.user.read(layer.raster.bounds);
    assert.ok(mask.includes(255) && mask.includes(0) && mask.some((value) => value > 0 && value < 255));
    const now = document.composite(WHOLE);
    const { left, top, right, bottom } = layer.raster.bounds;
    for (let pixel = 0; pixel < 420 * 330; pixel += 1) {
      const [x, y] = [pixel % 420, Math.floor(pixel / 420)];
      if (x >= left && x < right && y >= top && y < bottom) continue;
      if (now[4 * pixel] !== before[4 * pixel]) assert.fail(`a pixel changed at ${x}, ${y}`);
    }
  }
});

test("“not connected” comes with its cause for every address (comfyui-photoshop#131, #150, #183, #321, isekaidev/stable.art#84)", async () => {
  const { tools, explain } = await scene(bridge, { paired: false });
  tools.bridge.addresses = ["http://127.0.0.1:9"];
  await assert.rejects(tools.bridge.connect(), (problem) => {
    assert.match(problem.detail, /127\.0\.0\.1:9: .*ECONNREFUSED/);
    assert.match(explain(problem), /gpen-bridge serve/);
    return true;
  });
});

test("plug-in and bridge of different versions say so before anything else (zombieyang/sd-ppp#117, #118)", async () => {
  const server = http.createServer((_, reply) => reply.end(JSON.stringify({ service: "gpen-bridge", status: "ok", version: "3.1.4", protocol: 7 })));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { tools, explain } = await scene(bridge, { paired: false });
  tools.bridge.addresses = [`http://127.0.0.1:${server.address().port}`];
  await assert.rejects(tools.bridge.connect(), (problem) => /3\.1\.4.*\b7\b.*\b1\b/.test(explain(problem)));
  server.close();
});

test("large layers need no socket and no huge request (comfyui-photoshop pull request 141, zombieyang/sd-ppp#153)", async () => {
  const { world, tools } = await scene(bridge);
  const { Ledger } = world.load("src/work.js");
  assert.equal(new Ledger().takes(rectOf(0, 0, 6000, 4000), 3, "u16"), false);
  Ledger.prototype.takes = () => false;
  const document = world.open({ width: 3000, height: 1500 });
  document.addLayer({ rect: rectOf(0, 0, 3000, 1500), paint: () => [120, 120, 120, 255], procedural: true, background: true });
  const { enhanceLayer } = world.load("src/enhance.js");
  FakeXMLHttpRequest.sent.length = 0;
  await inPhotoshop(() => enhanceLayer(tools, order(world, { parameters: { strength: 0, sharpen: 20 } })));
  const pieces = FakeXMLHttpRequest.sent.filter(({ method }) => method === "PATCH").map(({ bytes }) => bytes);
  assert.ok(pieces.length >= 3 && Math.max(...pieces) < 7e6);
  for (const name of fs.readdirSync(path.join(FOLDER, "src")))
    assert.doesNotMatch(fs.readFileSync(path.join(FOLDER, "src", name), "utf8"), /new WebSocket|placeEvent/);
});

test("Photoshop is never kept in a modal state by the network (Auto-Photoshop-StableDiffusion-Plugin#219)", async () => {
  const { world, run } = await opened();
  const { send } = FakeXMLHttpRequest.prototype;
  const scopes = [];
  FakeXMLHttpRequest.prototype.send = function counted(body) {
    scopes.push(world.scopes.length);
    return send.call(this, body);
  };
  try {
    await run({ parameters: { sharpen: 20 } });
  } finally {
    FakeXMLHttpRequest.prototype.send = send;
  }
  assert.ok(scopes.length >= 3);
  assert.ok(scopes.every((count) => count === 0));
  assert.equal(world.scopes.length, 0);
});

test("the original stays and can be compared by one click (Auto-Photoshop-StableDiffusion-Plugin#527, #232)", async () => {
  const { tools, document, source, run } = await opened();
  const before = document.composite(WHOLE);
  const original = source.raster.read(WHOLE);
  const outcome = await run({ parameters: { denoise: 30 } });
  const after = document.composite(WHOLE);
  await tools.host.show(outcome.documentID, outcome.shown, false);
  assert.deepEqual(document.composite(WHOLE), before);
  await tools.host.show(outcome.documentID, outcome.shown, true);
  assert.deepEqual(document.composite(WHOLE), after);
  assert.deepEqual(source.raster.read(WHOLE), original);
});

test("the layer arrives where it belongs, unscaled (AdobeDocs/uxp-photoshop-plugin-samples#97, sd-ppp 1.9.12)", async () => {
  const centre = async (layer) => {
    const { document, run } = await opened({ layer });
    await run();
    const mask = document.state.layers[0].masks.user.read(WHOLE);
    let [sum, x, y] = [0, 0, 0];
    mask.forEach((value, at) => {
      sum += value;
      x += value * (at % 420);
      y += value * Math.floor(at / 420);
    });
    return [x / sum, y / sum];
  };
  const [x, y] = await centre({});
  const moved = await centre({ rect: rectOf(-37, -11, 480, 380), paint: painter([{ left: -21, top: 13 }]) });
  assert.ok(Math.abs(moved[0] - (x - 21)) < 2 && Math.abs(moved[1] - (y - 7)) < 2, `${moved} instead of ${[x - 21, y - 7]}`);
});

test("a recorded step finds its function (hyperbrew/bolt-uxp#45)", async () => {
  const { world } = await scene(null);
  const { METHOD } = world.load("src/actions.js");
  const script = fs.readFileSync(path.join(FOLDER, "index.js"), "utf8");
  assert.match(script, new RegExp(`^async function ${METHOD}\\(executionContext, info\\)`, "m"), "declared at the top level");
});

test("the face stays the person's: a strength that can be turned down afterwards too (sczhou/CodeFormer#9, TencentARC/GFPGAN#336)", async () => {
  const changes = [];
  for (const strength of [10, 40, 70, 100]) {
    const { document, run } = await opened();
    const before = document.composite(WHOLE);
    await run({ parameters: { strength } });
    const [layer] = document.state.layers;
    assert.equal(layer.opacity, strength);
    const now = document.composite(WHOLE);
    changes.push(now.reduce((sum, value, at) => sum + (value - before[at]) ** 2, 0));
    layer.opacity = 0;
    assert.deepEqual(document.composite(WHOLE), before);
  }
  assert.deepEqual(changes, [...changes].sort((a, b) => a - b));
  assert.equal(new Set(changes).size, 4);
});

test("no edge shows, and the face is as grainy and as sharp as the rest (TencentARC/GFPGAN#347, invoke-ai/InvokeAI#662)", async () => {
  const { document, run } = await opened();
  await run({ parameters: { denoise: 30, sharpen: 50 } });
  const [faces, filtered] = document.state.layers[0].children;
  const { left, top, right, bottom } = faces.raster.bounds;
  const mask = faces.masks.user.read(faces.raster.bounds);
  const [width, height] = [right - left, bottom - top];
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const value = mask[y * width + x];
      const atEdge = x === 0 || y === 0 || x === width - 1 || y === height - 1;
      if (atEdge && value !== 0) assert.fail("the mask does not end before the picture does");
      if (x > 0 && Math.abs(value - mask[y * width + x - 1]) > 32) assert.fail(`the mask jumps at ${x}, ${y}`);
    }
  // Outside of the mask the face layer is the filtered picture, so faces were restored from what surrounds them.
  const [restored, around] = [faces.raster.read(faces.raster.bounds), filtered.raster.read(faces.raster.bounds)];
  for (let pixel = 0; pixel < mask.length; pixel += 1)
    if (mask[pixel] === 0 && restored[4 * pixel] !== around[4 * pixel]) assert.fail(`pixel ${pixel} differs`);
});
