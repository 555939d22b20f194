// Review: finished photos beside what they were, judged by one key each.
import { bridge, save } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html, useEffect, useState } from "../app/view.js";
import { number, percent, presetName, t } from "../app/words.js";
import { attempt, Button, Dialog, Empty, Loading, Notice } from "../parts/controls.js";
import { usePreview } from "../parts/photo.js";
import { Parameters } from "../parts/parameters.js";

const SIDE = 1280;
const AT_ONCE = 200;

/** What waits for a verdict, over all batches, oldest batch last. */
async function unreviewed(signal) {
  const { jobs } = await bridge.jobs(signal);
  const waiting = [];
  for (const { job, name, client, counts } of jobs) {
    if (!counts.unreviewed || waiting.length >= AT_ONCE) continue;
    const { items } = await bridge.items(job, { state: "done", review: "none", limit: AT_ONCE }, signal);
    waiting.push(...items.map((item) => ({ job, batch: name || client, item })));
  }
  return waiting;
}

export function Review() {
  const waiting = useLoaded(unreviewed, []);
  const summary = useLoaded(bridge.reviews, []);
  const [at, setAt] = useState(0);
  const [judged, setJudged] = useState({});
  const [redoing, setRedoing] = useState(false);
  const all = waiting.value ?? [];
  const shown = all[Math.min(at, all.length - 1)];
  const key = (one) => `${one.job}/${one.item.item}`;
  const step = (by) => setAt(Math.min(Math.max(at + by, 0), Math.max(all.length - 1, 0)));
  const judge = async (verdict, more = {}) => {
    const done = await attempt(() => bridge.review(shown.job, shown.item.item, { verdict, ...more }));
    if (!done) return;
    setJudged((old) => ({ ...old, [key(shown)]: verdict }));
    summary.again();
    const next = all.findIndex((one, index) => index > at && !judged[key(one)]);
    if (next >= 0) setAt(next);
  };
  useEffect(() => {
    const onKey = (event) => {
      if (!shown || redoing || event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
      const action = { a: () => judge("accepted"), x: () => judge("rejected"), r: () => setRedoing(true), ArrowLeft: () => step(-1), ArrowRight: () => step(1) }[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
  if (waiting.problem) return html`<${Notice} problem=${waiting.problem} onAgain=${waiting.again} />`;
  if (!waiting.value) return html`<${Loading} />`;
  return html`
    <h1 class="unseen">${t("page.review")}</h1>
    ${shown ? html`
      <section class="pair-view">
        <header class="row spread"><div><h2>${shown.item.source}</h2><small>${shown.batch} · ${presetName(shown.item.preset)} · ${at + 1} / ${all.length}</small></div>
          ${judged[key(shown)] && html`<em class=${`state ${judged[key(shown)]}`}>${t(`verdict.${judged[key(shown)]}`)}</em>`}</header>
        <div class="pair">
          <${Side} one=${shown} of="source" label=${t("compare.before")} /><${Side} one=${shown} of="result" label=${t("compare.after")} />
        </div>
        <div class="verdicts row">
          <${Button} icon="left" kind="quiet" label=${t("previous")} onClick=${() => step(-1)} />
          <${Button} icon="close" onClick=${() => judge("rejected")}>${t("reject")} <kbd>X</kbd><//>
          <${Button} icon="redo" onClick=${() => setRedoing(true)}>${t("redo")} <kbd>R</kbd><//>
          <${Button} icon="check" kind="main" onClick=${() => judge("accepted")}>${t("accept")} <kbd>A</kbd><//>
          <${Button} icon="right" kind="quiet" label=${t("next")} onClick=${() => step(1)} />
        </div>
      </section>` : html`<${Empty} icon="review" title=${t("review.empty")}>${t("review.empty.text")}<//>`}
    <${Acceptance} summary=${summary.value} />
    ${redoing && shown && html`<${Redo} item=${shown.item} onClose=${() => setRedoing(false)} onRedo=${(params) => { setRedoing(false); judge("redo", { params }); }} />`}
  `;
}

function Side({ one, of, label }) {
  const url = usePreview(one.job, one.item.item, SIDE, of);
  return html`<figure>
    ${url ? html`<img src=${url} alt=${`${label}: ${one.item.source}`} />` : url === null ? html`<p>${t("review.gone")}</p>` : html`<span class="spinner"></span>`}
    <figcaption>${label}</figcaption></figure>`;
}

/** Acceptance by preset, as bars of one length: accepted, sent again, rejected. */
function Acceptance({ summary }) {
  const judged = summary?.presets.filter((one) => one.rate !== undefined) ?? [];
  const shares = (one) => ["accepted", "redo", "rejected"].map((verdict) => [verdict, one[verdict] / (one.accepted + one.redo + one.rejected)]);
  return html`
    <section class="card">
      <header class="row spread"><h2>${t("review.acceptance")}</h2>
        <${Button} icon="download" onClick=${() => attempt(async () => save(await bridge.reviewsCsv(), "gpen-reviews.csv"))}>CSV<//></header>
      ${judged.length ? html`
        <table class="bars"><thead class="unseen"><tr><th scope="col">${t("preset")}</th><th scope="col">${t("review.acceptance")}</th><th scope="col">${t("review.photos")}</th></tr></thead><tbody>
          ${judged.map((one) => html`<tr key=${one.preset}><th scope="row">${presetName(one.preset)}</th>
            <td><span class="bar-line">${shares(one).map(([verdict, share]) => share > 0 && html`<i key=${verdict} class=${verdict} title=${t(`verdict.${verdict}`)} style=${{ width: `${share * 100}%` }}></i>`)}</span></td>
            <td>${percent(one.rate)} <small>${t("review.of", { n: number(one.accepted + one.redo + one.rejected) })}</small></td></tr>`)}
        </tbody></table>
        <p class="legend">${["accepted", "redo", "rejected"].map((verdict) => html`<span key=${verdict}><i class=${verdict}></i>${t(`verdict.${verdict}`)}</span>`)}</p>`
      : html`<p class="hint">${t("review.none-yet")}</p>`}
    </section>
  `;
}

function Redo({ item, onClose, onRedo }) {
  const [value, setValue] = useState(item.parameters);
  const { strength, denoise, sharpen, mode } = value;
  return html`
    <${Dialog} title=${t("review.redo", { file: item.source })} onClose=${onClose}>
      <${Parameters} name="redo" value=${value} onChange=${setValue} />
      <div class="row end"><${Button} kind="main" icon="redo" onClick=${() => onRedo({ strength, denoise, sharpen, mode })}>${t("redo")}<//></div>
    <//>
  `;
}
