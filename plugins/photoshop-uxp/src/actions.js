// Photoshop's Actions: a run is recorded with all its parameters, and played back with them.
"use strict";

const { action } = require("photoshop");
const { Cancellation } = require("./cancellation.js");
const { enhanceLayer } = require("./enhance.js");
const { Problem } = require("./problem.js");
const { settingsFrom } = require("./settings.js");

/** The name of the global function that Photoshop calls; old Actions hold it, so it never changes. */
const METHOD = "gpenEnhanceAction";
/** Keys of our own, so that Photoshop's action panel takes them for no properties of its own. */
const PREFIX = "org.gpen-enhance.";

/**
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./enhance.js").Tools} Tools
 */

/**
 * @param {Settings} settings
 * @returns {Record<string, string | number>} flat: nested values are not kept by every version
 */
function infoOf({ preset, parameters, layers, source }) {
  const { strength, denoise, sharpen, mode } = parameters;
  const values = { preset, strength, denoise, sharpen, mode, layers, source };
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [PREFIX + key, value]));
}

/**
 * @param {unknown} info
 * @returns {Settings} the defaults where a step has less than we know
 */
function settingsOf(info) {
  const values = /** @type {Record<string, unknown>} */ (info && typeof info === "object" ? info : {});
  /** @param {string} key */
  const value = (key) => values[PREFIX + key];
  const [strength, denoise, sharpen, mode] = ["strength", "denoise", "sharpen", "mode"].map(value);
  const parameters = { strength, denoise, sharpen, mode };
  return settingsFrom({ preset: value("preset"), layers: value("layers"), source: value("source"), parameters });
}

/**
 * Add a step to the Action that the user is recording; nothing happens when none is.
 *
 * @param {Settings} settings
 * @param {string} name as the Actions panel shows it
 */
async function record(settings, name) {
  if (typeof action.recordAction !== "function") return;
  try {
    await action.recordAction({ name, methodName: METHOD }, infoOf(settings));
  } catch (error) {
    // The work is done and must not look as if it had failed; the step is missing in the panel for all to see.
    console.warn("GPEN Enhance: the step could not be recorded.", error);
  }
}

/**
 * Play a step back. Here the whole job, the bridge included, must end before this resolves.
 *
 * @param {Tools} tools
 * @param {import("photoshop/dom/CoreModules").ExecutionContext} context
 * @param {unknown} info
 * @param {() => Settings} current what Record Again puts into the step: the panel's settings as they are
 * @returns {Promise<Record<string, string | number>>}
 * @throws {Problem} so that File > Automate > Batch writes it into its log
 */
async function play(tools, context, info, current) {
  const cancellation = new Cancellation();
  context.onCancel = () => cancellation.cancel();
  if (tools.bridge.url === null || !tools.bridge.paired) await tools.bridge.connect();
  if (!tools.bridge.paired) throw new Problem("not_paired");
  await enhanceLayer(tools, {
    documentID: null,
    settings: settingsOf(info),
    cancellation,
    onProgress: (_, done) => context.reportProgress({ value: done }),
  });
  return infoOf(current());
}

module.exports = { METHOD, infoOf, play, record, settingsOf };
