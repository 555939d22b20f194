// Presets: what each holds and does, shown on a sample by the bridge itself.
import { bridge } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html, useEffect, useRef, useState } from "../app/view.js";
import { explain, number, presetName, t } from "../app/words.js";
import { Compare } from "../parts/compare.js";
import { attempt, Button, Loading, Notice, say } from "../parts/controls.js";
import { Parameters, PLAIN } from "../parts/parameters.js";
import { exportPresets, importPresets } from "./preset-file.js";
import { savePreset } from "./save-preset.js";

const SAMPLE = new URL("../style/sample.jpg", import.meta.url).href;
const SAMPLE_SIZE = { width: 440, height: 440 };
const PATIENCE = 350;

export function Presets() {
  const presets = useLoaded(bridge.presets, []);
  const checkpoints = useLoaded(bridge.checkpoints, []);
  const [chosen, setChosen] = useState("default");
  const [draft, setDraft] = useState(null); // {name, parameters, from}: not saved yet
  const [taken, setTaken] = useState(null); // the name of another preset, which Save was pressed for
  const [brought, setBrought] = useState(null); // what the last import did
  const input = useRef(null);
  if (presets.problem) return html`<${Notice} problem=${presets.problem} onAgain=${presets.again} />`;
  if (!presets.value) return html`<${Loading} />`;
  const all = presets.value;
  const kept = all.find((one) => one.name === chosen) ?? all[0];
  const now = draft ?? { ...kept, from: kept };
  const free = (name) => {
    let n = 2;
    while (all.some((one) => one.name === `${name} ${n}`)) n += 1;
    return all.some((one) => one.name === name) ? `${name} ${n}` : name;
  };
  const choose = (name) => {
    setChosen(name);
    setDraft(null);
    setTaken(null);
  };
  const asking = taken !== null && taken === draft?.name.trim();
  const store = async () => {
    const name = now.name.trim();
    const saved = await attempt(() => savePreset(name, now.parameters, { own: now.from?.name, replace: asking }));
    if (saved === null) setTaken(name);
    if (!saved) return;
    say(t("presets.saved", { name: saved.name }));
    if (now.from && !now.from.built_in && now.from.name !== saved.name) await attempt(() => bridge.deletePreset(now.from.name));
    presets.again();
    choose(saved.name);
  };
  const remove = async () => {
    await attempt(() => bridge.deletePreset(kept.name), t("presets.deleted", { name: kept.name }));
    presets.again();
    choose("default");
  };
  const take = async (file) => {
    setBrought(null);
    setBrought((await attempt(() => importPresets(file))) ?? null);
    presets.again();
  };
  return html`
    <h1 class="unseen">${t("page.presets")}</h1>
    <div class="split">
      <nav class="preset-list" aria-label=${t("page.presets")}>
        <ul>${all.map((one) => html`<li key=${one.name}>
          <button type="button" aria-pressed=${!draft?.fresh && one.name === kept.name} onClick=${() => choose(one.name)}>
            <strong><bdi>${presetName(one.name)}</bdi></strong><small>${one.parameters.strength} / ${one.parameters.denoise} / ${one.parameters.sharpen} · ${t(`mode.${one.parameters.mode}`)}</small>
            ${one.built_in && html`<em class="state">${t("built-in")}</em>`}</button></li>`)}</ul>
        <div class="row wrap">
          <${Button} onClick=${() => setDraft({ fresh: true, name: free(t("presets.new-name")), parameters: PLAIN })}>${t("presets.new")}<//>
          <${Button} icon="upload" kind="quiet" onClick=${() => input.current.click()}>${t("import")}<//>
          <${Button} icon="download" kind="quiet" disabled=${all.every((one) => one.built_in)} onClick=${() => exportPresets(all)}>${t("export")}<//>
          <input type="file" ref=${input} hidden accept="application/json,.json" aria-label=${t("import")} onChange=${(event) => { take(event.target.files[0]); event.target.value = ""; }} />
        </div>
        ${brought && html`<${Brought} brought=${brought} />`}
      </nav>
      <section class="editor">
        <div class="editor-form">
          ${now.built_in ? html`<h2><bdi>${presetName(now.name)}</bdi></h2><p class="hint">${t("presets.read-only")}</p>` : html`
            <label class="field">${t("preset.name")}<input value=${now.name} maxlength="64" onInput=${(event) => setDraft({ ...now, name: event.target.value })} /></label>`}
          <${Parameters} name="preset" value=${now.parameters} checkpoints=${checkpoints.value} hints onChange=${(parameters) => setDraft({ ...now, parameters, ...(now.built_in && { built_in: false, fresh: true, from: null, name: free(presetName(now.name)) }) })} />
          ${asking && html`<p class="notice" role="alert">${t("presets.taken", { name: taken })}</p>`}
          <div class="row wrap">
            ${draft && html`<${Button} kind="main" disabled=${!now.name.trim()} onClick=${store}>${t(asking ? "replace" : "save")}<//><${Button} onClick=${() => choose(chosen)}>${t("discard")}<//>`}
            ${!draft && html`<${Button} icon="copy" onClick=${() => setDraft({ fresh: true, name: free(presetName(kept.name)), parameters: kept.parameters })}>${t("duplicate")}<//>`}
            ${!draft && !kept.built_in && html`<${Button} icon="trash" onClick=${remove}>${t("delete")}<//>`}
          </div>
        </div>
        <${Sample} parameters=${now.parameters} />
      </section>
    </div>
  `;
}

const Brought = ({ brought: { taken, skipped } }) => html`
  <div class="notice column" role="status">
    <p>${t("presets.imported", { n: number(taken.length) })}</p>
    ${skipped.length > 0 && html`<ul>${skipped.map(({ name, problem }) => html`<li key=${name}><strong><bdi>${name}</bdi></strong> ${t("presets.skipped", { why: explain(problem).title })}</li>`)}</ul>`}
  </div>
`;

/** The sample through the bridge with these parameters. */
function Sample({ parameters }) {
  const [after, setAfter] = useState(null);
  const [busy, setBusy] = useState(false);
  const asked = JSON.stringify(parameters);
  const photo = useRef(null);
  useEffect(() => {
    const stop = new AbortController();
    const restored = async () => {
      photo.current ??= await bridge.asset(SAMPLE, stop.signal);
      return bridge.enhance(photo.current, { params: parameters, output: { format: "png" } }, stop.signal);
    };
    const timer = setTimeout(async () => {
      setBusy(true);
      const done = await attempt(() => restored().catch((problem) => {
        if (!stop.signal.aborted) throw problem;
      }));
      if (stop.signal.aborted) return;
      setAfter(done ? URL.createObjectURL(done.blob) : null); // what failed must not look like its result
      setBusy(false);
    }, PATIENCE);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [asked]);
  useEffect(() => () => after && URL.revokeObjectURL(after), [after]);
  return html`<div class="sample"><${Compare} before=${SAMPLE} after=${after} photo=${SAMPLE_SIZE}>
    ${busy && html`<div class="working" role="status"><span class="spinner" aria-hidden="true"></span>${t("try.working")}</div>`}<//>
    <p class="hint">${t("presets.sample")}</p></div>`;
}
