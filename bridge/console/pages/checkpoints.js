// The checkpoints: name, licence and hash; download and import with consent. Part of System.
import { bridge } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html, useEffect, useState } from "../app/view.js";
import { bytes, explain, percent, t } from "../app/words.js";
import { attempt, Button, Dialog, Notice, Progress, say } from "../parts/controls.js";
import { ImportWeights } from "./import-weights.js";

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
  const imported = () => {
    setAsking(null);
    say(t("import.done"));
    checkpoints.again();
  };
  return html`
    <section class="card"><header class="row spread"><h2>${t("checkpoints")}</h2>${owner && html`<${Button} icon="upload" onClick=${() => setAsking("file")}>${t("checkpoints.import")}<//>`}</header>
      ${checkpoints.problem && html`<${Notice} problem=${checkpoints.problem} onAgain=${checkpoints.again} />`}
      <ul class="lines">${checkpoints.value?.map((one) => html`<${Line} key=${one.name} one=${one} owner=${owner} onAsk=${() => setAsking(one)} />`)}</ul>
    </section>
    ${asking === "file" && html`<${ImportWeights} onClose=${() => setAsking(null)} onImported=${imported} />`}
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
        <${Progress} label=${one.title} share=${share} /><small>${percent(share)}</small>`)}</div>
      ${owner && !one.installed && (!one.transfer || one.transfer.problem) && html`<${Button} icon="download" onClick=${onAsk}>${t("download")}<//>`}
    </li>
  `;
}
