// Try: one photo onto the bench, or many into a batch.
import { html, useEffect, useRef, useState } from "../app/view.js";
import { explain, t } from "../app/words.js";
import { Chooser, dropped } from "../parts/chooser.js";
import { say } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { sendBatch } from "../parts/sending.js";
import { Bench } from "./bench.js";

const NO_PHOTO = { code: "no-photo" };

const isPhoto = (file) => /^image\//.test(file.type) || /\.(jpe?g|png|tiff?|webp)$/i.test(file.name);

export function Try() {
  const [photo, setPhoto] = useState(null);
  const idle = useRef(true); // whether nothing is lost by going to the queue
  useEffect(() => {
    idle.current = !photo;
    return () => { idle.current = false; };
  }, [photo]);
  const take = (given, asked) => {
    const files = [...given];
    const photos = files.filter(isPhoto);
    const others = files.filter((file) => !isPhoto(file));
    if (photos.length > 1) {
      const leftOut = others.map(({ name }) => ({ name, problem: NO_PHOTO }));
      return sendBatch(photos, { asked, leftOut, onSent: () => idle.current && (location.hash = "#/queue") });
    }
    if (others.length) say(`${explain(NO_PHOTO).title}: ${others.map(({ name }) => name).join(", ")}`, true);
    return photos.length && setPhoto(photos[0]);
  };
  return html`
    <h1 class="unseen">${t("page.try")}</h1>
    ${photo
      ? html`<${Bench} key=${photo} photo=${photo} onTake=${take} />`
      : html`
        <section class="drop" ...${dropped(take)}>
          <${Icon} name="upload" size=${44} />
          <h2>${t("try.drop")}</h2>
          <p>${t("try.formats")}</p>
          <${Chooser} onTake=${take} kind="main">${t("try.choose")}<//>
          <p class="hint">${t("try.local")}</p>
        </section>`}
  `;
}
