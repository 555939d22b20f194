// System: how the bridge is, its checkpoints and clients, disk and log.
import { bridge, save } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html, useState } from "../app/view.js";
import { useWatch } from "../app/watch.js";
import { bytes, duration, explain, isolated, number, t, when } from "../app/words.js";
import { attempt, Button, Loading, Notice } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { PairCode } from "../parts/pair-code.js";
import { Checkpoints } from "./checkpoints.js";

const EVERY = 4000;
const KEPT = 60;
const LOG_LINES = 1000;

/** Readiness, numbers and disk, looked at every few seconds while the page is open; a short history too. */
function usePulse() {
  const [pulse, setPulse] = useState({ history: [] });
  useWatch(async (signal) => {
    try {
      const [ready, stats, metrics] = await Promise.all([bridge.ready(signal), bridge.stats(signal), bridge.metrics(signal)]);
      const gauge = (name) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(metrics)?.[1] ?? 0);
      setPulse(({ history }) => ({
        ready, stats, free: gauge("gpen_disk_free_bytes"), output: gauge("gpen_output_bytes"), memory: gauge("process_resident_memory_bytes"),
        history: [...history.slice(1 - KEPT), { at: stats.uptime_seconds, done: stats.images.done ?? 0 }],
      }));
    } catch (problem) {
      if (!signal.aborted) setPulse((old) => ({ ...old, problem }));
    }
  }, EVERY);
  return pulse;
}

export function System({ owner }) {
  const pulse = usePulse();
  const can = useLoaded(bridge.capabilities, [pulse.ready?.ready]);
  if (!pulse.stats) return pulse.problem ? html`<${Notice} problem=${pulse.problem} />` : html`<${Loading} />`;
  return html`
    <h1 class="unseen">${t("page.system")}</h1>
    ${pulse.problem && html`<${Notice} problem=${pulse.problem} />`}
    <${Health} pulse=${pulse} can=${can.value} />
    <div class="cards">
      <${Throughput} pulse=${pulse} />
      <${Stages} stages=${pulse.stats.stages} />
    </div>
    <${Checkpoints} owner=${owner} />
    <div class="cards">
      ${owner ? html`<${Clients} />` : html`<section class="card"><h2>${t("clients")}</h2><p class="hint">${t("owner-only")} <code>gpen-bridge serve --open</code></p></section>`}
      <${Plugins} />
    </div>
    <${Log} />
  `;
}

function Health({ pulse, can }) {
  const { ready, stats } = pulse;
  const facts = [
    [t("system.device"), can?.device ?? "–"],
    [t("system.version"), can?.version ?? "–"],
    [t("system.uptime"), duration(stats.uptime_seconds)],
    [t("system.memory"), pulse.memory ? bytes(pulse.memory) : "–"],
    [t("system.results"), bytes(pulse.output)],
    [t("system.free"), bytes(pulse.free)],
  ];
  return html`
    <section class="card health">
      <header class="row"><span class=${`lamp ${ready.ready && !ready.reasons.length ? "ok" : "bad"}`}><${Icon} name=${ready.ready ? "check" : "alert"} /></span>
        <div><h2>${t(ready.ready ? "system.ready" : "system.not-ready")}</h2>
          ${ready.reasons.map((reason) => html`<p key=${reason.code}>${explain(reason).title} ${reason.detail}</p>`)}
          ${ready.ready && !ready.reasons.length && html`<p>${t("system.retention")}</p>`}</div></header>
      <dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </section>
  `;
}

/** Photos an hour, between looks. */
function Throughput({ pulse: { stats, history } }) {
  const rates = history.slice(1).map((now, index) => Math.max(0, ((now.done - history[index].done) * 3600) / Math.max(now.at - history[index].at, 0.1)));
  const top = Math.max(...rates, 1);
  const points = rates.map((rate, index) => `${(index / (KEPT - 2)) * 300},${78 - (rate / top) * 70}`).join(" ");
  const failed = Object.entries(stats.images).filter(([outcome]) => outcome !== "done").reduce((sum, [, count]) => sum + count, 0);
  return html`
    <section class="card"><h2>${t("system.throughput")}</h2>
      <p class="big">${number(stats.images_per_hour)} <small>${t("system.an-hour")}</small></p>
      <svg class="spark" viewBox="0 0 300 80" preserveAspectRatio="none" role="img" aria-label=${t("system.throughput")}><line x1="0" y1="78" x2="300" y2="78" /><polyline points=${points} /></svg>
      <p class="hint">${t("system.counts", { done: number(stats.images.done ?? 0), failed: number(failed), faces: number(stats.faces), now: number(stats.in_flight) })}</p>
    </section>
  `;
}

function Stages({ stages }) {
  const rows = Object.entries(stages).sort(([, one], [, other]) => other.mean - one.mean);
  const longest = Math.max(...rows.map(([, one]) => one.mean), 1e-6);
  return html`
    <section class="card"><h2>${t("system.stages")}</h2>
      ${rows.length ? html`<table class="bars"><tbody>${rows.map(([name, one]) => html`
        <tr key=${name}><th scope="row">${t(`stage.${name}`)}</th><td><span class="bar-line"><i style=${{ width: `${(one.mean / longest) * 100}%` }}></i></span></td><td>${duration(one.mean)}</td></tr>`)}</tbody></table>`
      : html`<p class="hint">${t("system.stages.none")}</p>`}
    </section>
  `;
}

function Clients() {
  const clients = useLoaded(bridge.clients, []);
  const revoke = async (one) => {
    await attempt(() => bridge.revoke(one.client_id), t("clients.revoked", { name: isolated(one.name) }));
    clients.again();
  };
  return html`
    <section class="card"><h2>${t("clients")}</h2>
      <p class="hint">${t("clients.text")}</p><${PairCode} onPaired=${clients.again} />
      ${clients.problem && html`<${Notice} problem=${clients.problem} onAgain=${clients.again} />`}
      <ul class="lines">${clients.value?.map((one) => html`<li key=${one.client_id}><div><strong><bdi>${one.name}</bdi></strong><small><bdi>${one.client}</bdi> · ${when(one.paired_at)}${one.standing === "owner" ? ` · ${t("clients.owner")}` : ""}</small></div>
        <${Button} kind="quiet" label=${t("clients.revoke", { name: isolated(one.name), client: one.client, when: when(one.paired_at) })} onClick=${() => revoke(one)}>${t("revoke")}<//></li>`)}</ul>
    </section>
  `;
}

const Plugins = () => html`
  <section class="card"><h2>${t("plugins")}</h2><p>${t("plugins.text")}</p>
    <h3>Lightroom Classic</h3><pre><code>gpen-bridge plugins install lightroom</code></pre><p class="hint">${t("plugins.lightroom")}</p>
    <h3>Photoshop</h3><pre><code>gpen-bridge plugins install photoshop</code></pre><p class="hint">${t("plugins.photoshop")}</p>
  </section>
`;

/** A line of the log, if it is whole: the last one before a power cut is not. */
function entries(line) {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

function Log() {
  const log = useLoaded((signal) => bridge.log(LOG_LINES, signal), []);
  const errors = (log.value ?? "").split("\n").flatMap(entries).filter((one) => ["error", "warning"].includes(one.level)).slice(-8).reverse();
  return html`
    <section class="card"><header class="row spread"><h2>${t("log")}</h2>
      <${Button} icon="download" onClick=${() => attempt(async () => save(new Blob([await bridge.log(5000)]), "gpen-bridge.log"))}>${t("log.download")}<//></header>
      ${log.problem && html`<${Notice} problem=${log.problem} onAgain=${log.again} />`}
      ${log.value === undefined ? !log.problem && html`<${Loading} />` : errors.length ? html`<ul class="lines log">${errors.map((one, index) => html`<li key=${index}><div><strong>${one.code ? explain({ code: one.code, title: one.code }).title : one.event}</strong><small><bdi>${one.detail ?? one.event}</bdi></small></div><small>${when(one.timestamp)}</small></li>`)}</ul>`
      : html`<p class="hint">${t("log.none")}</p>`}
    </section>
  `;
}
