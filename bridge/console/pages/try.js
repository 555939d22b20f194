// Try: one photo onto the bench, or many into a batch.
import { bridge } from "../app/bridge.js";
import { html, useState } from "../app/view.js";
import { t } from "../app/words.js";
import { Chooser } from "../parts/chooser.js";
import { attempt } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { Bench } from "./bench.js";

/** Many photos at once: uploaded one after the other, then one batch. */
async function sendBatch(photos, onSent) {
  const items = [];
  for (const photo of photos) {
    const { upload } = await bridge.upload(photo);
    items.push({ ref: `${items.length + 1}/${photo.name}`, source: { upload } });
    onSent(items.length);
  }
  await bridge.createJob({ client: "console", name: t("try.batch-name", { n: photos.length }), items });
  location.hash = "#/queue";
}

export function Try() {
  const [photo, setPhoto] = useState(null);
  const [sending, setSending] = useState(null);
  const take = (files) => {
    const photos = [...files].filter((file) => /^image\//.test(file.type) || /\.tiff?$/i.test(file.name));
    if (photos.length === 1) setPhoto(photos[0]);
    else if (photos.length > 1)
      attempt(() => sendBatch(photos, (n) => setSending({ n, of: photos.length }))).then(() => setSending(null));
    else if (files.length) attempt(() => Promise.reject({ code: "format_unsupported", title: t("try.not-a-photo") }));
  };
  const drop = {
    onDragOver: (event) => event.preventDefault(),
    onDrop: (event) => {
      event.preventDefault();
      take(event.dataTransfer.files);
    },
  };
  return html`
    <h1 class="unseen">${t("page.try")}</h1>
    ${photo
      ? html`<${Bench} key=${photo} photo=${photo} drop=${drop} onTake=${take} />`
      : html`
        <section class="drop" ...${drop}>
          <${Icon} name="upload" size=${44} />
          <h2>${t("try.drop")}</h2>
          <p>${sending ? t("try.sending", sending) : t("try.formats")}</p>
          <${Chooser} onTake=${take} kind="main">${t("try.choose")}<//>
          <p class="hint">${t("try.local")}</p>
        </section>`}
  `;
}
