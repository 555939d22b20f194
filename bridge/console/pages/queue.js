// Queue: the batches of all clients, live, and the photos of the one that was chosen.
import { bridge, save } from "../app/bridge.js";
import { useItems } from "../app/items.js";
import { useJobs } from "../app/jobs.js";
import { session } from "../app/session.js";
import { useStore } from "../app/store.js";
import { html, useState } from "../app/view.js";
import { duration, explain, number, presetName, t, when } from "../app/words.js";
import { attempt, Button, Choice, Dialog, Empty, Loading, Notice } from "../parts/controls.js";
import { Thumb } from "../parts/photo.js";
import { VirtualList } from "../parts/virtual-list.js";

const ROW = 68;
const FILTERS = ["all", "leased", "failed", "done", "queued", "cancelled"];
/** Milliseconds in which a second click is not meant for what took the place of the first one's button. */
const REST = 400;

/** Whether somebody may steer what others sent; who signed in before rights were told has those of the standing. */
const mayEverything = (who) => who?.standing === "owner" || Boolean(who?.rights?.includes("admin"));

export function Queue() {
  const [chosen, setChosen] = useState(null);
  const { jobs, unreadable, problem, again, more } = useJobs(chosen);
  const who = useStore(session);
  const job = jobs?.find((one) => one.job === chosen) ?? jobs?.[0];
  // The first one that is shown stays: whoever reads it must not be shown another when one comes.
  if (job && job.job !== chosen) setChosen(job.job);
  return html`
    <h1 class="unseen">${t("page.queue")}</h1>
    ${problem && html`<${Notice} problem=${problem} onAgain=${again} />`}
    ${unreadable.length > 0 && html`<p class="hint">${t("queue.unreadable", { n: number(unreadable.length) })}</p>`}
    ${!jobs ? !problem && html`<${Loading} />` : !jobs.length ? html`<${Empty} icon="queue" title=${t("queue.empty")}>${t("queue.empty.text")}<//>` : html`
      <div class="split">
        <ul class="jobs" aria-label=${t("queue.batches")}>
          ${jobs.map((one) => html`<li key=${one.job}><${JobCard} job=${one} chosen=${one === job} onChoose=${() => setChosen(one.job)} /></li>`)}
          ${more && html`<li key="more"><${Button} disabled=${more.loading} onClick=${more.load}>${t("queue.older")}<//></li>`}
        </ul>
        <${Batch} key=${job.job} job=${job} mine=${mayEverything(who) || job.client_id === who?.client_id} />
      </div>`}
  `;
}

const Progress = ({ counts }) => html`
  <div class="progress" role="progressbar" aria-label=${t("queue.progress")} aria-valuemin="0" aria-valuemax=${counts.total}
    aria-valuenow=${counts.done + counts.failed + counts.cancelled}>
    <i class="done" style=${{ width: `${(counts.done / counts.total) * 100}%` }}></i>
    <i class="failed" style=${{ width: `${(counts.failed / counts.total) * 100}%` }}></i>
  </div>
`;

const JobCard = ({ job, chosen, onChoose }) => html`
  <button type="button" class="job" aria-pressed=${chosen} onClick=${onChoose}>
    <span class="row spread"><strong><bdi>${job.name || job.client}</bdi></strong><em class=${`state ${job.state}`}>${t(`job.${job.state}`)}</em></span>
    <${Progress} counts=${job.counts} />
    <span class="row spread"><small>${t("queue.of", { n: number(job.counts.done), of: number(job.counts.total) })}${job.counts.failed ? ` · ${t("queue.failed", { n: number(job.counts.failed) })}` : ""}</small>
      <small>${job.eta ? t("queue.eta", { time: duration(job.eta.likely) }) : when(job.created_at)}</small></span>
  </button>
`;

/** Runs one action of the user at a time: {busy, steer(action)}. */
function useSteering() {
  const [busy, setBusy] = useState(false);
  const steer = async (action) => {
    setBusy(true);
    await attempt(action);
    setTimeout(() => setBusy(false), REST);
  };
  return { busy, steer };
}

function Batch({ job, mine }) {
  const [filter, setFilter] = useState("all");
  const { counts } = job;
  return html`
    <section class="batch" aria-label=${job.name || job.client}>
      <header>
        <div><h2><bdi>${job.name || job.client}</bdi></h2>
          <small><bdi>${presetName(job.preset)}</bdi> · ${job.client} · ${when(job.created_at)}</small></div>
        ${mine && html`<${Steering} job=${job} />`}
      </header>
      ${job.waiting && html`<p class="notice" role="status">${explain(job.waiting).title} ${job.waiting.detail}</p>`}
      <${Choice} label=${t("queue.show")} name="filter" value=${filter} onChange=${setFilter}
        options=${FILTERS.filter((state) => state === "all" || state === filter || counts[state] > 0).map((state) => [state, `${t(`item.${state}`)} ${number(state === "all" ? counts.total : counts[state])}`])} />
      <${Items} key=${filter} job=${job} filter=${filter} mine=${mine} />
    </section>
  `;
}

function Steering({ job }) {
  const { busy, steer } = useSteering();
  const [asking, setAsking] = useState(false);
  const act = (verb, asked) => steer(() => bridge.actOnJob(job.job, verb, asked));
  const { counts, state } = job;
  const going = state === "running" || state === "queued";
  const paused = state === "paused";
  return html`
    <div class="row wrap">
      ${(going || paused) && html`<${Button} icon=${paused ? "play" : "pause"} kind=${paused ? "main" : ""} disabled=${busy}
        onClick=${() => act(paused ? "resume" : "pause")}>${t(paused ? "resume" : "pause")}<//>`}
      ${counts.failed > 0 && html`<${Button} icon="redo" disabled=${busy} onClick=${() => act("retry")}>${t("retry-failed")}<//>`}
      ${counts.cancelled > 0 && html`<${Button} icon="redo" disabled=${busy} onClick=${() => act("retry", { states: ["cancelled"] })}>${t("retry-cancelled")}<//>`}
      ${(going || paused) && html`<${Button} icon="close" disabled=${busy} onClick=${() => setAsking(true)}>${t("cancel")}<//>`}
    </div>
    ${asking && (going || paused) && html`
      <${Dialog} title=${t("queue.cancel")} onClose=${() => setAsking(false)}>
        <p>${t("queue.cancel.text", { n: number(counts.queued + counts.leased) })}</p>
        <div class="row end"><${Button} onClick=${() => setAsking(false)}>${t("queue.cancel.no")}<//>
          <${Button} kind="main" onClick=${() => { setAsking(false); act("cancel"); }}>${t("queue.cancel.yes")}<//></div>
      <//>`}
  `;
}

function Items({ job, filter, mine }) {
  const items = useItems(job.job, filter);
  const [why, setWhy] = useState(null);
  const count = items.count(filter === "all" ? job.counts.total : job.counts[filter]);
  return html`
    ${items.problem && html`<${Notice} problem=${items.problem} onAgain=${() => items.again()} />`}
    <${VirtualList} count=${count} height=${ROW} label=${t("queue.photos")} onRange=${(first, last) => items.look(first, last)}
      keyOf=${(index) => items.at(index)?.item ?? `coming ${index}`}
      row=${(index) => {
        const one = items.at(index);
        return one ? html`<${Row} job=${job.job} item=${one} mine=${mine} onWhy=${setWhy} />` : html`<span class="thumb coming"></span>`;
      }} />
    ${why && html`
      <${Dialog} title=${why.source} onClose=${() => setWhy(null)}><h3>${explain(why.error).title}</h3><p>${explain(why.error).text}</p><//>`}
  `;
}

const restored = ({ restored: n, found: of }) => (of ? t("item.restored", { n, of }) : t("item.no-face"));

function Row({ job, item, mine, onWhy }) {
  const spent = Object.values(item.seconds).reduce((sum, one) => sum + one, 0);
  return html`
    <${Thumb} job=${job} item=${item.item} of=${item.state === "done" ? "result" : "source"} />
    <div class="item-name"><strong><bdi>${item.source}</bdi></strong><${Remark} item=${item} onWhy=${onWhy} /></div>
    <span class="seconds">${spent > 0 && duration(spent)}</span>
    <em class=${`state ${item.state}`}>${item.state === "leased" && item.stage ? t(`stage.${item.stage}`) : t(`item.${item.state}`)}</em>
    <${ItemDo} job=${job} item=${item} mine=${mine} />
  `;
}

/** What became of a photo. A failure is a button: its whole text has no room in a row. */
function Remark({ item, onWhy }) {
  if (!item.error) return html`<small>${item.result ? restored(item.result) : item.paused ? t("item.paused") : ""}</small>`;
  const { title, text } = explain(item.error);
  return html`
    <button type="button" class="why" aria-haspopup="dialog" onClick=${() => onWhy(item)}>
      <small class=${item.state === "failed" ? "bad" : ""}>${title} · ${text}</small></button>`;
}

function ItemDo({ job, item, mine }) {
  const { busy, steer } = useSteering();
  const label = (verb) => t("item.do", { verb: t(verb), file: item.source });
  const { state } = item;
  return html`
    <span class="item-do">
      ${state === "done" && html`<${Button} icon="download" kind="quiet" label=${label("download")} onClick=${() =>
        attempt(async () => save(await bridge.result(job, item.item), item.result.name.split("/").pop()))} />`}
      ${mine && (state === "failed" || state === "cancelled") && html`<${Button} icon="redo" kind="quiet" label=${label("retry")} disabled=${busy}
        onClick=${() => steer(() => bridge.retryItem(job, item.item, state))} />`}
      ${mine && (state === "queued" || state === "leased") && html`<${Button} icon="close" kind="quiet" label=${label("cancel")} disabled=${busy}
        onClick=${() => steer(() => bridge.actOnItem(job, item.item, "cancel"))} />`}
    </span>
  `;
}
