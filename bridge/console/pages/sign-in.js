// The door: a one-time code, typed or brought by the link.
import { session } from "../app/session.js";
import { html, useEffect, useState } from "../app/view.js";
import { t } from "../app/words.js";
import { Button, Loading, Notice } from "../parts/controls.js";

export function SignIn({ code, ended, onSignIn, onDone }) {
  const [given, setGiven] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(Boolean(code));
  const go = async (text) => {
    setBusy(true);
    setProblem(null);
    try {
      await onSignIn(text);
      onDone();
    } catch (failure) {
      if (session.value) return onDone(); // an old link, opened by who is signed in already
      setProblem(failure);
      setBusy(false);
    }
  };
  useEffect(() => {
    if (code) go(code);
  }, [code]);
  return html`
    <section class="card door">
      <h1>${t("door.title")}</h1>
      ${ended && html`<p class="notice" role="alert">${t("door.ended")}</p>`}
      <p>${t("door.text")}</p>
      ${busy && html`<${Loading} />`}
      ${problem && html`<${Notice} problem=${problem} />`}
      <form onSubmit=${(event) => { event.preventDefault(); go(given); }}>
        <label class="field">${t("door.code")}
          <input class="code" value=${given} autocomplete="one-time-code" spellcheck=${false} maxlength="16" placeholder="K7Q2-9FHM"
            onInput=${(event) => setGiven(event.target.value)} />
        </label>
        <${Button} type="submit" kind="main" disabled=${busy || given.trim().length < 8}>${t("door.go")}<//>
      </form>
      <p class="hint">${t("door.hint")} <code>gpen-bridge serve --open</code></p>
    </section>
  `;
}
