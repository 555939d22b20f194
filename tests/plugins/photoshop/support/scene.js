"use strict";
// What most tests begin with: a photo with faces in it, the plug-in's tools, and a paired bridge.

const fs = require("node:fs");
const { newWorld } = require("./world.js");

/** A public-domain portrait, 512 x 512 RGB, one face of about 90 x 113 pixels (written by test_photoshop.py). */
const PORTRAIT_SIDE = 512;
let portrait = null;

function portraitAt(x, y) {
  portrait = portrait || fs.readFileSync(process.env.GPEN_TEST_PORTRAIT);
  const at = 3 * (PORTRAIT_SIDE * y + x);
  return [portrait[at], portrait[at + 1], portrait[at + 2]];
}

/**
 * Paints portraits at places, at a whole scale, and a gray ground around them.
 *
 * @param {{left: number, top: number, scale?: number}[]} places
 * @param {{full?: number, gray?: boolean, alpha?: (x: number, y: number) => number}} [options] full: the host's full scale
 */
function painter(places, { full = 255, gray = false, alpha = () => 1 } = {}) {
  const level = (value) => (full === 1 ? (value / 255) ** 2.2 : Math.round((value * full) / 255));
  return (x, y) => {
    const at = places.find(({ left, top, scale = 1 }) => x >= left && y >= top && x < left + 512 * scale && y < top + 512 * scale);
    const colour = at
      ? portraitAt(Math.floor((x - at.left) / (at.scale || 1)), Math.floor((y - at.top) / (at.scale || 1)))
      : [118 + ((x * 7 + y * 3) % 9), 118 + ((x * 5 + y * 11) % 9), 118 + ((x + y) % 9)];
    const shown = gray ? [Math.round(0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2])] : colour;
    const opacity = alpha(x, y);
    return [...shown.map(level), full === 1 ? opacity : Math.round(opacity * full)];
  };
}

const rectOf = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });

/** The plug-in in a fresh world, speaking to a bridge; paired unless told otherwise. */
async function scene(bridge, { paired = true, locale = "en_US" } = {}) {
  const world = newWorld({ addresses: bridge ? [bridge.url] : [], locale });
  const { Bridge } = world.load("src/bridge.js");
  const { Tokens } = world.load("src/settings.js");
  const { send } = world.load("src/transport.js");
  const { wordsFor } = world.load("src/messages.js");
  const { say, explain } = wordsFor(locale);
  const client = new Bridge({
    send,
    addresses: world.addresses,
    tokens: new Tokens(world.uxp.storage.secureStorage),
    name: "Photoshop of the tests",
  });
  const tools = { host: world.load("src/host.js"), pixels: world.load("src/pixels.js"), bridge: client, say };
  if (bridge && paired) {
    // Codes are tried ten times a minute at most, so one pairing serves all scenes of a bridge.
    for (const [key, token] of bridge.paired || []) world.safe.set(key, token);
    await client.connect();
    if (!bridge.paired) await client.pair(await bridge.newCode());
    bridge.paired = [...world.safe];
  }
  return { world, tools, say, explain };
}

/** An order with settings like the panel's, changed. */
function order(world, { settings = {}, parameters = {}, ...more } = {}) {
  const { Cancellation } = world.load("src/cancellation.js");
  const { settingsFrom } = world.load("src/settings.js");
  const stages = [];
  return {
    documentID: null,
    settings: settingsFrom({ ...settings, parameters: { strength: 70, denoise: 0, sharpen: 0, mode: "natural", ...parameters } }),
    found: null,
    cancellation: new Cancellation(),
    onProgress: (stage, done, values) => stages.push({ stage, done, values }),
    stages,
    ...more,
  };
}

module.exports = { order, painter, portraitAt, rectOf, scene };
