// What is looked at again and again: some time after each answer, and only while somebody is signed in.
import { session } from "./session.js";
import { useStore } from "./store.js";
import { useEffect } from "./view.js";

/**
 * Runs `look(signal)`, and again `pause` ms after it settled; it must not throw.
 * `wanted`: what it is for; nothing is looked at without, and another value begins anew.
 */
export function useWatch(look, pause, wanted = true) {
  const who = useStore(session)?.client_id;
  useEffect(() => {
    if (!who || !wanted) return undefined;
    const stop = new AbortController();
    let timer;
    const round = async () => {
      await look(stop.signal);
      if (!stop.signal.aborted) timer = setTimeout(round, pause);
    };
    round();
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [who, wanted]);
}
