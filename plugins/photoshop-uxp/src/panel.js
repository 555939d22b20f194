// The panel on the screen: built once, then drawn from the state. Decides nothing.
// Built-in Spectrum widgets and flexbox only: UXP has no grid, no gap to rely on, no form controls of the web.
"use strict";

const { MODES, SLIDERS } = require("./settings.js");
const { drawFaces } = require("./panelFaces.js");
const { button, element, picker, reveal, slider } = require("./widgets.js");

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Model} Model
 * @typedef {import("./messages.js").Words} Words
 * @typedef {(state: State) => void} Draw
 * @typedef {{node: HTMLElement, draw: Draw}} Section
 */

/** Problems that come with something to do about them. */
/** @type {Record<string, {label: string, act: (model: Model) => void}>} */
const OFFERS = {
  mode_unsupported: { label: "make_rgb_copy", act: (model) => void model.makeRgbCopy() },
  layer_without_pixels: { label: "use_visible", act: (model) => void model.useVisible() },
};

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @param {Words} words
 * @returns {Draw}
 */
function mountPanel(root, model, words) {
  const sections = [connection, settings, buttons, progress, problems, outcome, faces].map((make) => make(model, words));
  const panel = element("div", { class: "panel" }, sections.map((section) => section.node));
  while (root.firstChild) root.removeChild(root.firstChild);
  root.appendChild(panel);
  return (state) => sections.forEach((section) => section.draw(state));
}

/** The state line; pairing; what to do when there is no bridge. @type {(model: Model, words: Words) => Section} */
function connection(model, { say, explain }) {
  const dot = element("div", { class: "dot" });
  const line = element("div", { class: "state-text", id: "state" });
  const diagnose = button(say("diagnose"), "diagnose", () => void model.diagnose(), { quiet: true });
  const code = element("sp-textfield", { id: "pair-code", class: "grow", placeholder: "ABCD-EFGH" });
  const send = () => void model.pair(/** @type {HTMLInputElement} */ (code).value || "");
  const pairing = element("div", { class: "box", id: "pairing" }, [
    element("sp-body", { size: "S", class: "text" }, [say("pair_explain")]),
    element("div", { class: "row" }, [code, button(say("pair"), "pair", send, { variant: "cta" })]),
  ]);
  const retry = button(say("retry"), "retry", () => void model.connect(), { variant: "primary" });
  const report = element("sp-textarea", { id: "diagnosis", class: "wide", readonly: "" });
  const hint = element("sp-detail", { class: "text" }, [say("diagnose_hint")]);
  const diagnosis = element("div", { class: "box" }, [report, hint]);
  const offline = element("div", { class: "row box" }, [retry]);
  const node = element("div", {}, [element("div", { class: "row" }, [dot, line, diagnose]), pairing, offline, diagnosis]);

  /** @param {State} state */
  const described = ({ connection: now, facts }) => {
    if (now === "searching") return say("searching");
    if (now === "offline") return say("offline");
    if (now === "unpaired" || !facts) return say("unpaired");
    if (facts.starting) return say("starting");
    const { device, count, checkpoint } = facts;
    const values = { device, count, checkpoint: checkpoint || say("no_checkpoint") };
    return say(facts.count > 0 ? "state_busy" : "state", values);
  };
  /** @param {State} state */
  const told = ({ diagnosis: attempts }) =>
    (attempts || [])
      .map(({ url, health, problem }) =>
        health
          ? say("diagnose_ok", { url, version: health.version, protocol: health.protocol, status: health.status })
          : say("diagnose_bad", { url, problem: problem ? problem.detail || explain(problem) : "" }),
      )
      .join("\n");
  return {
    node,
    draw: (state) => {
      line.textContent = described(state);
      const good = state.connection === "ready" && state.facts && !state.facts.starting;
      dot.className = `dot ${good ? "dot-good" : state.connection === "offline" ? "dot-bad" : "dot-wait"}`;
      reveal(pairing, state.connection === "unpaired");
      reveal(offline, state.connection === "offline");
      reveal(diagnosis, state.diagnosis !== null);
      diagnose.textContent = say(state.diagnosis === null ? "diagnose" : "diagnose_close");
      if (state.diagnosis !== null) /** @type {HTMLTextAreaElement} */ (report).value = told(state);
    },
  };
}

/** Preset, sliders, mode and layers. @type {(model: Model, words: Words) => Section} */
function settings(model, { say }) {
  const presets = picker("preset", say("preset"), (name) => model.choosePreset(name));
  const naming = button(say("save_as"), "save-as", () => model.setNaming(true), { quiet: true });
  const remove = button(say("delete"), "delete-preset", () => void model.deletePreset(), { quiet: true });
  const name = element("sp-textfield", { id: "preset-name", class: "grow", placeholder: say("preset_name") });
  const save = () => void model.savePreset(/** @type {HTMLInputElement} */ (name).value || "");
  const form = element("div", { class: "row wrap" }, [
    name,
    button(say("save"), "save-preset", save, { variant: "primary" }),
    button(say("cancel"), "cancel-preset", () => model.setNaming(false), { quiet: true }),
  ]);
  const sliders = SLIDERS.map((key) => slider(key, say(key), (value) => model.setParameters({ [key]: value })));
  const choices = [
    picker("mode", say("mode"), (value) => model.setParameters({ mode: /** @type {any} */ (value) })),
    picker("layers", say("layers"), (value) => model.setSettings({ layers: /** @type {any} */ (value) })),
    picker("source", say("source"), (value) => model.setSettings({ source: /** @type {any} */ (value) })),
  ];
  choices[0].offer(MODES.map((value) => ({ value, label: say(`mode_${value}`) })));
  choices[1].offer(["one", "each"].map((value) => ({ value, label: say(`layers_${value}`) })));
  choices[2].offer(["layer", "visible"].map((value) => ({ value, label: say(`source_${value}`) })));
  const node = element("div", { class: "section" }, [
    presets.node,
    element("div", { class: "row" }, [naming, remove]),
    form,
    ...sliders.map((one) => one.node),
    ...choices.map((one) => one.node),
  ]);
  return {
    node,
    draw: (state) => {
      const { preset, parameters, layers, source } = state.settings;
      const label = (/** @type {string} */ one) => say(`preset:${one}`);
      const changed = model.presetChanged;
      presets.offer(
        state.presets.map((one) => ({
          value: one.name,
          label: one.name === preset && changed ? say("preset_custom", { preset: label(one.name) }) : label(one.name),
        })),
      );
      presets.choose(preset);
      sliders.forEach((one, index) => one.set(parameters[SLIDERS[index]]));
      [parameters.mode, layers, source].forEach((value, index) => choices[index].choose(value));
      reveal(form, state.naming);
      reveal(naming, !state.naming);
      reveal(remove, !state.naming && model.presetIsOwn);
      reveal(node, state.connection === "ready");
    },
  };
}

/** Find faces, and those that were found. @type {(model: Model, words: Words) => Section} */
function faces(model, words) {
  const find = button(words.say("find_faces"), "find-faces", () => void model.findFaces(), { variant: "secondary" });
  const count = element("div", { class: "grow text", id: "faces-count" });
  const list = element("div", { id: "faces" });
  const node = element("div", { class: "section" }, [element("div", { class: "row" }, [find, count]), list]);
  const draw = drawFaces(list, model, words);
  return {
    node,
    draw: (state) => {
      const { found } = state;
      reveal(node, state.connection === "ready");
      enable(find, state.work === null);
      const number = found ? found.faces.length : 0;
      count.textContent = !found ? "" : number ? words.say("faces_found", { count: number }) : words.say("faces_none");
      draw(found ? found.faces : [], state.settings.parameters.strength);
    },
  };
}

/** The work itself. @type {(model: Model, words: Words) => Section} */
function buttons(model, { say }) {
  const one = button(say("enhance_layer"), "enhance", () => void model.enhance(), { variant: "cta" });
  const all = button(say("enhance_documents"), "enhance-documents", () => void model.enhanceDocuments(), { variant: "secondary" });
  const rest = button("", "resume-documents", () => void model.resumeDocuments(), { variant: "primary" });
  const node = element("div", { class: "section column" }, [one, all, rest]);
  return {
    node,
    draw: (state) => {
      const left = state.report ? state.report.left.length : 0;
      for (const each of [one, all, rest]) enable(each, state.work === null);
      rest.textContent = say("resume_documents", { count: left });
      reveal(rest, left > 0 && state.work === null);
      reveal(node, state.connection === "ready");
    },
  };
}

/** How far it is, and Cancel. @type {(model: Model, words: Words) => Section} */
function progress(model, { say }) {
  const place = element("sp-detail", { class: "text", id: "document" });
  const label = element("div", { class: "text", id: "stage" });
  const bar = element("sp-progressbar", { max: "100", value: "0", class: "wide", id: "bar" });
  const stop = button(say("cancel"), "cancel", () => model.cancel(), { variant: "secondary" });
  const node = element("div", { class: "section" }, [place, label, bar, element("div", { class: "row" }, [stop])]);
  return {
    node,
    draw: ({ work }) => {
      reveal(node, work !== null);
      if (work === null) return;
      const { document_number: number, document_count: count, document_name: name } = work.values;
      reveal(place, count !== undefined);
      if (count !== undefined) place.textContent = say("document_number", { number, count, name });
      label.textContent = say(`stage_${work.stage}`, work.values);
      const value = String(Math.round(100 * work.done));
      bar.setAttribute("value", value);
      /** @type {HTMLProgressElement} */ (bar).value = Number(value);
    },
  };
}

/** What came of it; before and after. @type {(model: Model, words: Words) => Section} */
function outcome(model, { say, explain }) {
  const line = element("div", { class: "text", id: "result" });
  const compare = button(say("before"), "compare", () => void model.toggleCompare(), { variant: "secondary" });
  const notes = element("div", { id: "notes" });
  const node = element("div", { class: "section" }, [line, notes, element("div", { class: "row" }, [compare])]);

  /** @param {import("./enhance.js").Outcome} done */
  const summary = ({ shown, found, restored, seconds, checkpoints }) => {
    if (shown.length === 0) return say("result_nothing");
    const values = { restored, found, seconds: seconds.toFixed(1), checkpoints: checkpoints.join(", ") };
    return say(found === 0 ? "result_filter_only" : checkpoints.length > 0 ? "result_checkpoints" : "result", values);
  };
  return {
    node,
    draw: ({ outcome: done, report, compare: side, work }) => {
      reveal(node, work === null && (done !== null || report !== null));
      const counts = report && { total: report.total, done: report.done.length, failed: report.failed.length };
      line.textContent = counts ? say("batch_result", counts) : done ? summary(done) : "";
      const failed = report ? report.failed.map(({ name, problem }) => say("batch_failed", { name, problem: explain(problem) })) : [];
      const warnings = done ? done.warnings.map((warning) => say(warning)) : [];
      fill(notes, [...failed, ...warnings].map((text) => element("div", { class: "note" }, [text])));
      reveal(compare, done !== null && done.shown.length > 0);
      compare.textContent = say(side === "after" ? "before" : "after");
    },
  };
}

/** What went wrong, and what can be done about it. @type {(model: Model, words: Words) => Section} */
function problems(model, { say, explain }) {
  const text = element("div", { class: "problem-text", id: "problem" });
  /** @type {(() => void) | null} */
  let act = null;
  const offer = button("", "offer", () => act && act(), { variant: "primary" });
  const node = element("div", { class: "problem" }, [text, element("div", { class: "row" }, [offer])]);
  return {
    node,
    draw: ({ problem }) => {
      const known = problem && OFFERS[problem.code];
      reveal(node, problem !== null);
      text.textContent = problem ? explain(problem) : "";
      act = known ? () => known.act(model) : null;
      reveal(offer, Boolean(known));
      if (known) offer.textContent = say(known.label);
    },
  };
}

/** @param {HTMLElement} node @param {boolean} enabled */
function enable(node, enabled) {
  if (enabled) node.removeAttribute("disabled");
  else node.setAttribute("disabled", "");
}

/** @param {HTMLElement} node @param {HTMLElement[]} children */
function fill(node, children) {
  while (node.firstChild) node.removeChild(node.firstChild);
  for (const child of children) node.appendChild(child);
}

module.exports = { mountPanel };
