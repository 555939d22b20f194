// The batches of all clients, newest first, kept true by events.
import { bridge } from "./bridge.js";
import { onEvent } from "./events.js";
import { useLoaded } from "./loaded.js";
import { useEffect, useRef, useState } from "./view.js";

const newestFirst = (one, other) => (one.created_at < other.created_at ? 1 : one.created_at > other.created_at ? -1 : 0);

/** The newest pages of the list, and the batch `kept` wherever it stands. */
async function newest(pages, kept, signal) {
  const found = { jobs: [], unreadable: [], pages: 0, next: undefined };
  for await (const page of bridge.jobPages(signal)) {
    found.jobs.push(...page.jobs);
    found.unreadable.push(...page.unreadable);
    found.next = page.next;
    if (++found.pages >= pages) break;
  }
  if (kept && found.next && !found.jobs.some(({ job }) => job === kept)) {
    await bridge.job(kept, signal).then((state) => found.jobs.push(state), () => signal.throwIfAborted()); // or it is gone
  }
  return found;
}

/** {jobs, unreadable, problem, again, more}; `more` is absent at the end of the list. `kept`: the batch that must stay. */
export function useJobs(kept) {
  const [pages, setPages] = useState(1);
  const [, redraw] = useState(0);
  const told = useRef({ states: new Map(), count: 0 }).current; // by events; what came since a question is newer than its answer
  const loaded = useLoaded(async (signal) => {
    const since = told.count;
    return { since, ...(await newest(pages, kept, signal)) };
  }, [pages]);
  useEffect(() => onEvent((event) => {
    if (event.type === "afresh") loaded.again();
    if (event.type !== "job") return;
    told.states.set(event.job, { state: event.state, at: ++told.count });
    redraw(told.count);
  }), []);
  const { value = { jobs: [], unreadable: [], since: 0 }, problem, again } = loaded;
  const jobs = new Map(value.jobs.map((one) => [one.job, one]));
  for (const { state, at } of told.states.values()) if (at > value.since) jobs.set(state.job, state);
  return {
    jobs: loaded.value || jobs.size ? [...jobs.values()].sort(newestFirst) : undefined,
    unreadable: value.unreadable,
    problem,
    again,
    more: value.next && { loading: value.pages < pages, load: () => setPages(value.pages + 1) },
  };
}
