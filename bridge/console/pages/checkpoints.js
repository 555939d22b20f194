// The checkpoints: name, licence and hash; download and import with consent. Part of System.
import { bridge } from "../app/bridge.js";
import { useLoaded } from "../app/store.js";
import { html, useEffect, useState } from "../app/view.js";
import { bytes, explain, percent, t } from "../app/words.js";
import { attempt, Button, Dialog, Notice } from "../parts/controls.js";

const EVERY = 1000;

export function Checkpoints({ owner }) {
  const checkpoints = useLoaded(bridge.checkpoints, []);
  const [asking, setAsking] = useState(null); // a checkpoint, or "file"
  const moving = checkpoints.value?.some((one) => one.transfer && !one.transfer.problem);
  useEffect(() => {
    if (!moving) return undefined;
    const timer = setTimeout(checkpoints.again, EVERY);
    return () => clearTimeout(timer);
  }, [moving, checkpoints.value]);
  const add = async (asked) => {
    setAsking(null);
    await attempt(() => bridge.addCheckpoint(asked));
    checkpoints.again();
  };
  return html`
    <section class="card"><header class="row spread"><h2>${t("checkpoints")}</h2>${owner && html`<${Button} icon="upload" onClick=${() => setAsking("file")}>${t("checkpoints.import")}<//>`}</header>
      ${checkpoints.problem && html`<${Notice} problem=${checkpoints.problem} onAgain=${checkpoints.again} />`}
      <ul class="lines">${checkpoints.value?.map((one) => html`<${Line} key=${one.name} one=${one} owner=${owner} onAsk=${() => setAsking(one)} />`)}</ul>
    </section>
    ${asking === "file" && html`<${Import} onClose=${() => setAsking(null)} onImport=${add} />`}
    ${asking && asking !== "file" && html`
      <${Dialog} title=${asking.title} onClose=${() => setAsking(null)}>
        <h3>${asking.licence.title}</h3><p class="terms">${asking.licence.terms}</p>
        <div class="row end"><${Button} onClick=${() => setAsking(null)}>${t("cancel")}<//>
          <${Button} kind="main" icon="download" onClick=${() => add({ download: asking.name, accept_licence: true })}>${t("checkpoints.accept")}<//></div>
      <//>`}
  `;
}

function Line({ one, owner, onAsk }) {
  const share = one.transfer?.total ? one.transfer.done / one.transfer.total : 0;
  return html`
    <li><div class="grow"><strong>${one.title}</strong> ${one.installed && html`<em class="state done">${t("installed")}</em>`}
      <p>${one.summary}</p>
      <small>${one.licence.title}${one.bytes ? ` · ${bytes(one.bytes)}` : ""}</small>
      ${one.sha256 && html`<small class="hash" title=${one.sha256}>SHA-256 ${one.sha256.slice(0, 16)}…</small>`}
      ${one.transfer && (one.transfer.problem ? html`<p class="bad">${explain(one.transfer.problem).title} ${one.transfer.problem.detail}</p>` : html`
        <div class="progress" role="progressbar" aria-label=${one.title} aria-valuenow=${Math.round(share * 100)} aria-valuemin="0" aria-valuemax="100"><i class="done" style=${{ width: `${share * 100}%` }}></i></div><small>${percent(share)}</small>`)}</div>
      ${owner && !one.installed && (!one.transfer || one.transfer.problem) && html`<${Button} icon="download" onClick=${onAsk}>${t("download")}<//>`}
    </li>
  `;
}

function Import({ onClose, onImport }) {
  const [file, setFile] = useState("");
  const [agreed, setAgreed] = useState(false);
  return html`
    <${Dialog} title=${t("checkpoints.import")} onClose=${onClose}>
      <p>${t("checkpoints.import.text")}</p><pre><code>gpen-bridge weights import FILE</code></pre><p>${t("checkpoints.import.exchange")}</p>
      <form onSubmit=${(event) => { event.preventDefault(); onImport({ file: file.trim(), accept_licence: true }); }}>
        <label class="field">${t("checkpoints.file")}<input value=${file} placeholder="GPEN-BFR-512.pth" onInput=${(event) => setFile(event.target.value)} /></label>
        <label class="check"><input type="checkbox" checked=${agreed} onChange=${(event) => setAgreed(event.target.checked)} />${t("checkpoints.agree")}</label>
        <div class="row end"><${Button} type="submit" kind="main" disabled=${!agreed || !file.trim()}>${t("import")}<//></div>
      </form>
    <//>
  `;
}
