// A checkpoint file of one's own: sent to the bridge, checked there, its terms agreed to. Part of System.
import { bridge, sendInPieces } from "../app/bridge.js";
import { html, useEffect, useRef, useState } from "../app/view.js";
import { bytes, t } from "../app/words.js";
import { Button, Dialog, Loading, Notice, Progress } from "../parts/controls.js";

/**
 * The steps: "choose", "send" (with how much was sent), "check" and "agree" (with the terms).
 * `upload` is what the bridge holds of the file; a refused one can be tried again under another name.
 */
export function ImportWeights({ onClose, onImported }) {
  const [step, setStep] = useState({ name: "choose" });
  const [file, setFile] = useState(null);
  const [upload, setUpload] = useState(null);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState(null);
  const leaving = useRef(new AbortController());
  useEffect(() => () => leaving.current.abort(), []);

  const fail = (failure) => {
    if (leaving.current.signal.aborted) return;
    setProblem(failure);
    setStep({ name: "choose" });
  };
  const ask = async (sent, agreed) => {
    setProblem(null);
    setStep({ name: "check" });
    try {
      await bridge.addCheckpoint({ upload: sent, accept_licence: agreed, ...(name.trim() && { name: name.trim() }) });
      onImported();
    } catch (failure) {
      if (failure.code === "licence_not_accepted") setStep({ name: "agree", terms: failure.detail });
      else fail(failure);
    }
  };
  const take = async (chosen) => {
    if (!chosen) return;
    setFile(chosen);
    setUpload(null);
    setProblem(null);
    setStep({ name: "send", done: 0 });
    try {
      const sent = await sendInPieces(chosen, (done) => setStep({ name: "send", done }), leaving.current.signal);
      setUpload(sent);
      await ask(sent, false);
    } catch (failure) {
      fail(failure);
    }
  };

  const steps = { choose: Choose, send: Send, check: () => html`<${Loading}>${t("import.checking", { file: file.name })}<//>`, agree: Agree };
  const Step = steps[step.name];
  return html`
    <${Dialog} title=${t("checkpoints.import")} onClose=${onClose}>
      ${problem && html`<${Notice} problem=${problem} />`}
      <${Step} step=${step} file=${file} name=${name} onName=${setName} onTake=${take} onClose=${onClose}
        onAgain=${problem && upload && (() => ask(upload, false))} onAgree=${() => ask(upload, true)} />
    <//>
  `;
}

function Choose({ name, onName, onTake, onAgain }) {
  const input = useRef(null);
  const drop = {
    onDragOver: (event) => event.preventDefault(),
    onDrop: (event) => {
      event.preventDefault();
      onTake(event.dataTransfer.files[0]);
    },
  };
  return html`
    <div class="drop small" ...${drop}>
      <p>${t("import.drop")}</p>
      <${Button} kind="main" icon="upload" onClick=${() => input.current.click()}>${t("import.choose")}<//>
      <input type="file" ref=${input} hidden accept=".pth,.pt,.safetensors,.onnx" aria-label=${t("import.choose")}
        onChange=${(event) => { onTake(event.target.files[0]); event.target.value = ""; }} />
    </div>
    <p class="hint">${t("import.text")}</p>
    <label class="field">${t("import.name")}<input value=${name} maxlength="64" placeholder="studio-512" spellcheck=${false} onInput=${(event) => onName(event.target.value)} /></label>
    ${onAgain && html`<div class="row end"><${Button} icon="redo" onClick=${onAgain}>${t("again")}<//></div>`}
  `;
}

const Send = ({ step, file, onClose }) => html`
  <p class="file">${file.name}</p>
  <${Progress} label=${t("import.sending")} share=${step.done / Math.max(file.size, 1)} />
  <div class="row spread"><small>${t("import.sent", { done: bytes(step.done), of: bytes(file.size) })}</small><${Button} onClick=${onClose}>${t("cancel")}<//></div>
`;

function Agree({ step, file, onAgree, onClose }) {
  const [agreed, setAgreed] = useState(false);
  return html`
    <p class="file">${file.name}</p>
    <p class="terms">${step.terms}</p>
    <label class="check"><input type="checkbox" checked=${agreed} onChange=${(event) => setAgreed(event.target.checked)} />${t("checkpoints.agree")}</label>
    <div class="row end"><${Button} onClick=${onClose}>${t("cancel")}<//><${Button} kind="main" disabled=${!agreed} onClick=${onAgree}>${t("import")}<//></div>
  `;
}
