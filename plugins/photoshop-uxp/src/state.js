// What the panel shows and what its controls do, without the screen: one state, verbs that change it.
// Errors end here: a verb never throws, what went wrong is in `state.problem`.
"use strict";

const { record } = require("./actions.js");
const { enhanceDocuments } = require("./batch.js");
const { Cancellation } = require("./cancellation.js");
const { capture, enhanceLayer } = require("./enhance.js");
const { around, findFaces } = require("./faces.js");
const { boxOf, intersection, strips } = require("./geometry.js");
const { Problem, asProblem } = require("./problem.js");
const { BUILT_IN, loadSettings, parametersFrom, percent, sameParameters, saveSettings } = require("./settings.js");
const { STRIP_PIXELS, inHost } = require("./work.js");

const THUMBNAIL_PIXELS = 96 * 96;
/** As the bridge takes them (bridge/presets.py): letters of any script, digits, spaces and . ( ) + - _ */
const PRESET_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}\p{M}_ .()+-]{0,63}$/u;

/**
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./settings.js").Parameters} Parameters
 * @typedef {import("./enhance.js").Tools} Tools
 * @typedef {import("./enhance.js").Outcome} Outcome
 * @typedef {import("./batch.js").Report} Report
 *
 * @typedef {{name: string, parameters: Parameters, built_in: boolean}} Preset
 * @typedef {import("./enhance.js").ChosenFace & {wanted: boolean, thumbnail: string}} ShownFace `strength` only once
 *   its own slider was moved; till then the face has the panel's
 * @typedef {{stage: string, done: number, values: Record<string, string | number>}} Work
 *
 * @typedef {object} State
 * @property {"searching" | "offline" | "unpaired" | "ready"} connection
 * @property {{checkpoint: string, device: string, count: number, starting: boolean} | null} facts
 * @property {Preset[]} presets
 * @property {Settings} settings
 * @property {(Omit<import("./enhance.js").Found, "faces"> & {faces: ShownFace[]}) | null} found
 * @property {Work | null} work what runs now
 * @property {Outcome | null} outcome
 * @property {"before" | "after"} compare
 * @property {Report | null} report of the open documents
 * @property {Problem | null} problem
 * @property {import("./bridge.js").Attempt[] | null} diagnosis
 * @property {boolean} naming the name of a new preset is being typed
 */

class Model {
  /**
   * @param {object} parts
   * @param {Tools} parts.tools
   * @param {Pick<Storage, "getItem" | "setItem">} parts.storage
   * @param {(state: State) => void} parts.onChange
   */
  constructor({ tools, storage, onChange }) {
    this._tools = tools;
    this._storage = storage;
    this._onChange = onChange;
    /** @type {Cancellation | null} */
    this._cancellation = null;
    this._pairing = false;
    /** @type {State} */
    this.state = {
      connection: "searching",
      facts: null,
      presets: [],
      settings: loadSettings(storage),
      found: null,
      work: null,
      outcome: null,
      compare: "after",
      report: null,
      problem: null,
      diagnosis: null,
      naming: false,
    };
  }

  /** @param {Partial<State>} changes */
  _set(changes) {
    this.state = { ...this.state, ...changes };
    this._onChange(this.state);
  }

  // --- the bridge ---

  /** Find the bridge, and learn what it can do. */
  async connect() {
    this._set({ connection: "searching", problem: null });
    await this._learn(() => this._tools.bridge.connect());
  }

  /** Look again, without a word while all is well. */
  async refresh() {
    if (this.state.work || this.state.connection === "searching") return;
    const { bridge } = this._tools;
    await this._learn(async () => {
      if (this.state.connection !== "ready") await bridge.connect();
    });
  }

  /** @param {() => Promise<unknown>} first */
  async _learn(first) {
    const { bridge } = this._tools;
    try {
      await first();
      if (!bridge.paired) {
        this._set({ connection: "unpaired", facts: null });
        return;
      }
      const [told, ready, stats] = await Promise.all([bridge.capabilities(), bridge.ready(), bridge.stats()]);
      const installed = told.checkpoints.filter((/** @type {any} */ one) => one.installed);
      const best = installed.reduce((/** @type {any} */ a, /** @type {any} */ b) => (a && a.side >= b.side ? a : b), null);
      const facts = { checkpoint: best ? best.title : "", device: told.device || "", count: stats.in_flight, starting: !ready.ready };
      const settled = this.state.problem && isAboutBridge(this.state.problem) ? { problem: null } : {};
      this._set({ connection: "ready", facts, presets: told.presets, ...settled });
    } catch (error) {
      const problem = asProblem(error);
      const connection = problem.code === "unauthorized" ? "unpaired" : "offline";
      this._set({ connection, facts: null, problem });
    }
  }

  /**
   * A code is good for one pairing: a second click while it is under way does nothing.
   *
   * @param {string} code
   */
  async pair(code) {
    if (this._pairing) return;
    this._pairing = true;
    await this._try(async () => {
      await this._tools.bridge.pair(code);
      this._set({ problem: null });
      await this.connect();
    });
    this._pairing = false;
  }

  /** Ask every address, for people to read. */
  async diagnose() {
    if (this.state.diagnosis) this._set({ diagnosis: null });
    else this._set({ diagnosis: await this._tools.bridge.diagnose() });
  }

  // --- settings ---

  /** @param {Partial<Settings>} changes */
  setSettings(changes) {
    const settings = { ...this.state.settings, ...changes };
    saveSettings(this._storage, settings);
    this._set({ settings });
  }

  /** @param {Partial<Parameters>} changes */
  setParameters(changes) {
    const { parameters } = this.state.settings;
    this.setSettings({ parameters: parametersFrom({ ...parameters, ...changes }, parameters) });
  }

  /** @param {string} name */
  choosePreset(name) {
    const preset = this.state.presets.find((one) => one.name === name);
    if (preset) this.setSettings({ preset: name, parameters: parametersFrom(preset.parameters) });
  }

  /** Whether the sliders are still those of the chosen preset. */
  get presetChanged() {
    const { preset, parameters } = this.state.settings;
    const known = this.state.presets.find((one) => one.name === preset);
    return known !== undefined && !sameParameters(parametersFrom(known.parameters), parameters);
  }

  get presetIsOwn() {
    return this.state.presets.some((one) => one.name === this.state.settings.preset && !one.built_in);
  }

  /** @param {boolean} naming */
  setNaming(naming) {
    this._set({ naming });
  }

  /** @param {string} typed */
  async savePreset(typed) {
    const name = typed.trim();
    await this._try(async () => {
      if (!PRESET_NAME.test(name)) throw new Problem("preset_name_invalid");
      if (BUILT_IN.some((one) => one === name)) throw new Problem("preset_read_only");
      const saved = await this._tools.bridge.savePreset(name, this.state.settings.parameters);
      const others = this.state.presets.filter((one) => one.name !== name);
      this._set({ presets: [...others, saved], naming: false, problem: null });
      this.setSettings({ preset: name });
    });
  }

  async deletePreset() {
    const { preset } = this.state.settings;
    await this._try(async () => {
      await this._tools.bridge.deletePreset(preset);
      this._set({ presets: this.state.presets.filter((one) => one.name !== preset) });
      this.choosePreset("default");
    });
  }

  // --- faces ---

  async findFaces() {
    await this._work(async (order) => {
      order.onProgress("find", 0.1);
      this._set({ found: null });
      const { target, form, fingerprint } = await capture(this._tools, { ...order, documentID: null });
      const faces = await findFaces(this._tools, target, order);
      const photo = inHost(this._tools, target, form, order);
      for (const face of faces)
        for (const strip of strips(intersection(around(boxOf(face)), target.bounds), STRIP_PIXELS)) await photo.read(strip);
      this._set({ found: { target, fingerprint, photo, faces: await this._withThumbnails(target, faces) } });
    });
  }

  /**
   * @param {import("./host.js").Target} target
   * @param {import("./faces.js").FoundFace[]} faces
   * @returns {Promise<ShownFace[]>}
   */
  _withThumbnails(target, faces) {
    const { host, pixels } = this._tools;
    return host.modal("GPEN Enhance", async () => {
      /** @type {ShownFace[]} */
      const shown = [];
      for (const face of faces) {
        const rect = intersection(around(boxOf(face)), target.bounds);
        const thumbnail = await pixels.readThumbnail(target, rect, THUMBNAIL_PIXELS);
        shown.push({ ...face, wanted: true, thumbnail });
      }
      return shown;
    });
  }

  /**
   * @param {number} index
   * @param {{wanted?: boolean, strength?: number}} change
   */
  setFace(index, change) {
    const { found } = this.state;
    if (!found) return;
    const { wanted, strength } = change;
    const changes = {
      ...(wanted === undefined ? {} : { wanted }),
      ...(strength === undefined ? {} : { strength: percent(strength, this.state.settings.parameters.strength) }),
    };
    const faces = found.faces.map((face, at) => (at === index ? { ...face, ...changes } : face));
    this._set({ found: { ...found, faces } });
  }

  // --- enhancing ---

  /**
   * The chosen layer of the active document.
   *
   * @param {Settings} [settings] the panel's own if left out
   */
  async enhance(settings = this.state.settings) {
    await this._work(async (order) => {
      const outcome = await enhanceLayer(this._tools, { ...order, settings, documentID: null, found: this.state.found });
      this._set({ outcome, compare: "after", report: null });
      await this._recorded(settings);
    });
  }

  /** Every open document, with the panel's settings. */
  async enhanceDocuments() {
    await this._batch(this._tools.host.openDocuments());
  }

  /** What the last run over the open documents left. */
  async resumeDocuments() {
    if (this.state.report) await this._batch(this.state.report.left);
  }

  /** @param {import("./batch.js").Waiting[]} documents */
  async _batch(documents) {
    await this._work(async (order) => {
      if (documents.length === 0) throw new Problem("no_document");
      const { settings } = this.state;
      const report = await enhanceDocuments(this._tools, documents, { ...order, settings });
      this._set({ report, outcome: report.done[report.done.length - 1] || null, compare: "after" });
      if (report.left.length > 0 && report.failed.length === 0) throw new Problem("cancelled");
    });
  }

  /** @param {Settings} settings */
  _recorded(settings) {
    const { say } = this._tools;
    return record(settings, say("history", { preset: say(`preset:${settings.preset}`) }));
  }

  /** Show the last result, or what was there before it. */
  async toggleCompare() {
    const { outcome, compare } = this.state;
    if (!outcome) return;
    await this._try(async () => {
      await this._tools.host.show(outcome.documentID, outcome.shown, compare === "before");
      this._set({ compare: compare === "before" ? "after" : "before" });
    });
  }

  cancel() {
    if (this._cancellation) this._cancellation.cancel();
  }

  // --- offers, where a document cannot be worked on as it is ---

  async makeRgbCopy() {
    await this._try(async () => {
      const [document] = this._tools.host.openDocuments();
      if (!document) throw new Problem("no_document");
      await this._tools.host.duplicateAsRgb(this._tools.say("copy_name", { document: document.name }));
      this._set({ problem: null });
    });
  }

  async useVisible() {
    this.setSettings({ source: "visible" });
    await this.enhance();
  }

  /**
   * One thing at a time: a second click while something runs does nothing.
   *
   * @param {(order: {settings: Settings, cancellation: Cancellation, onProgress: (stage: string, done: number, values?: Record<string, string | number>) => void, onWait: () => void}) => Promise<void>} work
   */
  async _work(work) {
    if (this._cancellation) return;
    const cancellation = new Cancellation();
    this._cancellation = cancellation;
    /** @type {(stage: string, done: number, values?: Record<string, string | number>) => void} */
    const onProgress = (stage, done, values = {}) => this._set({ work: { stage, done, values } });
    const onWait = () => onProgress("waiting", 0.05);
    this._set({ problem: null });
    onProgress("capture", 0);
    try {
      await this._try(() => work({ settings: this.state.settings, cancellation, onProgress, onWait }));
    } finally {
      this._cancellation = null;
      this._set({ work: null });
    }
  }

  /** @param {() => Promise<void>} work */
  async _try(work) {
    try {
      await work();
    } catch (error) {
      const problem = asProblem(error);
      this._set({ problem });
      if (problem.code === "unauthorized") this._set({ connection: "unpaired", facts: null });
      if (problem.code === "bridge_unreachable") this._set({ connection: "offline", facts: null });
    }
  }
}

/** @param {Problem} problem */
function isAboutBridge(problem) {
  return ["bridge_unreachable", "bridge_timeout", "not_a_bridge", "protocol_mismatch", "unauthorized", "not_paired"].includes(problem.code);
}

module.exports = { Model };
