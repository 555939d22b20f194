// Speaks protocol 1: every route that the console uses, and every failure as a Problem.
import { refused, session } from "./session.js";

/** A problem document of the bridge, or what kept us from getting one (`unreachable`). */
export class Problem extends Error {
  constructor({ code, title = "", detail = "", hint = "", status = 0 }) {
    super(title || code);
    Object.assign(this, { code, title, detail, hint, status });
  }
}

async function send(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  const own = session.value;
  if (own) sent.Authorization = `Bearer ${own.token}`;
  if (json !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    const payload = json === undefined ? body : JSON.stringify(json);
    response = await fetch(path, { method, headers: sent, body: payload, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "unreachable" });
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ code: "internal", status: response.status }));
  if (response.status === 401 && own) refused(own);
  throw new Problem(problem);
}

const PIECE_BYTES = 8 * 1024 ** 2;
const TRIES = 5;
const PAUSE = 1500;

/** What `action(tries)` resolves to, tried again while the bridge does not answer. */
async function patiently(action) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await action(tries);
    } catch (problem) {
      if (problem.code !== "unreachable" || tries === TRIES) throw problem;
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  }
}

const read = async (path, signal) => (await send(path, { signal })).json();
const post = async (path, json = {}, more = {}) => (await send(path, { method: "POST", json, ...more })).json();
const file = async (path, signal) => (await send(path, { signal })).blob();
const item = (job, number) => `/v1/jobs/${job}/items/${number}`;

function picture(photo, question) {
  const form = new FormData();
  form.append("request", new Blob([JSON.stringify(question)], { type: "application/json" }));
  form.append("image", photo, "photo");
  return form;
}

/** What the header GPEN-Result holds: counts, seconds and warnings. */
function summaryOf(response) {
  const encoded = response.headers.get("GPEN-Result").replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(encoded), (sign) => sign.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

const BYTES = { "Content-Type": "application/octet-stream" };
const named = (file) => ({ ...BYTES, "GPEN-File-Name": encodeURIComponent(file.name) });

export const bridge = {
  pair: (asked) => post("/v1/pair", asked),
  asset: file,
  health: (signal) => read("/v1/health", signal),
  ready: (signal) => read("/v1/ready", signal),
  capabilities: (signal) => read("/v1/capabilities", signal),
  stats: (signal) => read("/v1/stats", signal),
  metrics: async (signal) => (await send("/metrics", { signal })).text(),
  log: async (lines, signal) => (await send(`/v1/log?lines=${lines}`, { signal })).text(),

  faces: async (photo, signal) =>
    (await send("/v1/faces", { method: "POST", body: picture(photo, {}), signal })).json(),
  async enhance(photo, question, signal) {
    const response = await send("/v1/enhance", { method: "POST", body: picture(photo, question), signal });
    return { summary: summaryOf(response), blob: await response.blob() };
  },
  /** The same picture in a format that browsers show: nothing is detected, nothing changed. */
  async showable(photo, signal) {
    const params = { strength: 0, denoise: 0, sharpen: 0 };
    const output = { format: "png", depth: 8 };
    return (await bridge.enhance(photo, { params, faces: [], output }, signal)).blob;
  },

  presets: async (signal) => (await read("/v1/presets", signal)).presets,
  putPreset: async (name, parameters) =>
    (await send(`/v1/presets/${encodeURIComponent(name)}`, { method: "PUT", json: { parameters } })).json(),
  deletePreset: (name) => send(`/v1/presets/${encodeURIComponent(name)}`, { method: "DELETE" }),

  checkpoints: async (signal) => (await read("/v1/checkpoints", signal)).checkpoints,
  addCheckpoint: (asked) => post("/v1/checkpoints", asked),
  clients: async (signal) => (await read("/v1/clients", signal)).clients,
  revoke: (id) => send(`/v1/clients/${id}`, { method: "DELETE" }),
  pairCode: () => post("/v1/pair/code"),
  tidy: (dry_run) => post("/v1/tidy", { dry_run }),

  upload: async (photo) => (await patiently(() => send("/v1/uploads", { method: "POST", body: photo, headers: named(photo) }))).json(),
  createJob(asked) {
    const headers = { "Idempotency-Key": `console-${Date.now()}-${Math.random()}` }; // a repeated one makes no second job
    return patiently(() => post("/v1/jobs", asked, { headers }));
  },
  /** All batches page by page, newest first: {jobs, unreadable, next}. Who has enough stops asking. */
  async *jobPages(signal) {
    let after;
    do {
      const page = await read(`/v1/jobs?${new URLSearchParams({ limit: 100, ...(after && { after }) })}`, signal);
      yield page;
      after = page.next;
    } while (after);
  },
  job: (job, signal) => read(`/v1/jobs/${job}`, signal),
  actOnJob: (job, verb, asked) => post(`/v1/jobs/${job}/${verb}`, asked),
  items: (job, query, signal) => read(`/v1/jobs/${job}/items?${new URLSearchParams(query)}`, signal),
  actOnItem: (job, number, verb) => post(`${item(job, number)}/${verb}`),
  retryItem: (job, number, state) => post(`${item(job, number)}/retry`, { states: [state] }),
  preview: (job, number, size, of, signal) => file(`${item(job, number)}/preview?size=${size}&of=${of}`, signal),
  result: (job, number) => file(`${item(job, number)}/result`),
  review: (job, number, said) => post(`${item(job, number)}/review`, said),
  reviews: (signal) => read("/v1/reviews", signal),
  reviewsCsv: () => file("/v1/reviews.csv"),
};

/** Sends a large file piece by piece, telling `onProgress(bytes)`; goes on where a lost connection broke off. */
export async function sendInPieces(file, onProgress, signal) {
  const headers = { ...named(file), "Upload-Length": String(file.size) };
  const { upload } = await (await send("/v1/uploads", { method: "POST", headers, signal })).json();
  const path = `/v1/uploads/${upload}`;
  let offset = 0;
  do {
    await patiently(async (again) => {
      if (again) ({ offset } = await read(path, signal));
      const body = file.slice(offset, offset + PIECE_BYTES);
      ({ offset } = await (await send(path, { method: "PATCH", body, headers: { ...BYTES, "Upload-Offset": String(offset) }, signal })).json());
    });
    onProgress(offset);
  } while (offset < file.size);
  return upload;
}

/** Saves a blob under a name, as a download. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
