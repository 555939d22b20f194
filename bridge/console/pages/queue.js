// Queue: the batches of all clients, live, and the photos of the one that was chosen.
import { bridge, save } from "../app/bridge.js";
import { onEvent } from "../app/events.js";
import { html, useEffect, useRef, useState } from "../app/view.js";
import { duration, explain, number, presetName, t, when } from "../app/words.js";
import { attempt, Button, Choice, Empty, Loading, Notice } from "../parts/controls.js";
import { Thumb } from "../parts/photo.js";
import { VirtualList } from "../parts/virtual-list.js";

const ROW = 68;
const PAGE = 100;
const FILTERS = ["all", "leased", "failed", "done", "queued", "cancelled"];

const withJob = (jobs, state) =>
  jobs.some((one) => one.job === state.job) ? jobs.map((one) => (one.job === state.job ? state : one)) : [state, ...jobs];

/** All jobs, newest first, kept true by events: {jobs, unreadable, problem, again}. */
function useJobs() {
  const [state, setState] = useState({});
  const told = useRef(null); // by events since the latest question: newer than its answer may be
  const again = () => {
    const since = (told.current = new Map());
    const latest = () => told.current === since;
    return bridge.jobs().then(
      ({ jobs, unreadable }) => latest() && setState({ jobs: [...since.values()].reduce(withJob, jobs), unreadable }),
      (problem) => latest() && setState((old) => ({ ...old, problem })),
    );
  };
  useEffect(() => {
    again();
    return onEvent((event) => {
      if (event.type === "afresh") again();
      if (event.type !== "job") return;
      told.current.set(event.job, event.state);
      setState(({ jobs = [], ...rest }) => ({ ...rest, jobs: withJob(jobs, event.state) }));
    });
  }, []);
  return { ...state, again };
}

export function Queue() {
  const { jobs, unreadable, problem, again } = useJobs();
  const [chosen, setChosen] = useState(null);
  const job = jobs?.find((one) => one.job === chosen) ?? jobs?.[0];
  return html`
    <h1 class="unseen">${t("page.queue")}</h1>
    ${problem && html`<${Notice} problem=${problem} onAgain=${again} />`}
    ${unreadable?.length > 0 && html`<p class="hint">${t("queue.unreadable", { n: number(unreadable.length) })}</p>`}
    ${!jobs ? !problem && html`<${Loading} />` : !jobs.length ? html`<${Empty} icon="queue" title=${t("queue.empty")}>${t("queue.empty.text")}<//>` : html`
      <div class="split">
        <ul class="jobs" aria-label=${t("queue.batches")}>
          ${jobs.map((one) => html`<li key=${one.job}><${JobCard} job=${one} chosen=${one === job} onChoose=${() => setChosen(one.job)} /></li>`)}
        </ul>
        <${Batch} key=${job.job} job=${job} />
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
    <span class="row spread"><strong>${job.name || job.client}</strong><em class=${`state ${job.state}`}>${t(`job.${job.state}`)}</em></span>
    <${Progress} counts=${job.counts} />
    <span class="row spread"><small>${t("queue.of", { n: number(job.counts.done), of: number(job.counts.total) })}${job.counts.failed ? ` · ${t("queue.failed", { n: number(job.counts.failed) })}` : ""}</small>
      <small>${job.eta ? t("queue.eta", { time: duration(job.eta.likely) }) : when(job.created_at)}</small></span>
  </button>
`;

/** The items of a job by number (or in order, when filtered); pages come when they are looked at. */
function useItems(job, filter) {
  const [, draw] = useState(0);
  const items = useRef(null);
  items.current ??= { byIndex: new Map(), asked: new Set(), told: new Map(), events: 0, next: -1 };
  const now = items.current;
  const redraw = () => draw((old) => old + 1);
  const afresh = () => {
    items.current = null;
    redraw();
  };
  useEffect(() => {
    if (filter !== "all") return onEvent((event) => {
      if (event.type === "afresh" || (event.job === job.job && event.items_changed)) afresh();
    });
    return onEvent((event) => {
      if (event.type === "afresh") return afresh();
      if (event.job !== job.job) return undefined;
      if (event.type === "item") {
        now.byIndex.set(event.state.item, event.state);
        now.told.set(event.state.item, ++now.events);
      } else if (event.type === "stage") {
        const old = items.current?.byIndex.get(event.item);
        if (old) items.current.byIndex.set(event.item, { ...old, state: "leased", stage: event.stage });
      } else if (event.items_changed) return afresh();
      return redraw();
    });
  }, [job.job, filter, now]);
  const load = async (first, last) => {
    const pages = filter === "all"
      ? Array.from({ length: Math.floor((last - 1) / PAGE) - Math.floor(first / PAGE) + 1 }, (_, step) => Math.floor(first / PAGE) + step)
      : [Math.floor(last / PAGE)];
    for (const page of pages) {
      if (now.asked.has(page) || now.next === undefined) continue;
      now.asked.add(page);
      const after = filter === "all" ? page * PAGE - 1 : now.next;
      const query = { limit: PAGE, ...(after >= 0 && { after }), ...(filter !== "all" && { state: filter }) };
      const before = now.events;
      try {
        const got = await bridge.items(job.job, query);
        const from = filter === "all" ? page * PAGE : now.byIndex.size;
        got.items.forEach((item, offset) => {
          // What an event told since the question is newer than the answer.
          if ((now.told.get(item.item) ?? 0) <= before) now.byIndex.set(from + offset, item);
        });
        if (filter !== "all") now.next = got.next;
      } catch {
        now.asked.delete(page); // looked at again, asked again
      }
    }
    redraw();
  };
  return { item: (index) => now.byIndex.get(index), load };
}

function Batch({ job }) {
  const [filter, setFilter] = useState("all");
  const { counts } = job;
  const act = (verb) => attempt(() => bridge.actOnJob(job.job, verb));
  const going = job.state === "running" || job.state === "queued";
  return html`
    <section class="batch" aria-label=${job.name || job.client}>
      <header>
        <div><h2>${job.name || job.client}</h2>
          <small>${presetName(job.preset)} · ${job.client} · ${when(job.created_at)}</small></div>
        <div class="row">
          ${going && html`<${Button} icon="pause" onClick=${() => act("pause")}>${t("pause")}<//>`}
          ${job.state === "paused" && html`<${Button} icon="play" kind="main" onClick=${() => act("resume")}>${t("resume")}<//>`}
          ${counts.failed > 0 && html`<${Button} icon="redo" onClick=${() => act("retry")}>${t("retry-failed")}<//>`}
          ${(going || job.state === "paused") && html`<${Button} icon="close" onClick=${() => act("cancel")}>${t("cancel")}<//>`}
        </div>
      </header>
      ${job.waiting && html`<p class="notice" role="status">${explain(job.waiting).title} ${job.waiting.detail}</p>`}
      <${Choice} label=${t("queue.show")} name="filter" value=${filter} onChange=${setFilter}
        options=${FILTERS.filter((state) => state === "all" || state === filter || counts[state] > 0).map((state) => [state, `${t(`item.${state}`)} ${number(state === "all" ? counts.total : counts[state])}`])} />
      <${Items} key=${filter} job=${job} filter=${filter} />
    </section>
  `;
}

function Items({ job, filter }) {
  const { item, load } = useItems(job, filter);
  const count = filter === "all" ? job.counts.total : job.counts[filter];
  return html`<${VirtualList} count=${count} height=${ROW} label=${t("queue.photos")} onRange=${load} row=${(index) => {
    const one = item(index);
    return one ? html`<${Row} job=${job.job} item=${one} />` : html`<span class="thumb coming"></span>`;
  }} />`;
}

const restored = ({ restored: n, found: of }) => (of ? t("item.restored", { n, of }) : t("item.no-face"));

function Row({ job, item }) {
  const act = (verb) => attempt(() => bridge.actOnItem(job, item.item, verb));
  const spent = Object.values(item.seconds).reduce((sum, one) => sum + one, 0);
  const problem = item.error && explain(item.error);
  return html`
    <${Thumb} job=${job} item=${item.item} of=${item.state === "done" ? "result" : "source"} />
    <div class="item-name"><strong>${item.source}</strong>
      <small class=${item.state === "failed" ? "bad" : ""} title=${problem?.text}>${
        problem ? `${problem.title} · ${problem.text}` : item.result ? restored(item.result) : item.paused ? t("item.paused") : ""}</small></div>
    <span class="seconds">${spent > 0 && duration(spent)}</span>
    <em class=${`state ${item.state}`}>${item.state === "leased" && item.stage ? t(`stage.${item.stage}`) : t(`item.${item.state}`)}</em>
    <span class="item-do">
      ${item.state === "done" && html`<${Button} icon="download" kind="quiet" label=${t("download")} onClick=${() =>
        attempt(async () => save(await bridge.result(job, item.item), item.result.name.split("/").pop()))} />`}
      ${(item.state === "failed" || item.state === "cancelled") && html`<${Button} icon="redo" kind="quiet" label=${t("retry")} onClick=${() =>
        attempt(() => bridge.retryItem(job, item.item, item.state))} />`}
      ${(item.state === "queued" || item.state === "leased") && html`<${Button} icon="close" kind="quiet" label=${t("cancel")} onClick=${() => act("cancel")} />`}
    </span>
  `;
}
