// A photo, what is known of it, and its result: asked of the bridge while the parameters move. Part of Try.
import { bridge } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { session } from "../app/session.js";
import { useStore } from "../app/store.js";
import { useEffect, useMemo, useState } from "../app/view.js";

/** After the last move of a slider, before the photo is worked on again. */
const PATIENCE = 450;

/** An object URL that lives as long as its blob is shown. */
export function useUrl(blob) {
  const url = useMemo(() => blob && URL.createObjectURL(blob), [blob]);
  useEffect(() => () => url && URL.revokeObjectURL(url), [url]);
  return url;
}

/** Whether a picture must be asked of the bridge to be seen: browsers show no TIFF, and not every WebP as its EXIF turns it. */
async function isForeign(picture) {
  const head = String.fromCharCode(...new Uint8Array(await picture.slice(0, 12).arrayBuffer()));
  return /^(II[*+]\0|MM\0[*+]|RIFF....WEBP)/s.test(head);
}

const showable = async (picture, signal) => ((await isForeign(picture)) ? bridge.showable(picture, signal) : picture);

/** What is known of a photo: its faces, and itself as the browser can show it. */
export function useLooked(photo) {
  return useLoaded(async (signal) => {
    const [found, shown] = await Promise.all([bridge.faces(photo, signal), showable(photo, signal)]);
    return { found, shown };
  }, [photo]);
}

/**
 * The last result, and whether it is `current`, that of the question as it is now; none after a failure.
 * A new question replaces the request that still runs.
 */
export function useResult(photo, question, ready) {
  const [state, setState] = useState({});
  const [round, setRound] = useState(0);
  const who = useStore(session)?.client_id;
  const asked = JSON.stringify(question);
  useEffect(() => {
    if (!ready || !who) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      setState((old) => ({ ...old, busy: true, problem: null }));
      try {
        const { blob, summary } = await bridge.enhance(photo, question, stop.signal);
        const shown = await showable(blob, stop.signal);
        setState({ blob, summary, shown, asked });
      } catch (problem) {
        if (!stop.signal.aborted) setState({ problem });
      }
    }, PATIENCE);
    return () => {
      clearTimeout(timer);
      stop.abort(); // the bridge stops working on it
    };
  }, [photo, asked, ready, who, round]);
  return { ...state, current: state.asked === asked, again: () => setRound((old) => old + 1) };
}
