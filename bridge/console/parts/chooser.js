// How photos come in: the button that lets the user choose them from the disk, and the drop.
import { html, useRef } from "../app/view.js";
import { t } from "../app/words.js";
import { Button } from "./controls.js";

const ACCEPTED = "image/jpeg,image/png,image/tiff,image/webp,.tif,.tiff";

/** Lets files fall onto an element: its props. */
export const dropped = (onTake) => ({
  onDragOver: (event) => event.preventDefault(),
  onDrop: (event) => {
    event.preventDefault();
    onTake(event.dataTransfer.files);
  },
});

export function Chooser({ onTake, kind, children }) {
  const input = useRef(null);
  return html`
    <${Button} kind=${kind} icon="upload" onClick=${() => input.current.click()}>${children}<//>
    <input ref=${input} type="file" accept=${ACCEPTED} multiple hidden aria-label=${t("try.choose")}
      onChange=${(event) => { onTake(event.target.files); event.target.value = ""; }} />
  `;
}
