// A preview that needs a token: fetched, kept for a while, shown when it is there.
import { bridge } from "../app/bridge.js";
import { html, useEffect, useState } from "../app/view.js";

const KEPT = 240;
const cache = new Map();

/** The object URL of a preview; the oldest ones are given back. */
async function previewUrl(job, item, size, of, signal) {
  const key = `${job}/${item}/${size}/${of}`;
  if (!cache.has(key)) {
    const blob = await bridge.preview(job, item, size, of, signal);
    cache.set(key, URL.createObjectURL(blob));
    if (cache.size > KEPT) {
      const [oldest] = cache.keys();
      URL.revokeObjectURL(cache.get(oldest));
      cache.delete(oldest);
    }
  }
  return cache.get(key);
}

/** The URL of a preview: undefined while it comes, null when there is none. */
export function usePreview(job, item, size, of) {
  const [url, setUrl] = useState(undefined);
  useEffect(() => {
    const stop = new AbortController();
    setUrl(undefined);
    previewUrl(job, item, size, of, stop.signal).then(setUrl, () => stop.signal.aborted || setUrl(null));
    return () => stop.abort();
  }, [job, item, size, of]);
  return url;
}

export function Thumb({ job, item, of }) {
  const url = usePreview(job, item, 96, of);
  return url ? html`<img class="thumb" src=${url} alt="" />` : html`<span class="thumb ${url === undefined ? "coming" : ""}"></span>`;
}
