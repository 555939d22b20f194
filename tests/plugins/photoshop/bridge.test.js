"use strict";
// Finding the bridge, pairing with it, and saying exactly why it does not answer.

const assert = require("node:assert/strict");
const http = require("node:http");
const net = require("node:net");
const { after, before, test } = require("node:test");
const { startBridge } = require("./support/bridge.js");
const { order, painter, rectOf, scene } = require("./support/scene.js");
const { inPhotoshop } = require("./support/world.js");
const { FakeXMLHttpRequest } = require("./support/xhr.js");

let bridge;
const servers = [];
before(async () => {
  bridge = await startBridge();
});
after(() => servers.forEach((server) => server.close()));

/** A program on a port of its own, that answers everything with the same. */
async function program(status, body, type = "application/json") {
  const server = http.createServer((_, reply) => reply.writeHead(status, { "Content-Type": type }).end(body));
  servers.push(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

/** An address where nobody listens. */
async function nobody() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

async function client(addresses, options) {
  const made = await scene(bridge, { paired: false, ...options });
  made.tools.bridge.addresses = addresses;
  return { ...made, bridge: made.tools.bridge };
}

test("the bridge is found behind ports that others have", async () => {
  const made = await client([await nobody(), await program(404, "<html>", "text/html"), bridge.url]);
  const health = await inPhotoshop(() => made.bridge.connect());
  assert.deepEqual([health.service, health.protocol, made.bridge.url], ["gpen-bridge", 1, bridge.url]);
});

test("diagnose tells the exact reason for each address", async () => {
  const [closed, other] = [await nobody(), await program(200, "{}")];
  const newer = await program(200, JSON.stringify({ service: "gpen-bridge", status: "ok", version: "9.0.0", protocol: 2 }));
  const made = await client([closed, other, newer, bridge.url]);
  const attempts = await inPhotoshop(() => made.bridge.diagnose());
  assert.deepEqual(attempts.map(({ url }) => url), [closed, other, newer, bridge.url]);
  assert.match(attempts[0].problem.detail, /ECONNREFUSED/);
  assert.equal(attempts[1].problem.code, "not_a_bridge");
  assert.equal(attempts[2].problem.code, "protocol_mismatch");
  assert.equal(attempts[3].health.status, "ok");
});

test("without a bridge every address's reason is in the error", async () => {
  const addresses = [await nobody(), await nobody()];
  const made = await client(addresses);
  await assert.rejects(made.bridge.connect(), (problem) => {
    assert.equal(problem.code, "bridge_unreachable");
    for (const address of addresses) assert.ok(problem.detail.includes(address));
    return true;
  });
});

test("a bridge of another protocol is named with both versions, in both languages", async () => {
  const newer = await program(200, JSON.stringify({ service: "gpen-bridge", status: "ok", version: "9.0.0", protocol: 2 }));
  for (const locale of ["en_US", "zh_CN"]) {
    const made = await client([newer], { locale });
    await assert.rejects(made.bridge.connect(), (problem) => {
      assert.match(made.explain(problem), /9\.0\.0.*2.*1/s);
      return problem.code === "protocol_mismatch";
    });
  }
});

test("pairing by code gives a token that lives in the host's safe place and nowhere else", async () => {
  const made = await client([bridge.url]);
  await inPhotoshop(async () => {
    await made.bridge.connect();
    assert.equal(made.bridge.paired, false);
    await assert.rejects(made.bridge.capabilities(), { code: "unauthorized" });
    await assert.rejects(made.bridge.pair("0000-0000"), { code: "pairing_failed" });
    await made.bridge.pair(` ${(await bridge.newCode()).toLowerCase()} `);
    assert.ok((await made.bridge.capabilities()).presets.length >= 4);
  });
  const [[key, token]] = made.world.safe;
  assert.doesNotMatch(key, /\d{5}/, "the port may be another one next time");
  assert.ok(token instanceof Uint8Array && token.length > 20);
  assert.equal(made.world.local.size, 0);
  const { clients } = await bridge.asOwner("GET", "/v1/clients");
  assert.ok(clients.some((one) => one.client === "photoshop" && one.name === "Photoshop of the tests"));
});

test("a lost or revoked token leads back to pairing, not to an error without end", async () => {
  const made = await client([bridge.url]);
  await made.bridge.connect();
  await made.bridge.pair(await bridge.newCode());
  made.world.safe.clear();
  await made.bridge.connect();
  assert.equal(made.bridge.paired, false);
  await made.bridge.pair(await bridge.newCode());
  const { clients } = await bridge.asOwner("GET", "/v1/clients");
  await bridge.asOwner("DELETE", `/v1/clients/${clients.at(-1).client_id}`);
  await assert.rejects(made.bridge.capabilities(), { code: "unauthorized" });
  assert.equal(made.bridge.paired, false);
  assert.equal(made.world.safe.size, 1, "who says that the token is unknown may lie: it is kept till the next pairing");
  await made.bridge.connect();
  assert.equal(made.bridge.paired, false);
  await made.bridge.pair(await bridge.newCode());
  assert.equal(made.world.safe.size, 1);
  assert.ok((await made.bridge.capabilities()).presets.length >= 4);
});

/** A program that says that it is a bridge, and keeps what it is sent; what it proves is `prove(path)`. */
async function impostor(prove) {
  const heard = [];
  const health = JSON.stringify({ service: "gpen-bridge", status: "ok", version: "0.1.0", protocol: 1 });
  const server = http.createServer((request, reply) => {
    let length = 0;
    request.on("data", (chunk) => (length += chunk.length)).on("end", async () => {
      heard.push({ method: request.method, path: request.url, headers: request.headers, length });
      const proof = request.url.includes("?") ? await prove(request.url) : null;
      reply.writeHead(200, { "Content-Type": "application/json", ...(proof ? { "GPEN-Proof": proof } : {}) }).end(health);
    });
  });
  servers.push(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const gotNothing = () => heard.every((one) => one.method === "GET" && one.path.startsWith("/v1/health") && !one.headers.authorization && one.length === 0);
  return { url: `http://127.0.0.1:${server.address().port}`, heard, gotNothing };
}

/** What the real bridge says to a challenge, asked by someone who knows no token. */
const relayed = (path) =>
  new Promise((resolve, reject) => {
    http.get(bridge.url + path, { agent: false }, (reply) => resolve(reply.resume().headers["gpen-proof"])).on("error", reject);
  });

for (const [how, prove] of [["says nothing", () => null], ["guesses", () => "0".repeat(64)], ["asks the real bridge", relayed]]) {
  test(`another user's program that took the port, and ${how}, gets neither token nor photo`, async () => {
    const thief = await impostor(prove);
    const made = await scene(bridge);
    made.tools.bridge.url = thief.url; // the bridge died a moment ago, and this took its place
    const document = made.world.open({ width: 420, height: 330 });
    document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }]) });
    const { enhanceLayer } = made.world.load("src/enhance.js");
    await assert.rejects(enhanceLayer(made.tools, order(made.world)), (problem) => ["not_a_bridge", "unauthorized"].includes(problem.code));
    assert.ok(thief.heard.length > 0);
    assert.ok(thief.gotNothing(), JSON.stringify(thief.heard));
    made.tools.bridge.addresses = [thief.url, bridge.url];
    await made.tools.bridge.connect();
    assert.equal(made.tools.bridge.url, bridge.url, "our own bridge is found behind it");
    assert.ok(made.tools.bridge.paired);
    assert.ok(thief.gotNothing(), JSON.stringify(thief.heard));
  });
}

test("no credentials, no origin, no cookies: only our token goes out", async () => {
  FakeXMLHttpRequest.sent.length = 0;
  const made = await scene(bridge);
  await made.tools.bridge.stats();
  const { headers } = FakeXMLHttpRequest.sent.at(-1);
  assert.deepEqual(Object.keys(headers), ["Authorization"]);
});

test("UXP's own spelling of the response type is tried when the web's gives no bytes", async () => {
  FakeXMLHttpRequest.spelling = "arrayBuffer";
  try {
    const made = await client([bridge.url]);
    assert.equal((await made.bridge.connect()).service, "gpen-bridge");
    FakeXMLHttpRequest.sent.length = 0;
    await made.bridge.connect();
    assert.equal(FakeXMLHttpRequest.sent.length, 1, "once found, it is kept");
  } finally {
    FakeXMLHttpRequest.spelling = "arraybuffer";
  }
});

test("a bridge that does not answer in time is given up", async () => {
  const server = net.createServer(() => {});
  servers.push(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const made = await scene(null);
  const { send } = made.world.load("src/transport.js");
  await assert.rejects(send({ method: "GET", url: `http://127.0.0.1:${server.address().port}/`, timeout: 150 }), { code: "bridge_timeout" });
});

test("a busy bridge is waited for, and the user is told", async () => {
  const one = await startBridge({ seconds: 2, settings: { GPEN_MAX_REQUESTS: "1" } });
  const layers = [];
  for (let number = 0; number < 2; number += 1) {
    const made = await scene(one);
    const document = made.world.open({ width: 420, height: 330 });
    document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }]) });
    layers.push({ made, asked: order(made.world), enhanceLayer: made.world.load("src/enhance.js").enhanceLayer });
  }
  const outcomes = await Promise.all(layers.map(({ made, asked, enhanceLayer }) => enhanceLayer(made.tools, asked)));
  assert.deepEqual(outcomes.map((outcome) => outcome.restored), [1, 1]);
  assert.ok(layers.some(({ asked }) => asked.stages.some(({ stage }) => stage === "waiting")));
});

test("a bridge that dies meanwhile is named, and the document is as it was", async () => {
  const dying = await startBridge({ seconds: 60 });
  const made = await scene(dying);
  const document = made.world.open({ width: 420, height: 330 });
  document.addLayer({ rect: rectOf(0, 0, 420, 330), paint: painter([{ left: 0, top: 20 }]) });
  const { enhanceLayer } = made.world.load("src/enhance.js");
  const running = enhanceLayer(made.tools, order(made.world));
  running.catch(() => {});
  await dying.working();
  dying.process.kill("SIGKILL");
  await assert.rejects(running, { code: "bridge_unreachable" });
  assert.equal(document.state.layers.length, 1);
});
