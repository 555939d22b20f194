// The small parts of every page: buttons, sliders, dialogs, notices and the states of a page.
import { html, useEffect, useLayoutEffect, useRef } from "../app/view.js";
import { explain, t } from "../app/words.js";
import { session } from "../app/session.js";
import { store, useStore } from "../app/store.js";
import { Icon } from "./icons.js";

export const Button = ({ icon, kind = "", label, children, ...more }) => html`
  <button type="button" class="button ${kind} ${children ? "" : "round"}" aria-label=${label} title=${label} ...${more}>
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>
`;

/** A slider from 0 to 100 with its value beside it. */
export const Slider = ({ label, hint, value, onInput, disabled }) => html`
  <label class="slider">
    <span class="slider-name">${label}</span><output>${value}</output>
    <input type="range" min="0" max="100" value=${value} disabled=${disabled} aria-label=${label}
      onInput=${(event) => onInput(Number(event.target.value))} />
    ${hint && html`<small>${hint}</small>`}
  </label>
`;

/** One of a few: radio buttons that look like a switch. `options`: [value, label] each. */
export const Choice = ({ label, name, options, value, onChange }) => html`
  <fieldset class="choice">
    <legend>${label}</legend>
    <div class="choice-row">
      ${options.map(([option, text]) => html`
        <label key=${option}>
          <input type="radio" name=${name} value=${option} checked=${option === value} onChange=${() => onChange(option)} />
          <span>${text}</span>
        </label>`)}
    </div>
  </fieldset>
`;

/** A modal dialog; the browser keeps focus inside, gives it back at the end, and Escape closes it. It steps aside while nobody is signed in. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  const signedIn = Boolean(useStore(session));
  useEffect(() => {
    if (!signedIn) element.current.close();
    else if (!element.current.open) element.current.showModal();
  }, [signedIn]);
  useLayoutEffect(() => {
    const dialog = element.current;
    return () => dialog.close(); // while it is in the page: one that is only taken out gives the focus to nothing
  }, []);
  return html`
    <dialog ref=${element} aria-label=${title} onClose=${() => element.current && session.value && onClose()}>
      <header><h2>${title}</h2><${Button} icon="close" kind="quiet" label=${t("close")} onClick=${() => element.current.close()} /></header>
      ${children}
    </dialog>
  `;
}

export const Notice = ({ problem, onAgain }) => {
  const { title, text } = explain(problem);
  return html`
    <div class="notice bad" role="alert">
      <${Icon} name="alert" />
      <div><strong>${title}</strong>${text && html`<p>${text}</p>`}</div>
      ${onAgain && html`<${Button} onClick=${onAgain}>${t("again")}<//>`}
    </div>
  `;
};

export const Empty = ({ icon, title, children }) => html`
  <div class="empty"><${Icon} name=${icon} size=${40} /><h2>${title}</h2><p>${children}</p></div>
`;

export const Loading = ({ children }) => html`<div class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${children ?? t("loading")}</div>`;

/** How much of a transfer is done; `share` from 0 to 1. */
export const Progress = ({ label, share }) => html`
  <div class="progress" role="progressbar" aria-label=${label} aria-valuenow=${Math.round(share * 100)} aria-valuemin="0" aria-valuemax="100"><i class="done" style=${{ width: `${share * 100}%` }}></i></div>
`;

const said = store(null);
let silence;

/** Says a sentence at the foot of the page for some seconds, and to screen readers. */
export function say(text, bad = false) {
  clearTimeout(silence);
  said.set({ text, bad });
  silence = setTimeout(() => said.set(null), 5000);
}

/** Runs an action of the user; what goes wrong is said. */
export async function attempt(action, done) {
  try {
    const value = await action();
    if (done) say(done);
    return value;
  } catch (problem) {
    const { title, text } = explain(problem);
    say(`${title} ${text}`.trim(), true);
    return undefined;
  }
}

export function Said() {
  const now = useStore(said);
  return html`<div class="said ${now?.bad ? "bad" : ""}" role="status" aria-live="polite" hidden=${!now}>${now?.text}</div>`;
}
