// What waits for a verdict, over all batches: read page by page, kept true by events. Part of Review.
import { bridge } from "../app/bridge.js";
import { onEvent } from "../app/events.js";
import { useLoaded } from "../app/loaded.js";
import { useEffect, useRef, useState } from "../app/view.js";

const PAGE = 200;
/** With fewer photos than these ahead, the next page is asked for. */
const AHEAD = 20;

export const isOpen = ({ item }) => item.review.verdict === "none";

/** Batches and photos by key; `rest`: [job, after] of each page to come; `told`: keys of which an event told since the latest question. */
const unread = () => ({ jobs: new Map(), photos: new Map(), rest: null, told: new Set(), reading: false });

function learn(list, job, item) {
  const key = `${job}/${item.item}`;
  list.told.add(key);
  if (item.state !== "done") list.photos.delete(key);
  else if (list.photos.has(key) || item.review.verdict === "none") list.photos.set(key, { key, job, item });
}

/** One page more. What fails is asked again by the next call. */
async function readOn(list, signal) {
  list.reading = true;
  list.told.clear();
  try {
    if (!list.rest) {
      const jobs = [];
      for await (const page of bridge.jobPages(signal)) jobs.push(...page.jobs);
      signal.throwIfAborted();
      for (const job of jobs) if (!list.jobs.has(job.job)) list.jobs.set(job.job, job); // an event is newer
      list.rest = jobs.filter(({ counts }) => counts.unreviewed).map(({ job }) => [job]);
    }
    if (list.rest.length) {
      const [job, after] = list.rest[0];
      const query = { state: "done", review: "none", limit: PAGE, ...(after !== undefined && { after }) };
      const { items, next } = await bridge.items(job, query, signal);
      signal.throwIfAborted(); // another call may read this page now
      for (const item of items) {
        const key = `${job}/${item.item}`;
        if (!list.told.has(key)) list.photos.set(key, { key, job, item });
      }
      list.rest.splice(0, 1, ...(next === undefined ? [] : [[job, next]]));
    }
    return list;
  } finally {
    list.reading = false;
  }
}

/** How many there are: of what was not read yet the batches tell. */
function totalOf({ jobs, photos, rest }) {
  if (!rest.length) return photos.size;
  const open = [...jobs.values()].reduce((sum, { counts }) => sum + counts.unreviewed, 0);
  return Math.max(photos.size, open + [...photos.values()].filter((one) => !isOpen(one)).length);
}

/**
 * {photos: those read so far, judged ones included; total, complete, jobs, problem, again},
 * `learn(job, item)` for what the page itself changed, and `near(index)` for which photo is looked at.
 */
export function useWaiting() {
  const [, draw] = useState(0);
  const list = useRef(null);
  list.current ??= unread();
  const page = useLoaded((signal) => readOn(list.current, signal), []);
  const shown = useRef(null); // the list before, while a new one is read
  shown.current = page.value;
  const change = (one) => {
    for (const each of new Set([list.current, shown.current])) if (each) one(each);
    draw((old) => old + 1);
  };
  const learned = (job, item) => change((each) => learn(each, job, item));
  useEffect(() => onEvent((event) => {
    if (event.type === "afresh") {
      list.current = unread();
      page.again();
    } else if (event.type === "job") change((each) => each.jobs.set(event.job, event.state));
    else if (event.type === "item") learned(event.job, event.state);
  }), []);
  const now = page.value;
  return {
    photos: now && [...now.photos.values()],
    total: now && totalOf(now),
    complete: now && !now.rest.length,
    jobs: now?.jobs,
    problem: page.problem,
    again: page.again,
    learn: learned,
    near(index) {
      const { photos, rest, reading } = list.current;
      if (rest?.length && !reading && !page.problem && index >= photos.size - AHEAD) page.again();
    },
  };
}
