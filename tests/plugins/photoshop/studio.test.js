"use strict";
// A studio's bridge on another computer, behind TLS: reached by the studio's package, and by nothing else.

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { PYTHON, ROOT, startBridge } = require("./support/bridge.js");
const { order, painter, rectOf } = require("./support/scene.js");
const { FOLDER } = require("./support/plugin.js");
const { newWorld } = require("./support/world.js");
const { FakeXMLHttpRequest } = require("./support/xhr.js");

const PORTS = ["http://127.0.0.1:17860", "http://127.0.0.1:17861", "http://127.0.0.1:17862", "http://127.0.0.1:17863"];
let bridge;
let home;
let folder;
before(async () => {
  bridge = await startBridge({ studio: true });
  home = fs.mkdtempSync(path.join(os.tmpdir(), "gpen-studio-"));
  folder = path.join(home, "plugin");
  const run = (...words) => execFileSync(PYTHON, words, { cwd: ROOT, env: { ...process.env, GPEN_HOME: home }, encoding: "utf8" });
  const { path: packed } = JSON.parse(run("-m", "bridge", "plugins", "package", "photoshop", "--bridge", bridge.lan, "--output", home, "--json"));
  run("-m", "zipfile", "-e", packed, folder);
});
after(() => {
  fs.rmSync(home, { recursive: true, force: true });
  Object.assign(FakeXMLHttpRequest, { permitted: null, authority: undefined });
});

/** The plug-in as it lies in a folder, in a Photoshop that lets it reach what its manifest names. */
function installed(from, { trusted = true } = {}) {
  const world = newWorld({ folder: from });
  const manifest = JSON.parse(world.file("manifest.json"));
  const { domains } = manifest.requiredPermissions.network;
  FakeXMLHttpRequest.permitted = domains;
  FakeXMLHttpRequest.authority = trusted ? fs.readFileSync(bridge.authority) : undefined;
  FakeXMLHttpRequest.sent.length = 0;
  const { Bridge } = world.load("src/bridge.js");
  const { Tokens } = world.load("src/settings.js");
  const { send } = world.load("src/transport.js");
  const { wordsFor } = world.load("src/messages.js");
  const tokens = new Tokens(world.uxp.storage.secureStorage);
  const client = new Bridge({ send, addresses: domains, tokens, name: "Photoshop of the tests" });
  const tools = { host: world.load("src/host.js"), pixels: world.load("src/pixels.js"), bridge: client, say: wordsFor("en_US").say };
  return { world, manifest, tools, client };
}

test("the studio's package names its bridge first, and is another plug-in than the ordinary one", () => {
  const { manifest } = installed(folder);
  assert.deepEqual(manifest.requiredPermissions.network.domains, [bridge.lan, ...PORTS]);
  assert.notEqual(manifest.id, JSON.parse(fs.readFileSync(path.join(FOLDER, "manifest.json"), "utf8")).id);
});

test("a layer is enhanced by the studio's bridge, and all that is sent goes over TLS to it", async () => {
  const { world, tools, client } = installed(folder);
  await client.connect();
  assert.equal(client.url, bridge.lan);
  await client.pair((await bridge.asOwner("POST", "/v1/pair/code")).code);
  const document = world.open({ width: 420, height: 330 });
  document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }]) });
  const { enhanceLayer } = world.load("src/enhance.js");
  const outcome = await enhanceLayer(tools, order(world));
  assert.equal(outcome.restored, 1);
  assert.equal(document.state.layers.length, 2);
  assert.ok(FakeXMLHttpRequest.sent.length >= 4);
  for (const { url } of FakeXMLHttpRequest.sent) assert.ok(url.startsWith(`${bridge.lan}/`), url);

  const later = installed(folder); // Photoshop is started again
  later.world.safe = world.safe;
  const { Tokens } = later.world.load("src/settings.js");
  later.client._tokens = new Tokens(later.world.uxp.storage.secureStorage);
  await later.client.connect();
  assert.ok(later.client.paired, "the token is found by the bridge's address");
});

test("without the studio's authority in the system's trust the bridge gets nothing", async () => {
  const { client } = installed(folder, { trusted: false });
  await assert.rejects(client.connect(), (problem) => {
    assert.equal(problem.code, "bridge_unreachable");
    assert.ok(problem.detail.includes(bridge.lan), problem.detail);
    return true;
  });
});

test("the ordinary package cannot reach the studio's bridge", async () => {
  const { client } = installed(FOLDER);
  client.addresses = [bridge.lan];
  await assert.rejects(client.connect(), { code: "bridge_unreachable" });
});
