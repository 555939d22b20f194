"use strict";
// The panel in a real browser: every control is clicked, and every theme and language looked at.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { launch, missing } = require("./support/browser.js");

const skip = missing();
/** Where the pictures of the documentation are made: GPEN_SCREENSHOTS=docs/images/photoshop. */
const SCREENSHOTS = process.env.GPEN_SCREENSHOTS && path.resolve(__dirname, "../../..", process.env.GPEN_SCREENSHOTS);

let bridge;
let browser;
before(async () => {
  if (skip) return;
  bridge = await startBridge();
  browser = await launch(bridge);
});

const state = (page) => page.evaluate(() => JSON.parse(JSON.stringify({ ...window.model.state, found: null })));
const shown = (page, id) => page.locator(`#${id}`).isVisible();
const text = (page, id) => page.locator(`#${id}`).innerText();
const idle = (page) => page.waitForFunction(() => window.model.state.work === null);
const picked = (page, id, index) =>
  page.locator(`#${id}`).evaluate((picker, at) => {
    picker.inner.selectedIndex = at;
    picker.inner.dispatchEvent(new Event("change"));
  }, index);
const slid = (page, id, value) =>
  page.locator(`#${id}`).evaluate((slider, to) => {
    slider.inner.value = to;
    slider.inner.dispatchEvent(new Event("input"));
  }, value);

async function paired(options) {
  const made = await browser.open(options);
  const token = bridge.panelToken;
  if (token) {
    await made.page.evaluate(async ([key, bytes]) => {
      window.world.safe.set(key, Uint8Array.from(bytes));
      await window.model.connect();
    }, token);
  } else {
    await made.page.locator("#pair-code input").fill(await bridge.newCode());
    await made.page.locator("#pair").click();
    await made.page.waitForFunction(() => window.model.state.connection === "ready");
    bridge.panelToken = await made.page.evaluate(() => [...window.world.safe].map(([key, bytes]) => [key, [...bytes]])[0]);
  }
  return made;
}

async function screenshot(page, name) {
  if (!SCREENSHOTS) return;
  const { width } = page.viewportSize();
  const bottoms = (nodes) => Math.ceil(16 + Math.max(...nodes.map((node) => node.getBoundingClientRect().bottom)));
  const height = await page.locator(".panel > *").evaluateAll(bottoms);
  await page.setViewportSize({ width, height });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
}

test("pairing: the code, a wrong code, and what the panel then knows", { skip }, async () => {
  const { page, errors } = await browser.open();
  assert.ok(await shown(page, "pairing"));
  assert.ok(!(await shown(page, "enhance")));
  await screenshot(page, "pairing");
  await page.locator("#pair-code input").fill("0000-0000");
  await page.locator("#pair").click();
  await page.waitForFunction(() => window.model.state.problem);
  assert.match(await text(page, "problem"), /wrong or has expired/);
  await page.locator("#pair-code input").fill(await bridge.newCode());
  await page.locator("#pair").click();
  await page.waitForFunction(() => window.model.state.connection === "ready");
  assert.ok(!(await shown(page, "pairing")));
  assert.ok(!(await shown(page, "problem")));
  assert.match(await text(page, "state"), /^GPEN-lite.* · cpu$/);
  assert.deepEqual(errors, []);
});

test("a double click on Pair sends the code once", { skip }, async () => {
  const { page, errors } = await browser.open();
  let sent = 0;
  await page.route("**/v1/pair", (route) => {
    sent += 1;
    return route.continue();
  });
  await page.locator("#pair-code input").fill(await bridge.newCode());
  await page.locator("#pair").dblclick();
  await page.waitForFunction(() => window.model.state.connection === "ready");
  assert.equal(sent, 1);
  assert.equal((await state(page)).problem, null);
  assert.deepEqual(errors, []);
});

test("without a bridge: how to start it, the reason for each address, and another try", { skip }, async () => {
  const { page, errors } = await browser.open({ addresses: ["http://127.0.0.1:9", "http://127.0.0.1:11"] });
  assert.match(await text(page, "state"), /No bridge/);
  assert.match(await text(page, "problem"), /gpen-bridge serve/);
  await page.locator("#diagnose").click();
  await page.waitForFunction(() => window.model.state.diagnosis);
  const told = await page.locator("#diagnosis").evaluate((area) => area.value);
  assert.match(told, /127\.0\.0\.1:9: .+\nhttp:\/\/127\.0\.0\.1:11: .+/);
  await screenshot(page, "offline");
  await page.locator("#diagnose").click();
  assert.ok(!(await shown(page, "diagnosis")));
  await page.evaluate((address) => (window.model._tools.bridge.addresses = [address]), bridge.url);
  await page.locator("#retry").click();
  await page.waitForFunction(() => window.model.state.connection === "unpaired");
  assert.deepEqual(errors, []);
});

test("presets, sliders, mode, layers and source say what they mean, and are kept", { skip }, async () => {
  const { page, errors } = await paired();
  await picked(page, "preset", 2);
  assert.deepEqual((await state(page)).settings, {
    preset: "phone",
    parameters: { strength: 75, denoise: 35, sharpen: 60, mode: "detail" },
    layers: "one",
    source: "layer",
  });
  assert.equal(await text(page, "strength-value"), "75");
  for (const [id, value] of [["strength", 42], ["denoise", 0], ["sharpen", 100]]) await slid(page, id, value);
  await picked(page, "mode", 2);
  await picked(page, "layers", 1);
  await picked(page, "source", 1);
  const { settings } = await state(page);
  assert.deepEqual(settings, {
    preset: "phone",
    parameters: { strength: 42, denoise: 0, sharpen: 100, mode: "strong" },
    layers: "each",
    source: "visible",
  });
  assert.deepEqual(await page.evaluate(() => JSON.parse(window.localStorage.getItem("gpen-enhance.settings"))), settings);
  const label = () => page.locator("#preset").evaluate((picker) => picker.inner.selectedOptions[0].textContent);
  assert.equal(await label(), "Phone (changed)");

  await page.locator("#save-as").click();
  await page.locator("#preset-name input").fill("no/slash");
  await page.locator("#save-preset").click();
  assert.match(await text(page, "problem"), /1 to 64/);
  await page.locator("#cancel-preset").click();
  assert.ok(!(await shown(page, "preset-name")));
  await page.locator("#save-as").click();
  await page.locator("#preset-name input").fill("name");
  await page.locator("#save-preset").click();
  await page.waitForFunction(() => window.model.state.settings.preset === "name");
  assert.equal(await label(), "name");
  assert.equal((await bridge.asOwner("GET", "/v1/presets/name")).parameters.strength, 42);
  await page.locator("#delete-preset").click();
  await page.waitForFunction(() => window.model.state.settings.preset === "default");
  assert.equal((await bridge.asOwner("GET", "/v1/presets/name")).code, "preset_unknown");
  assert.ok(!(await shown(page, "delete-preset")));
  assert.deepEqual(errors, []);
});

test("faces with thumbnail, tick and strength; enhance; before and after", { skip }, async () => {
  const { page, errors } = await paired();
  const id = await page.evaluate(() => window.openPortraits({ name: "Wedding" }, 3));
  await slid(page, "denoise", 0);
  await slid(page, "sharpen", 0);
  await page.locator("#find-faces").click();
  await idle(page);
  assert.equal(await text(page, "faces-count"), "Faces: 3");
  assert.equal(await page.locator("#faces img").count(), 3);
  const painted = await page.locator("#faces img").evaluateAll((images) => images.map((image) => image.naturalWidth > 20));
  assert.deepEqual(painted, [true, true, true]);
  await page.locator("#face-1 input").click();
  await slid(page, "face-strength-2", 90);
  await screenshot(page, "faces");
  await page.locator("#enhance").click();
  await idle(page);
  const { outcome, problem } = await state(page);
  assert.equal(problem, null);
  assert.deepEqual([outcome.documentID, outcome.found, outcome.restored], [id, 3, 2]);
  assert.match(await text(page, "result"), /^2 of 3 faces, \d+\.\d s, gpen-lite-256$/);
  const layer = () => page.evaluate(() => window.world.activeDocument.state.layers[0]).then(({ name, visible, opacity }) => ({ name, visible, opacity }));
  assert.deepEqual(await layer(), { name: "GPEN Default, strength 90", visible: true, opacity: 90 });
  await page.locator("#compare").click();
  await page.waitForFunction(() => window.model.state.compare === "before");
  assert.equal((await layer()).visible, false);
  assert.equal(await text(page, "compare"), "After");
  await page.locator("#compare").click();
  await page.waitForFunction(() => window.model.state.compare === "after");
  assert.equal((await layer()).visible, true);
  await screenshot(page, "result");
  assert.deepEqual(errors, []);
});

test("after Find faces the main strength, presets and menu commands hold for faces without a strength of their own", { skip }, async () => {
  const { page, errors } = await paired();
  await page.evaluate(() => window.openPortraits({ name: "Wedding" }, 2));
  await page.locator("#find-faces").click();
  await idle(page);
  const strengths = async () => [await text(page, "face-strength-0-value"), await text(page, "face-strength-1-value")];
  await slid(page, "strength", 30);
  assert.deepEqual(await strengths(), ["30", "30"]);
  await slid(page, "face-strength-1", 90);
  await page.locator("#face-0 input").click();
  await page.locator("#face-0 input").click();
  await picked(page, "preset", 2);
  assert.deepEqual(await strengths(), ["75", "90"], "a tick is no strength; a preset leaves the face's own alone");
  await picked(page, "layers", 1);
  await slid(page, "strength", 50);
  await slid(page, "denoise", 0);
  await slid(page, "sharpen", 0);
  const opacities = () =>
    page.evaluate(() => {
      const document_ = window.world.activeDocument;
      const made = document_.state.layers[0].children.map((layer) => layer.opacity);
      document_.undo();
      document_.active = [document_.state.layers.at(-1).id];
      return made.sort();
    });
  await page.locator("#enhance").click();
  await idle(page);
  assert.deepEqual(await opacities(), [50, 90]);
  await page.evaluate(() => window.world.entrypoints.commands["enhance-phone"].run());
  const phone = await page.evaluate(() => window.world.activeDocument.state.layers[0].children.map((layer) => layer.opacity).sort());
  assert.deepEqual(phone.sort(), [100, 75, 90].sort(), "faces, and the filter below them");
  assert.deepEqual(errors, []);
});

test("open documents: progress, failures by name, cancel and resume", { skip }, async () => {
  const { page, errors } = await paired();
  await slid(page, "denoise", 0);
  await slid(page, "sharpen", 0);
  await page.evaluate(async () => {
    await window.openPortraits({ name: "a.psd" });
    await window.openPortraits({ name: "b.psd", mode: "CMYK" });
    await window.openPortraits({ name: "c.psd" });
  });
  await page.locator("#enhance-documents").click();
  await idle(page);
  assert.equal(await text(page, "result"), "Documents: 3. Done: 2. Failed: 1.");
  assert.match(await text(page, "notes"), /b\.psd: .*CMYK/);
  await screenshot(page, "documents");

  await page.evaluate(() => {
    window.stopAt = setInterval(() => window.model.state.work && window.model.state.work.stage === "find" && window.model.cancel(), 1);
  });
  await page.locator("#enhance-documents").click();
  await idle(page);
  await page.evaluate(() => clearInterval(window.stopAt));
  const { report } = await state(page);
  assert.equal(report.left.length, 3);
  assert.equal(await text(page, "resume-documents"), "Resume: 3 left");
  await page.locator("#resume-documents").click();
  await idle(page);
  assert.equal(await text(page, "result"), "Documents: 3. Done: 2. Failed: 1.");
  assert.ok(!(await shown(page, "resume-documents")));
  assert.deepEqual(errors, []);
});

test("while it works: what it does, how far it is, no second start, and Cancel", { skip }, async () => {
  const { page, errors } = await browser.open();
  await page.evaluate(async ([key, bytes]) => void window.world.safe.set(key, Uint8Array.from(bytes)), bridge.panelToken);
  await page.evaluate(() => window.model.connect());
  await page.evaluate(() => window.openPortraits({}));
  // The network takes its time: the answer is held back on its way.
  await page.route("**/v1/enhance", () => {});
  await slid(page, "denoise", 0);
  await slid(page, "sharpen", 0);
  await page.locator("#enhance").click();
  await page.waitForFunction(() => window.model.state.work && window.model.state.work.stage === "restore");
  assert.equal(await text(page, "stage"), "Restoring 1 of 1…");
  assert.ok(await page.locator("#bar").evaluate((bar) => bar.value > 30 && bar.value < 95));
  for (const id of ["enhance", "enhance-documents", "find-faces"]) assert.ok(await page.locator(`#${id}`).evaluate((node) => node.hasAttribute("disabled")));
  await page.locator("#enhance").click({ force: true });
  await screenshot(page, "working");
  await page.locator("#cancel").click();
  await idle(page);
  assert.match(await text(page, "problem"), /Cancelled/);
  assert.equal(await page.evaluate(() => window.world.activeDocument.state.layers.length), 1);
  assert.deepEqual(errors, []);
});

test("what cannot be worked on comes with an offer", { skip }, async () => {
  const { page, errors } = await paired();
  await page.evaluate(() => window.openPortraits({ name: "Print.psd", mode: "CMYK" }));
  await page.locator("#enhance").click();
  await idle(page);
  assert.match(await text(page, "problem"), /CMYK/);
  await screenshot(page, "offer");
  await page.locator("#offer").click();
  await page.waitForFunction(() => window.world.activeDocument.name === "Print.psd RGB");
  assert.equal(await page.evaluate(() => window.world.documents[0].colour), "CMYK");

  await page.evaluate(async () => {
    await window.openPortraits({ name: "Adjusted" });
    window.world.activeDocument.addLayer({ kind: "curves", name: "Curves" });
  });
  await slid(page, "denoise", 0);
  await slid(page, "sharpen", 0);
  await page.locator("#enhance").click();
  await idle(page);
  assert.match(await text(page, "problem"), /adjustment layer/);
  await page.locator("#offer").click();
  await page.waitForFunction(() => window.model.state.outcome);
  assert.equal(await page.evaluate(() => window.world.activeDocument.state.layers[0].name), "GPEN Default, strength 70");
  assert.deepEqual(errors, []);
});

for (const theme of ["darkest", "dark", "light", "lightest"])
  for (const locale of ["en_US", "zh_CN"])
    test(`${theme}, ${locale}: everything is legible and nothing sticks out, narrow and wide`, { skip }, async () => {
      const { page, errors } = await paired({ theme, locale });
      await page.evaluate(() => window.openPortraits({ name: "Wedding" }, 2));
      await page.locator("#find-faces").click();
      await idle(page);
      await screenshot(page, `${theme}-${locale.slice(0, 2)}`);
      for (const width of [230, 300, 520]) {
        await page.setViewportSize({ width, height: 900 });
        const sticking = await page.evaluate(() =>
          [...document.querySelectorAll(".panel *")]
            .filter((node) => node.offsetParent !== null && node.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
            .map((node) => `${node.tagName} ${node.id} ${node.textContent}`),
        );
        assert.deepEqual(sticking, [], `at ${width} pixels`);
      }
      const untranslated = await page.evaluate(() => document.querySelector(".panel").innerText.match(/[a-z]+_[a-z_]+|\{\w+\}|undefined/g));
      assert.equal(untranslated, null);
      assert.deepEqual(errors, []);
    });

test("the themes side by side, for the documentation", { skip: skip || !SCREENSHOTS }, async () => {
  const { page } = await browser.open({ width: 1240, height: 1300 });
  const names = ["en", "zh"].flatMap((language) => ["darkest", "dark", "light", "lightest"].map((theme) => `${theme}-${language}`));
  const images = names.map((name) => {
    const file = path.join(SCREENSHOTS, `${name}.png`);
    const data = fs.readFileSync(file).toString("base64");
    fs.rmSync(file);
    return `<img style="margin: 0 10px 10px 0; vertical-align: top" src="data:image/png;base64,${data}">`;
  });
  await page.setContent(`<div id="sheet" style="width: 1240px; background: #fff; font-size: 0">${images.join("")}</div>`);
  await page.locator("#sheet").screenshot({ path: path.join(SCREENSHOTS, "themes.png") });
});

if (SCREENSHOTS) fs.mkdirSync(SCREENSHOTS, { recursive: true });
