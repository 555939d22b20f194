// What a page asks of the bridge when it opens: asked again on demand, after a new sign-in, and when a lost
// bridge is back.
import { connection } from "./events.js";
import { session } from "./session.js";
import { useStore } from "./store.js";
import { useEffect, useState } from "./view.js";

/** What `load(signal)` resolves to, anew when `keys` change or `again()` is called: {value, problem, again}. */
export function useLoaded(load, keys) {
  const who = useStore(session)?.client_id;
  const [state, setState] = useState({ value: undefined, problem: undefined });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!who) return undefined;
    const stop = new AbortController();
    load(stop.signal).then(
      (value) => stop.signal.aborted || setState({ value, problem: undefined }),
      (problem) => stop.signal.aborted || setState((old) => ({ ...old, problem })),
    );
    return () => stop.abort();
  }, [...keys, round, who]);
  const again = () => setRound((old) => old + 1);
  useEffect(() => connection.follow((now) => now === "live" && state.problem && again()), [state.problem]);
  return { ...state, again };
}
