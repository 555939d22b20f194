// A preview that needs a token: fetched, kept for a while, shown when it is there.
import { bridge } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html } from "../app/view.js";

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

/** {url, problem, again} of a preview; the URL is undefined until it is there. */
export function usePreview(job, item, size, of) {
  const name = `${job}/${item}/${size}/${of}`;
  const { value, problem, again } = useLoaded(async (signal) => ({ name, url: await previewUrl(job, item, size, of, signal) }), [name]);
  return { url: value?.name === name ? value.url : undefined, problem, again };
}

export function Thumb({ job, item, of }) {
  const { url, problem } = usePreview(job, item, 96, of);
  return url ? html`<img class="thumb" src=${url} alt="" />` : html`<span class="thumb ${problem ? "" : "coming"}"></span>`;
}
