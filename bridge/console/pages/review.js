// Review: finished photos beside what they were, judged by one key each.
import { bridge, save } from "../app/bridge.js";
import { onEvent } from "../app/events.js";
import { useLoaded } from "../app/loaded.js";
import { session } from "../app/session.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../app/view.js";
import { isolated, number, percent, presetName, t } from "../app/words.js";
import { attempt, Button, Dialog, Empty, Loading, Notice } from "../parts/controls.js";
import { usePreview } from "../parts/photo.js";
import { Parameters } from "../parts/parameters.js";
import { isOpen, useWaiting } from "./waiting.js";

const SIDE = 1280;
const GONE = ["result_gone", "source_missing"];

export function Review() {
  const waiting = useWaiting();
  const [at, setAt] = useState(null); // the key of the photo that is looked at
  const [judged, setJudged] = useState(null); // the key of the photo that the page goes on from
  const [redoing, setRedoing] = useState(null);
  const answering = useRef(false);
  const photos = waiting.photos ?? [];
  const index = Math.max(photos.findIndex(({ key }) => key === at), 0);
  const shown = photos[index];
  const step = (by) => setAt(photos[Math.min(Math.max(index + by, 0), photos.length - 1)].key);
  const judge = async (photo, verdict, more = {}) => {
    if (answering.current) return; // one press, one photo
    answering.current = true;
    const answer = await attempt(() => bridge.review(photo.job, photo.item.item, { verdict, ...more }));
    if (!answer) {
      answering.current = false;
      return;
    }
    waiting.learn(photo.job, answer.item);
    setJudged(photo.key);
  };
  const redo = () => answering.current || setRedoing(shown);
  useEffect(() => waiting.photos && waiting.near(index));
  // Before any other key comes: on to the next open photo, unless the user went elsewhere meanwhile.
  useLayoutEffect(() => {
    if (!judged) return;
    const next = photos.slice(index + 1).find(isOpen);
    const stays = shown?.key === judged;
    if (stays && !next && !waiting.complete && !waiting.problem) return; // it comes with the next page
    answering.current = false;
    setJudged(null);
    if (stays && next) setAt(next.key);
  });
  useLayoutEffect(() => {
    const onKey = (event) => {
      if (!shown || redoing || !session.value || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
      const arrows = { ArrowLeft: () => step(-1), ArrowRight: () => step(1) };
      const letters = { a: () => judge(shown, "accepted"), x: () => judge(shown, "rejected"), r: redo };
      const action = arrows[event.key] ?? (event.repeat ? undefined : letters[event.key.toLowerCase()]); // Caps Lock gives capitals
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
  const { problem, again } = waiting;
  return html`
    <h1 class="unseen">${t("page.review")}</h1>
    ${problem && html`<${Notice} problem=${problem} onAgain=${again} />`}
    ${shown ? html`
      <section class="pair-view">
        <header class="row spread"><div><h2><bdi>${shown.item.source}</bdi></h2>
          <small><bdi>${batchName(waiting.jobs.get(shown.job))}</bdi> · <bdi>${presetName(shown.item.preset)}</bdi> · ${number(index + 1)} / ${number(waiting.total)}</small></div>
          ${!isOpen(shown) && html`<em class=${`state ${shown.item.review.verdict}`}>${t(`verdict.${shown.item.review.verdict}`)}</em>`}</header>
        <div class="pair">
          ${["source", "result"].map((of) => html`<${Side} key=${`${shown.key} ${of}`} photo=${shown} of=${of} label=${t(of === "source" ? "compare.before" : "compare.after")} />`)}
        </div>
        <div class="verdicts row">
          <${Button} icon="left" kind="quiet" label=${t("previous")} onClick=${() => step(-1)} />
          <${Button} icon="close" onClick=${() => judge(shown, "rejected")}>${t("reject")} <kbd>X</kbd><//>
          <${Button} icon="redo" onClick=${redo}>${t("redo")} <kbd>R</kbd><//>
          <${Button} icon="check" kind="main" onClick=${() => judge(shown, "accepted")}>${t("accept")} <kbd>A</kbd><//>
          <${Button} icon="right" kind="quiet" label=${t("next")} onClick=${() => step(1)} />
        </div>
      </section>`
    : waiting.complete ? html`<${Empty} icon="review" title=${t("review.empty")}>${t("review.empty.text")}<//>` : !problem && html`<${Loading} />`}
    <${Acceptance} />
    ${redoing && html`<${Redo} item=${redoing.item} onClose=${() => setRedoing(null)} onRedo=${(params) => { setRedoing(null); judge(redoing, "redo", { params }); }} />`}
  `;
}

const batchName = (job) => job?.name || job?.client;

function Side({ photo, of, label }) {
  const { url, problem, again } = usePreview(photo.job, photo.item.item, SIDE, of);
  return html`<figure>
    ${url ? html`<img src=${url} alt=${`${label}: ${photo.item.source}`} />`
    : !problem ? html`<span class="spinner"></span>`
    : GONE.includes(problem.code) ? html`<p>${t("review.gone")}</p>` : html`<${Notice} problem=${problem} onAgain=${again} />`}
    <figcaption>${label}</figcaption></figure>`;
}

/** Acceptance by preset, as bars of one length: accepted, sent again, rejected. */
function Acceptance() {
  const { value, problem, again } = useLoaded(bridge.reviews, []);
  useEffect(() => onEvent(({ type, state }) => type === "item" && state.review.verdict !== "none" && again()), []);
  const judged = value?.presets.filter((one) => one.rate !== undefined) ?? [];
  const shares = (one) => ["accepted", "redo", "rejected"].map((verdict) => [verdict, one[verdict] / (one.accepted + one.redo + one.rejected)]);
  return html`
    <section class="card">
      <header class="row spread"><h2>${t("review.acceptance")}</h2>
        <${Button} icon="download" onClick=${() => attempt(async () => save(await bridge.reviewsCsv(), "gpen-reviews.csv"))}>CSV<//></header>
      ${problem && html`<${Notice} problem=${problem} onAgain=${again} />`}
      ${!value ? !problem && html`<${Loading} />` : judged.length ? html`
        <table class="bars"><thead class="unseen"><tr><th scope="col">${t("preset")}</th><th scope="col">${t("review.acceptance")}</th><th scope="col">${t("review.photos")}</th></tr></thead><tbody>
          ${judged.map((one) => html`<tr key=${one.preset}><th scope="row"><bdi>${presetName(one.preset)}</bdi></th>
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
    <${Dialog} title=${t("review.redo", { file: isolated(item.source) })} onClose=${onClose}>
      <${Parameters} name="redo" value=${value} onChange=${setValue} />
      <div class="row end"><${Button} kind="main" icon="redo" onClick=${() => onRedo({ strength, denoise, sharpen, mode })}>${t("redo")}<//></div>
    <//>
  `;
}
