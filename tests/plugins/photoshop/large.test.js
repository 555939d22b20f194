"use strict";
// Photos so large that a plug-in that reads them whole would be stopped by Photoshop.

const assert = require("node:assert/strict");
const http = require("node:http");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { Raster } = require("./support/raster.js");
const { inPhotoshop } = require("./support/world.js");
const { FakeXMLHttpRequest } = require("./support/xhr.js");

let bridge;
before(async () => {
  bridge = await startBridge();
});

/** The rectangle goes by upload and job, whatever its size: the way that large ones take. */
function alwaysFar(world) {
  const { Ledger } = world.load("src/work.js");
  Ledger.prototype.takes = () => false;
}

for (const facts of [{}, { bits: 16, profile: "ProPhoto RGB" }, { bits: 32 }]) {
  test(`by upload and job a layer comes back as in one request: ${facts.bits || 8} bits`, async () => {
    const results = [];
    for (const far of [false, true]) {
      const { world, tools } = await scene(bridge);
      if (far) alwaysFar(world);
      const { enhanceLayer } = world.load("src/enhance.js");
      const document = world.open({ width: 420, height: 330, ...facts });
      const full = { 8: 255, 16: 32768, 32: 1 }[facts.bits || 8];
      document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }], { full }) });
      const outcome = await inPhotoshop(() => enhanceLayer(tools, order(world, { parameters: { denoise: 20, sharpen: 30 } })));
      assert.equal(outcome.restored, 1);
      assert.equal(world.liveImages, 0);
      results.push(document.composite(rectOf(0, 0, 420, 330)));
    }
    assert.deepEqual(results[1], results[0]);
  });
}

test("a job is cancelled with the click, and what was written is acknowledged", async () => {
  const slow = await startBridge({ seconds: 60 });
  const { world, tools } = await scene(slow);
  alwaysFar(world);
  const { enhanceLayer } = world.load("src/enhance.js");
  const document = world.open({ width: 420, height: 330 });
  document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }]) });
  const asked = order(world);
  const running = enhanceLayer(tools, asked);
  running.catch(() => {});
  await slow.working();
  asked.cancellation.cancel();
  await assert.rejects(running, { code: "cancelled" });
  assert.equal(document.state.layers.length, 1);
  for (let waited = 0; ; waited += 50) {
    const { jobs } = await slow.asOwner("GET", "/v1/jobs");
    if (jobs[0].state === "cancelled") break;
    assert.ok(waited < 5000, "the job goes on");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { jobs } = await bridge.asOwner("GET", "/v1/jobs");
  assert.ok(jobs.length >= 3);
  assert.ok(jobs.every(({ counts }) => counts.acked === counts.total));
});

/** A small document that goes by upload and job, and what the bridge has of the jobs of this run. */
async function farRun(on = bridge) {
  const { world, tools } = await scene(on);
  alwaysFar(world);
  const { enhanceLayer } = world.load("src/enhance.js");
  const document = world.open({ width: 420, height: 330 });
  document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }]) });
  const asked = order(world, { parameters: { denoise: 20 } });
  const known = new Set((await on.asOwner("GET", "/v1/jobs")).jobs.map(({ job }) => job));
  const jobs = async () => (await on.asOwner("GET", "/v1/jobs")).jobs.filter(({ job }) => !known.has(job));
  return { world, tools, document, asked, jobs, run: () => inPhotoshop(() => enhanceLayer(tools, asked)) };
}

const ENDS = {
  cancelled: ({ asked }) => asked.cancellation.cancel(),
  layer_changed: ({ document }) => document.state.layers.at(-1).raster.write(rectOf(0, 0, 200, 200), new Uint8Array(160000).fill(9)),
  document_closed: ({ world, document }) => world.close(document),
};
for (const [code, change] of Object.entries(ENDS)) {
  test(`${code} when it is to be written: no result and no upload is kept for this run`, async () => {
    const made = await farRun();
    made.asked.onProgress = (stage) => {
      if (stage === "write") change(made);
    };
    await assert.rejects(made.run(), { code });
    const jobs = await made.jobs();
    assert.equal(jobs.length, 2);
    assert.ok(jobs.every(({ counts }) => counts.acked === 1), JSON.stringify(jobs));
  });
}

test("Cancel reaches a fetch that hangs inside of the modal command", { timeout: 60000 }, async (context) => {
  const silent = http.createServer(() => {});
  await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { send } = FakeXMLHttpRequest.prototype;
  context.after(() => {
    FakeXMLHttpRequest.prototype.send = send;
    silent.close();
    silent.closeAllConnections();
  });
  const made = await farRun();
  let pressed = 0;
  FakeXMLHttpRequest.prototype.send = function hanging(body) {
    if (this._url.endsWith("/result") && made.world.scopes.length > 0) {
      this._url = `http://127.0.0.1:${silent.address().port}/`;
      setTimeout(() => {
        pressed = Date.now();
        made.world.pressEscape();
      }, 100);
    }
    return send.call(this, body);
  };
  const ended = assert.rejects(made.run(), { code: "cancelled" });
  const late = new Promise((_, reject) => setTimeout(reject, 20000, new Error("Cancel did not reach the fetch.")).unref());
  await Promise.race([ended, late]);
  assert.ok(pressed > 0 && Date.now() - pressed < 1000);
  assert.deepEqual(made.document.state.layers.length, 1);
});

test("an error while the bridge is asked how far it is cancels the job", async () => {
  const slow = await startBridge({ seconds: 60 });
  const made = await farRun(slow);
  made.asked.settings.parameters.denoise = 0;
  const { json } = made.tools.bridge;
  let broken = false;
  made.tools.bridge.json = async (method, path, content) => {
    if (!broken && method === "GET" && path.includes("/items/")) {
      await slow.working();
      broken = true;
      throw Object.assign(new Error("gone"), { code: "bridge_timeout" });
    }
    return json.call(made.tools.bridge, method, path, content);
  };
  await assert.rejects(made.run(), { code: "bridge_timeout" });
  const [{ state }] = await made.jobs();
  assert.equal(state, "cancelled");
});

test("a bridge that does not answer does not hold up the end of a run", async () => {
  const made = await farRun();
  const { json } = made.tools.bridge;
  made.tools.bridge.json = (method, path, content) => (path.endsWith("/ack") ? new Promise(() => {}) : json.call(made.tools.bridge, method, path, content));
  assert.equal((await made.run()).restored, 1);
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

test("100 megapixels, sharpened and with a face, stay under 600 MB", async (context) => {
  const { world, tools } = await scene(bridge);
  const { enhanceLayer } = world.load("src/enhance.js");
  const [width, height] = [11600, 8700];
  const document = world.open({ width, height });
  const portrait = painter([{ left: 5000, top: 4000 }]);
  const ground = [0, 0, 0, 255];
  const paint = (x, y) => {
    if (x >= 5000 && x < 5512 && y >= 4000 && y < 4512) return portrait(x, y);
    ground[0] = ground[1] = ground[2] = 110 + ((x ^ y) & 15);
    return ground;
  };
  document.addLayer({ rect: rectOf(0, 0, width, height), paint, procedural: true, background: true });
  const stored = Raster.storedBytes;
  globalThis.gc();
  const before = process.memoryUsage().arrayBuffers;
  world.measuring = () => {
    globalThis.gc();
    return process.memoryUsage().arrayBuffers - before - (Raster.storedBytes - stored);
  };
  const outcome = await inPhotoshop(() => enhanceLayer(tools, order(world, { parameters: { sharpen: 30 } })));
  context.diagnostic(`peak ${Math.round(world.peakBytes / 1e6)} MB for ${(width * height) / 1e6} megapixels in ${outcome.seconds} s`);
  assert.equal(outcome.restored, 1);
  assert.ok(world.peakBytes < 600e6);
  assert.equal(world.liveImages, 0);
  const [faces, filtered] = document.state.layers[0].children;
  assert.deepEqual(filtered.raster.bounds, rectOf(0, 0, width, height));
  assert.ok(faces.raster.bounds.left > 4900 && faces.raster.bounds.right < 5600);
});
