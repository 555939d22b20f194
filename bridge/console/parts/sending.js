// Batches on their way to the bridge: photo by photo, one batch after the other, whatever page is open.
import { bridge, Problem } from "../app/bridge.js";
import { connection } from "../app/events.js";
import { ended, session } from "../app/session.js";
import { store, useStore } from "../app/store.js";
import { html } from "../app/view.js";
import { explain, t } from "../app/words.js";
import { Button, Notice, Progress, say } from "./controls.js";

/** {photos, at, asked, items, leftOut: [{name, problem}], state: "waiting" | "sending" | "stopped" | "sent", problem} each. */
const batches = store([]);
let busy = false;

const told = (batch, change) => {
  Object.assign(batch, change);
  batches.set([...batches.value]);
};
const forget = (batch) => batches.set(batches.value.filter((one) => one !== batch));

/**
 * Sends photos and makes one batch of them; it waits for those before it.
 * asked: what the batch asks for, {preset, params}. leftOut: what was dropped with the photos and is none.
 * onSent: called when the bridge has the batch.
 */
export function sendBatch(photos, { asked, leftOut, onSent }) {
  batches.set([...batches.value, { photos, asked, leftOut, onSent, at: 0, items: [], state: "waiting" }]);
  work();
}

async function work() {
  if (busy) return;
  busy = true;
  for (let next; (next = batches.value.find((one) => one.state === "waiting")); ) await send(next);
  busy = false;
}

async function send(batch) {
  try {
    for (told(batch, { state: "sending" }); batch.at < batch.photos.length; told(batch, { at: batch.at + 1 })) {
      await sendPhoto(batch, batch.photos[batch.at]);
      if (!batches.value.includes(batch)) return; // it was cancelled
    }
    const n = batch.items.length;
    if (n) await bridge.createJob({ client: "console", name: t("try.batch-name", { n }), ...batch.asked, items: batch.items });
  } catch (problem) {
    if (batches.value.includes(batch)) told(batch, { state: "stopped", problem });
    return;
  }
  if (batch.leftOut.length) told(batch, { state: "sent" });
  else forget(batch);
  if (!batch.items.length) return;
  say(t("sending.sent", { n: batch.items.length }));
  batch.onSent();
}

/** One photo; what is wrong with it alone leaves it out. */
async function sendPhoto(batch, photo) {
  try {
    await photo.slice(0, 1).arrayBuffer().catch(() => Promise.reject(new Problem({ code: "unreadable" })));
    const { upload } = await bridge.upload(photo);
    batch.items.push({ ref: `${batch.at + 1}/${photo.name}`, source: { upload } });
  } catch (problem) {
    if (problem.code === "unreachable") await bridge.health(); // or it is the bridge that is away, not this photo
    else if (problem.code !== "unreadable" && !isRefusal(problem)) throw problem;
    batch.leftOut.push({ name: photo.name, problem: problem.code === "unreachable" ? new Problem({ code: "not-sent" }) : problem });
  }
}

/** Whether the bridge looked at a photo and would not have it, as against signed out, overloaded or broken. */
const isRefusal = ({ status }) => status >= 400 && status < 500 && ![401, 403, 429].includes(status);

function goOn(batch) {
  told(batch, { state: "waiting", problem: null });
  work();
}

connection.follow((now) => now === "live" && batches.value.filter((one) => one.state === "stopped").forEach(goOn));
session.follow((signedIn) => signedIn || ended.value || batches.set([])); // who signs out leaves nothing behind

/** What is being sent, and what was left out, under the bar. */
export const Sending = () => useStore(batches).map((batch) => html`<${Batch} key=${batch} batch=${batch} />`);

function Batch({ batch: { photos, at, leftOut, state, problem }, batch }) {
  const close = (label) => html`<${Button} icon="close" kind="quiet" label=${label} onClick=${() => forget(batch)} />`;
  if (state === "stopped") return html`<div class="sending"><${Notice} problem=${problem} onAgain=${() => goOn(batch)} />${close(t("cancel"))}</div>`;
  if (state === "sent") return html`
    <div class="sending bad" role="status">
      <div class="grow"><strong>${t("sending.left-out", { n: leftOut.length })}</strong>
        <ul>${leftOut.map(({ name, problem: why }, index) => html`<li key=${index}><bdi>${name}</bdi>: ${explain(why).title}</li>`)}</ul></div>
      ${close(t("close"))}
    </div>`;
  const text = state === "waiting" ? t("sending.waiting", { n: photos.length }) : t("try.sending", { n: Math.min(at + 1, photos.length), of: photos.length });
  return html`<div class="sending"><span>${text}</span><${Progress} label=${text} share=${at / photos.length} />${close(t("cancel"))}</div>`;
}
