// The only place where the parts are wired together.
"use strict";

const { core } = require("photoshop");
const { host: runtime, storage } = require("uxp");
const actions = require("./actions.js");
const { Bridge } = require("./bridge.js");
const host = require("./host.js");
const { wordsFor } = require("./messages.js");
const { mountPanel } = require("./panel.js");
const pixels = require("./pixels.js");
const { asProblem } = require("./problem.js");
const { Tokens, parametersFrom } = require("./settings.js");
const { Model } = require("./state.js");
const { send } = require("./transport.js");

const REFRESH_MS = 10000;

/** @typedef {import("./state.js").State} State */

class App {
  constructor() {
    this.words = wordsFor(runtime.uiLocale);
    const tokens = new Tokens(storage.secureStorage);
    const name = `Photoshop ${runtime.version}`;
    this.bridge = new Bridge({ send, addresses: [], tokens, name });
    this.tools = { host, pixels, bridge: this.bridge, say: this.words.say };
    /** @type {((state: State) => void) | null} */
    this._draw = null;
    const onChange = (/** @type {State} */ state) => this._draw && this._draw(state);
    this.model = new Model({ tools: this.tools, storage: localStorage, onChange });
    /** Resolves when the bridge was looked for once. */
    this.ready = this._begin();
  }

  async _begin() {
    this.bridge.addresses = await addresses();
    await this.model.connect();
    setInterval(() => this.model.refresh(), REFRESH_MS);
  }

  /**
   * May be called again after the panel was closed.
   *
   * @param {HTMLElement} root
   */
  show(root) {
    this._draw = mountPanel(root, this.model, this.words);
    this._draw(this.model.state);
  }

  /**
   * A menu command: a built-in preset, or the last settings.
   *
   * @param {string | null} preset
   */
  async command(preset) {
    await this.ready;
    if (this.model.state.connection !== "ready") await this.model.connect();
    const { connection, problem, settings, presets } = this.model.state;
    const known = presets.find((one) => one.name === preset);
    const asked = known ? { ...settings, preset: known.name, parameters: parametersFrom(known.parameters) } : settings;
    if (connection === "ready") await this.model.enhance(asked);
    const failed = this.model.state.problem || problem;
    if (connection === "unpaired") await core.showAlert({ message: this.words.say("not_paired") });
    else if (failed && failed.code !== "cancelled") await core.showAlert({ message: this.words.explain(failed) });
  }

  /**
   * A recorded step.
   *
   * @param {import("photoshop/dom/CoreModules").ExecutionContext} context
   * @param {unknown} info
   */
  async play(context, info) {
    await this.ready;
    try {
      return await actions.play(this.tools, context, info, () => this.model.state.settings);
    } catch (error) {
      throw new Error(this.words.explain(asProblem(error)), { cause: error });
    }
  }
}

/**
 * Where a bridge may be: exactly what the manifest lets us reach.
 *
 * @returns {Promise<string[]>}
 */
async function addresses() {
  const folder = await storage.localFileSystem.getPluginFolder();
  const manifest = await folder.getEntry("manifest.json");
  return JSON.parse(await manifest.read()).requiredPermissions.network.domains;
}

module.exports = { App };
