// What a preset holds, as controls: three sliders, the mode and the checkpoint.
import { html } from "../app/view.js";
import { t } from "../app/words.js";
import { Choice, Slider } from "./controls.js";

export const MODES = ["natural", "detail", "strong"];
export const PLAIN = { strength: 70, denoise: 30, sharpen: 50, mode: "natural", select: "all", checkpoint: "auto" };

export function Parameters({ name, value, onChange, checkpoints = [], hints = false }) {
  const set = (change) => onChange({ ...value, ...change });
  return html`
    <div class="parameters">
      ${["strength", "denoise", "sharpen"].map((key) => html`
        <${Slider} key=${key} label=${t(key)} hint=${hints && t(`${key}.hint`)} value=${value[key]} onInput=${(amount) => set({ [key]: amount })} />`)}
      <${Choice} label=${t("mode")} name=${`${name}-mode`} options=${MODES.map((mode) => [mode, t(`mode.${mode}`)])}
        value=${value.mode} onChange=${(mode) => set({ mode })} />
      <p class="hint">${t(`mode.${value.mode}.hint`)}</p>
      ${checkpoints.length > 0 && html`
        <label class="field">${t("checkpoint")}
          <select value=${value.checkpoint} onChange=${(event) => set({ checkpoint: event.target.value })}>
            <option value="auto">${t("checkpoint.auto")}</option>
            ${checkpoints.filter((one) => one.installed).map((one) => html`<option key=${one.name} value=${one.name}>${one.title}</option>`)}
          </select>
        </label>`}
    </div>
  `;
}
