"use strict";
// Open documents one after the other, recorded Actions, and the model behind the panel.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { FOLDER } = require("./support/plugin.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");

const WHOLE = rectOf(0, 0, 420, 330);
const PHOTO = { name: "Photo", rect: WHOLE, paint: painter([{ left: 0, top: 20 }]) };
let bridge;
before(async () => {
  bridge = await startBridge();
});

async function openedMany(facts, on = bridge) {
  const made = await scene(on);
  const documents = facts.map((fact) => {
    const document = made.world.open({ width: 420, height: 330, ...fact });
    document.addLayer(PHOTO);
    return document;
  });
  const { enhanceDocuments } = made.world.load("src/batch.js");
  const asked = order(made.world);
  const run = (waiting = made.tools.host.openDocuments()) => inPhotoshop(() => enhanceDocuments(made.tools, waiting, asked));
  return { ...made, documents, asked, run };
}

test("every open document gets its own step in its own history; a failure stops no other", async () => {
  const { documents, run, asked } = await openedMany([{ name: "a" }, { name: "b", mode: "CMYK" }, { name: "c" }]);
  const report = await run();
  assert.deepEqual([report.total, report.done.length, report.left], [3, 2, []]);
  assert.deepEqual(report.failed.map(({ name, problem }) => [name, problem.code]), [["b", "mode_unsupported"]]);
  for (const document of documents)
    assert.equal(document.history.filter((state) => state.name.startsWith("GPEN")).length, document.name === "b" ? 0 : 1);
  const told = asked.stages.map(({ done }) => done);
  assert.deepEqual(told, [...told].sort((a, b) => a - b), "progress goes forward");
  assert.equal(asked.stages.at(-1).values.document_count, 3);
});

test("after a cancel the rest can be resumed, and nothing is done twice", async () => {
  const { world, documents, run, asked } = await openedMany([{ name: "a" }, { name: "b" }, { name: "c" }]);
  const { onProgress } = asked;
  asked.onProgress = (stage, done, values) => {
    onProgress(stage, done, values);
    if (values.document_number === 2 && stage === "find") asked.cancellation.cancel();
  };
  const report = await run();
  assert.deepEqual([report.done.length, report.failed.length, report.left.length], [1, 0, 2]);
  const { Cancellation } = world.load("src/cancellation.js");
  Object.assign(asked, { cancellation: new Cancellation(), onProgress });
  const rest = await run(report.left);
  assert.deepEqual([rest.done.length, rest.failed.length, rest.left.length], [2, 0, 0]);
  assert.deepEqual(documents.map((document) => document.state.layers.length), [2, 2, 2]);
});

test("when the bridge goes away the rest waits for a resume", async () => {
  const dying = await startBridge();
  const { documents, run, asked } = await openedMany([{ name: "a" }, { name: "b" }], dying);
  const { onProgress } = asked;
  asked.onProgress = (stage, done, values) => {
    onProgress(stage, done, values);
    if (values.document_number === 2 && stage === "capture") dying.process.kill("SIGKILL");
  };
  const report = await run();
  assert.deepEqual([report.done.length, report.left.length], [1, 1]);
  assert.equal(report.failed[0].problem.code, "bridge_unreachable");
  assert.deepEqual(documents.map((document) => document.state.layers.length).sort(), [1, 2]);
});

test("a document that was closed meanwhile is one failure among others", async () => {
  const { world, tools, documents, run } = await openedMany([{ name: "a" }, { name: "b" }]);
  const waiting = tools.host.openDocuments();
  world.close(documents[0]);
  const report = await run(waiting);
  assert.deepEqual(report.failed.map(({ name, problem }) => [name, problem.code]), [["a", "document_closed"]]);
  assert.equal(report.done.length, 1);
});

// --- Actions ---

/** The whole plug-in, started as Photoshop starts it: index.js as a classic script. */
async function started(locale) {
  const made = await scene(bridge, { locale });
  const Module = require("node:module");
  const { _load } = Module;
  globalThis.require = (name) => {
    Module._load = (request, parent, isMain) =>
      request === "photoshop" ? made.world.photoshop : request === "uxp" ? made.world.uxp : _load(request, parent, isMain);
    try {
      return require(name.startsWith(".") ? path.join(FOLDER, name) : name);
    } finally {
      Module._load = _load;
    }
  };
  const script = new vm.Script(fs.readFileSync(path.join(FOLDER, "index.js"), "utf8"), { filename: "index.js" });
  script.runInThisContext();
  globalThis.gpenEnhanceApp = undefined;
  const { setInterval: real } = globalThis;
  globalThis.setInterval = () => 0; // the panel looks again every ten seconds; no test waits for that
  const document = made.world.open({ width: 420, height: 330 });
  const source = document.addLayer(PHOTO);
  return { ...made, document, source, stop: () => (globalThis.setInterval = real) };
}

/** As Photoshop plays a step: it looks the name up among the globals, and calls it in a modal scope. */
function playBack({ world }, step) {
  const handler = globalThis[step.methodName];
  assert.equal(typeof handler, "function", `${step.methodName} is not global`);
  return world.photoshop.core.executeAsModal((context) => handler(context, step.info), { commandName: step.name });
}

test("a menu command is recorded with its parameters, plays back the same pixels, and can be recorded again", async () => {
  const made = await started();
  const { world, document } = made;
  world.recording = [];
  await inPhotoshop(() => world.entrypoints.commands["enhance-phone"].run());
  assert.deepEqual(world.alerts, []);
  assert.equal(world.recording.length, 1, "one run is one step");
  const [step] = world.recording;
  assert.equal(step.name, "GPEN Enhance: Phone");
  assert.deepEqual(step.info, {
    "org.gpen-enhance.preset": "phone",
    "org.gpen-enhance.strength": 75,
    "org.gpen-enhance.denoise": 35,
    "org.gpen-enhance.sharpen": 60,
    "org.gpen-enhance.mode": "detail",
    "org.gpen-enhance.layers": "one",
    "org.gpen-enhance.source": "layer",
  });
  const recorded = document.composite(WHOLE);
  document.undo();
  world.recording = null;

  const again = await inPhotoshop(() => playBack(made, step));
  assert.deepEqual(document.composite(WHOLE), recorded);
  assert.equal(document.history.at(-1).name, "GPEN Enhance: Phone");
  assert.ok(world.progress.length > 2, "Photoshop's own progress bar moves");
  assert.equal(again["org.gpen-enhance.preset"], "default", "Record Again takes the panel's settings as they are now");
  document.undo();
  assert.equal((await inPhotoshop(() => playBack(made, { ...step, info: again })))["org.gpen-enhance.strength"], 70);
  assert.equal(document.history.at(-1).name, "GPEN Enhance: Default");
  made.stop();
});

test("a step that fails throws a sentence, so that Batch can log it and go on", async () => {
  for (const [locale, words] of [["en_US", /CMYK mode/], ["zh_CN", /CMYK 模式/]]) {
    const made = await started(locale);
    made.document.colour = "CMYK";
    const step = { name: "GPEN", methodName: "gpenEnhanceAction", info: {} };
    await assert.rejects(inPhotoshop(() => playBack(made, step)), words);
    assert.deepEqual(made.world.alerts, [], "no dialog may stop a batch");
    made.stop();
  }
});

test("a step can be stopped, and leaves nothing", async () => {
  const made = await started();
  const step = { name: "GPEN", methodName: "gpenEnhanceAction", info: { "org.gpen-enhance.denoise": 0, "org.gpen-enhance.sharpen": 0 } };
  const { reads } = made.world;
  const push = reads.push.bind(reads);
  reads.push = (read) => (push(read), made.world.pressEscape());
  await assert.rejects(inPhotoshop(() => playBack(made, step)));
  assert.deepEqual(made.document.state.layers.map((layer) => layer.name), ["Photo"]);
  made.stop();
});

test("steps of other versions, with more or less in them, still play", async () => {
  const { world } = await scene(null);
  const { infoOf, settingsOf } = world.load("src/actions.js");
  assert.deepEqual(settingsOf({}).parameters, { strength: 70, denoise: 30, sharpen: 50, mode: "natural" });
  const odd = settingsOf({ "org.gpen-enhance.strength": 900, "org.gpen-enhance.mode": "cubist", "org.gpen-enhance.later": 1, preset: "x" });
  assert.deepEqual([odd.parameters.strength, odd.parameters.mode, odd.preset], [100, "natural", "default"]);
  assert.deepEqual(settingsOf(infoOf(odd)), odd);
});

test("a menu command without a bridge or without pairing says so and does nothing", async () => {
  const made = await started();
  made.world.safe.clear();
  await inPhotoshop(() => made.world.entrypoints.commands["enhance-again"].run());
  assert.match(made.world.alerts[0], /not paired/);
  assert.equal(made.document.state.layers.length, 1);
  made.stop();
});
