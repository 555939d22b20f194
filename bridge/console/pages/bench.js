// The bench: one photo through the bridge, looked at closely, with its parameters and faces. Part of Try.
import { bridge, save } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html, useState } from "../app/view.js";
import { bytes, duration, explain, number, presetName, t } from "../app/words.js";
import { Chooser, dropped } from "../parts/chooser.js";
import { Compare } from "../parts/compare.js";
import { Button, Dialog, Notice } from "../parts/controls.js";
import { Parameters, PLAIN } from "../parts/parameters.js";
import { useLooked, useResult, useUrl } from "./enhanced.js";
import { savePreset } from "./save-preset.js";

const ENDINGS = { "image/jpeg": "jpg", "image/png": "png", "image/tiff": "tif", "image/webp": "webp" };

export function Bench({ photo, onTake }) {
  const looked = useLooked(photo);
  const presets = useLoaded(bridge.presets, []);
  const checkpoints = useLoaded(bridge.checkpoints, []);
  const [preset, setPreset] = useState(null);
  const [changed, setChanged] = useState(null);
  const [own, setOwn] = useState({}); // by face: its strength, or false to leave it alone
  const [focus, setFocus] = useState(null);
  const [outlines, setOutlines] = useState(true);
  const [naming, setNaming] = useState(false);
  const found = looked.value?.found;
  const name = preset ?? found?.suggested_preset ?? "default";
  const parameters = changed ?? presets.value?.find((one) => one.name === name)?.parameters ?? PLAIN;
  const question = {
    preset: name,
    params: { ...parameters, select: found ? found.faces.flatMap((_, index) => (own[index] === false ? [] : [index])) : "all" },
    faces: found?.faces.map((face, index) => (typeof own[index] === "number" ? { ...face, strength: own[index] } : face)),
    output: { quality: 95 },
  };
  const batch = { preset: name, ...(changed && { params: { ...changed, select: "all" } }) };
  const take = (files) => onTake(files, batch);
  const result = useResult(photo, question, Boolean(found && presets.value));
  const summary = result.current ? result.summary : null;
  const before = useUrl(looked.value?.shown);
  const after = useUrl(result.shown);
  const jump = (index) => setFocus({ index, turn: (focus?.turn ?? 0) + 1 });
  const stem = photo.name.replace(/\.[^.]+$/, "");
  const faces = (found?.faces ?? []).map((face, index) => ({
    box: face.box, off: own[index] === false, label: t("face.label", { n: index + 1, size: number(face.size), grade: t(`grade.${face.quality.grade}`) }),
  }));
  return html`
    <div class="bench" ...${dropped(take)}>
      <section class="table" aria-label=${photo.name}>
        ${looked.problem
          ? html`<div class="stage"><${Notice} problem=${looked.problem} onAgain=${looked.again} /></div>`
          : found && before
            ? html`<${Compare} before=${before} after=${after} photo=${found} faces=${outlines ? faces : []} chosen=${focus?.index} onChoose=${jump} focus=${focus}>
                ${result.busy && html`<div class="working" role="status"><span class="spinner" aria-hidden="true"></span>${t("try.working")}</div>`}
              <//>`
            : html`<div class="stage"><div class="working" role="status"><span class="spinner" aria-hidden="true"></span>${t("try.looking")}</div></div>`}
      </section>
      <aside class="panel" aria-label=${t("try.panel")}>
        <div class="panel-head">
          <div><strong class="file"><bdi>${photo.name}</bdi></strong>
            <small>${bytes(photo.size)}${found && ` · ${found.width} × ${found.height}`}</small></div>
          <${Chooser} onTake=${take} kind="quiet">${t("try.other")}<//>
        </div>
        ${presets.problem && html`<${Notice} problem=${presets.problem} onAgain=${presets.again} />`}
        ${result.problem && html`<${Notice} problem=${result.problem} onAgain=${result.again} />`}
        <label class="field">${t("preset")}
          <select value=${name} onChange=${(event) => { setPreset(event.target.value); setChanged(null); }}>
            ${presets.value?.map((one) => html`<option key=${one.name} value=${one.name} dir="auto">${presetName(one.name)}${one.name === found?.suggested_preset ? ` · ${t("suggested")}` : ""}</option>`)}
          </select>
        </label>
        <${Parameters} name="try" value=${parameters} checkpoints=${checkpoints.value} onChange=${setChanged} />
        <${Faces} found=${found} own=${own} strength=${parameters.strength} onOwn=${setOwn} onJump=${jump} outlines=${outlines} onOutlines=${setOutlines} />
        <div class="panel-end">
          ${summary && html`<p class="hint">${t("try.done", { n: summary.restored, of: summary.found, time: duration(Object.values(summary.seconds).reduce((sum, one) => sum + one, 0)) })}</p>`}
          ${summary?.warnings?.map((warning) => html`<p class="hint" key=${warning}>${warning}</p>`)}
          <div class="row">
            <${Button} kind="main" icon="download" disabled=${!result.current} onClick=${() => save(result.blob, `${stem}-GPEN.${ENDINGS[result.blob.type]}`)}>${t("download")}<//>
            <${Button} onClick=${() => setNaming(true)}>${t("try.save-preset")}<//>
          </div>
        </div>
      </aside>
      ${naming && html`<${SavePreset} parameters=${parameters} onClose=${() => setNaming(false)} onSaved=${(saved) => { presets.again(); setPreset(saved); setChanged(null); }} />`}
    </div>
  `;
}

function Faces({ found, own, strength, onOwn, onJump, outlines, onOutlines }) {
  if (!found) return null;
  if (!found.faces.length) return html`<p class="hint">${t("face.none")}</p>`;
  return html`
    <section class="faces" aria-label=${t("faces")}>
      <div class="row spread"><h2>${t("faces")} <span class="count">${found.faces.length}</span></h2>
        <label class="check"><input type="checkbox" checked=${outlines} onChange=${(event) => onOutlines(event.target.checked)} />${t("face.outlines")}</label></div>
      <ul>
        ${found.faces.map((face, index) => html`
          <li key=${index}>
            <button type="button" class="face-jump" onClick=${() => onJump(index)} aria-label=${t("face.jump", { n: index + 1 })}>${index + 1}</button>
            <span class="face-facts">${number(face.size)} px <em class=${`grade ${face.quality.grade}`}>${t(`grade.${face.quality.grade}`)}</em></span>
            <label class="check"><input type="checkbox" checked=${own[index] !== false} aria-label=${t("face.restore", { n: index + 1 })}
              onChange=${(event) => onOwn({ ...own, [index]: event.target.checked ? undefined : false })} /></label>
            <input type="range" min="0" max="100" value=${own[index] || own[index] === 0 ? own[index] : strength} disabled=${own[index] === false}
              aria-label=${t("face.strength", { n: index + 1 })} onInput=${(event) => onOwn({ ...own, [index]: Number(event.target.value) })} />
            <output>${own[index] === false ? "–" : typeof own[index] === "number" ? own[index] : strength}</output>
          </li>`)}
      </ul>
    </section>
  `;
}

function SavePreset({ parameters, onClose, onSaved }) {
  const [name, setName] = useState("");
  const [taken, setTaken] = useState(null); // the name of another preset, which Save was pressed for
  const [problem, setProblem] = useState(null);
  const asking = taken !== null && taken === name.trim();
  const go = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      const saved = await savePreset(name.trim(), { ...parameters, select: "all" }, { replace: asking });
      if (!saved) return setTaken(name.trim());
      onSaved(saved.name);
      return onClose();
    } catch (failure) {
      return setProblem(failure);
    }
  };
  return html`
    <${Dialog} title=${t("try.save-preset")} onClose=${onClose}>
      <form onSubmit=${go}>
        ${problem && html`<p class="notice bad" role="alert">${explain(problem).title} ${explain(problem).text}</p>`}
        <label class="field">${t("preset.name")}<input value=${name} maxlength="64" onInput=${(event) => setName(event.target.value)} /></label>
        ${asking && html`<p class="notice" role="alert">${t("presets.taken", { name: taken })}</p>`}
        <div class="row end"><${Button} type="submit" kind="main" disabled=${!name.trim()}>${t(asking ? "replace" : "save")}<//></div>
      </form>
    <//>
  `;
}
