"use strict";
// Cancel at every step: no layer is left, the history is as it was, and the bridge stops.

const assert = require("node:assert/strict");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");

const WHOLE = rectOf(0, 0, 420, 330);
let fast;
let slow;
before(async () => {
  [fast, slow] = await Promise.all([startBridge(), startBridge({ seconds: 60 })]);
});

async function opened(bridge = fast, denoise = 20) {
  const { world, tools } = await scene(bridge);
  const { enhanceLayer } = world.load("src/enhance.js");
  const document = world.open({ width: 420, height: 330 });
  document.addLayer({ name: "Photo", rect: WHOLE, paint: painter([{ left: 0, top: 20 }]) });
  const asked = order(world, { parameters: { denoise } });
  const picture = document.composite(WHOLE);
  const run = () => inPhotoshop(() => enhanceLayer(tools, asked));
  const assertClean = () => {
    assert.deepEqual(document.composite(WHOLE), picture);
    assert.deepEqual(document.history.map((state) => state.name), ["Open", "Layer"]);
    assert.deepEqual(document.state.layers.map((layer) => layer.name), ["Photo"]);
    assert.equal(document.suspension, null);
    assert.equal(world.liveImages, 0, "image data was not disposed of");
    assert.equal(world.scopes.length, 0);
  };
  return { world, tools, document, asked, run, assertClean };
}

test("every call into Photoshop and the bridge is a step at which cancelling leaves nothing", async () => {
  // First a run to the end, counting the steps; then one run for each step.
  const whole = await opened();
  await whole.run();
  const steps = whole.world.calls;
  assert.ok(steps > 20);
  let cancelled = 0;
  for (let step = 1; step <= steps; step += 1) {
    const made = await opened();
    let calls = 0;
    Object.defineProperty(made.world, "calls", {
      get: () => calls,
      set: (value) => {
        calls = value;
        if (calls === step) made.asked.cancellation.cancel();
      },
    });
    const outcome = await made.run().catch((problem) => problem);
    if (outcome.code === undefined) continue; // the last steps: it was finished before it could be stopped
    assert.equal(outcome.code, "cancelled");
    cancelled += 1;
    made.assertClean();
  }
  assert.ok(cancelled >= steps - 3, `${cancelled} of ${steps} were cancelled`);
});

test("Esc in Photoshop's own progress bar is the same", async () => {
  const whole = await opened(fast, 0);
  await whole.run();
  const steps = whole.world.calls;
  for (let step = 1; step <= steps; step += 1) {
    const made = await opened(fast, 0);
    let calls = 0;
    let pressed = false;
    Object.defineProperty(made.world, "calls", {
      get: () => calls,
      set: (value) => {
        calls = value;
        if (calls >= step && !pressed && made.world.scopes.length > 0) {
          pressed = true;
          made.world.pressEscape();
        }
      },
    });
    const outcome = await made.run().catch((problem) => problem);
    if (!pressed || outcome.code === undefined) continue;
    assert.equal(outcome.code, "cancelled", outcome.stack);
    made.assertClean();
  }
});

test("while the network works, cancelling ends at once and the bridge drops the work", async () => {
  const made = await opened(slow);
  const running = made.run();
  await slow.working();
  const began = Date.now();
  made.asked.cancellation.cancel();
  await assert.rejects(running, { code: "cancelled" });
  assert.ok(Date.now() - began < 1000);
  made.assertClean();
  for (let waited = 0; ; waited += 50) {
    const { in_flight: inFlight, images } = await slow.asOwner("GET", "/v1/stats");
    if (inFlight === 0 && images.cancelled >= 1) break;
    assert.ok(waited < 5000, "the bridge goes on working");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test("a failure inside the write rolls back in the same way", async () => {
  const made = await opened();
  made.world.photoshop.imaging.putLayerMask = async () => {
    throw new Error("Error. Code: -1");
  };
  await assert.rejects(made.run(), { code: "host_failed" });
  made.assertClean();
});

test("where the history belongs to a playing Action, a failed write takes its layers back itself", async () => {
  const made = await opened();
  made.world.nestedHistory = true;
  const { putLayerMask } = made.world.photoshop.imaging;
  made.world.photoshop.imaging.putLayerMask = async () => {
    throw new Error("Error. Code: -1");
  };
  await assert.rejects(made.run(), { code: "host_failed" });
  assert.deepEqual(made.document.state.layers.map((layer) => layer.name), ["Photo"]);
  made.world.photoshop.imaging.putLayerMask = putLayerMask;
  assert.equal((await made.run()).restored, 1, "a commit that throws there is no failure");
});

test("Photoshop that is busy is named, and nothing hangs in a modal state", async () => {
  const made = await opened();
  made.world.busy = true;
  await assert.rejects(made.run(), { code: "host_busy" });
  made.world.busy = false;
  made.assertClean();
  assert.equal((await made.run()).restored, 1);
});
