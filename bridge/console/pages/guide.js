// The first visit: signed in, weights, plug-ins.
import { bridge } from "../app/bridge.js";
import { useLoaded } from "../app/loaded.js";
import { html } from "../app/view.js";
import { t } from "../app/words.js";
import { Button, Loading, Notice } from "../parts/controls.js";
import { PairCode } from "../parts/pair-code.js";

const KEY = "gpen.guide";
export const guideSeen = () => localStorage.getItem(KEY) === "seen";

export function Guide({ owner }) {
  const checkpoints = useLoaded(bridge.checkpoints, []);
  const ready = checkpoints.value?.filter((one) => one.installed) ?? [];
  const leave = (to) => {
    localStorage.setItem(KEY, "seen");
    location.hash = `#/${to}`;
  };
  return html`
    <section class="guide">
      <h1>${t("guide.title")}</h1>
      <p>${t("guide.text")}</p>
      <ol>
        <li class="card done"><h2>${t("guide.sign-in")}</h2><p>${t(owner ? "guide.sign-in.owner" : "guide.sign-in.client")}</p></li>
        <li class=${`card ${ready.length ? "done" : ""}`}><h2>${t("guide.weights")}</h2>
          ${checkpoints.problem && html`<${Notice} problem=${checkpoints.problem} onAgain=${checkpoints.again} />`}
          ${!checkpoints.value ? !checkpoints.problem && html`<${Loading} />`
            : html`<p>${ready.length ? t("guide.weights.ready", { names: ready.map((one) => one.title).join(", ") }) : t("guide.weights.none")}</p>`}
          <p class="hint">${t("guide.weights.more")}</p>
          <${Button} onClick=${() => leave("system")}>${t("guide.weights.go")}<//></li>
        <li class="card"><h2>${t("guide.plugins")}</h2><p>${t("guide.plugins.text")}</p>
          <pre><code>gpen-bridge plugins install lightroom${"\n"}gpen-bridge plugins install photoshop</code></pre>
          ${owner && html`<${PairCode} />`}</li>
      </ol>
      <${Button} kind="main" onClick=${() => leave("try")}>${t("guide.go")}<//>
    </section>
  `;
}
