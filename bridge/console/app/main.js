// Starts the page: sign-in, the bar, and which of the pages is shown.
import { bridge } from "./bridge.js";
import { connection } from "./events.js";
import { ended, session, signIn, signOut, takeCode } from "./session.js";
import { store, useStore } from "./store.js";
import { html, render, useEffect } from "./view.js";
import { language, setLanguage, t } from "./words.js";
import { Button, Said, say } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { Sending } from "../parts/sending.js";
import { Guide, guideSeen } from "../pages/guide.js";
import { Presets } from "../pages/presets.js";
import { Queue } from "../pages/queue.js";
import { Review } from "../pages/review.js";
import { SignIn } from "../pages/sign-in.js";
import { System } from "../pages/system.js";
import { Try } from "../pages/try.js";

const PAGES = { try: Try, queue: Queue, review: Review, presets: Presets, system: System };

const MARK = new URL("../style/mark.svg", import.meta.url).href;

const pageOf = () => {
  const name = /^#\/(\w+)/.exec(location.hash)?.[1];
  return name === "guide" || Object.hasOwn(PAGES, name) ? name : guideSeen() ? "try" : "guide";
};

// What the address says: {page, code}. Followed from the start, since it may change before anything is drawn.
const address = store({ code: takeCode(), page: pageOf() });
addEventListener("hashchange", () => {
  const code = takeCode();
  address.set(code ? { ...address.value, code } : { ...address.value, page: pageOf() });
});

// A file that falls beside the places for it must not be opened instead of the page.
for (const kind of ["dragover", "drop"])
  addEventListener(kind, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("gpen.theme", root.dataset.theme);
}

function Bar({ page }) {
  const live = useStore(connection);
  return html`
    <header class="bar">
      <a class="brand" href="#/try"><img src=${MARK} alt="" width="24" height="24" /><span>GPEN Enhance</span></a>
      ${page && html`
        <nav aria-label=${t("pages")}>
          ${Object.keys(PAGES).map((name) => html`
            <a key=${name} href=${`#/${name}`} aria-current=${name === page ? "page" : undefined}><${Icon} name=${name} /><span>${t(`page.${name}`)}</span></a>`)}
        </nav>`}
      <div class="bar-end">
        ${page && html`<span class="live ${live}" role="status" title=${t(`live.${live}`)}><i></i><span>${t(`live.${live}`)}</span></span>`}
        <button type="button" class="button quiet" lang=${language.value === "zh" ? "en" : "zh-CN"}
          onClick=${() => setLanguage(language.value === "zh" ? "en" : "zh")}>${language.value === "zh" ? "English" : "中文"}</button>
        <${Button} icon="light" kind="quiet" label=${t("theme")} onClick=${switchTheme} />
        ${page && html`<${Button} icon="leave" kind="quiet" label=${t("sign-out")} onClick=${() => signOut(bridge.revoke).catch(() => say(t("sign-out.kept"), true))} />`}
      </div>
    </header>
  `;
}

function App() {
  const signedIn = useStore(session);
  const kept = useStore(ended);
  const spoken = useStore(language);
  const { page, code } = useStore(address);
  useEffect(() => {
    document.title = signedIn ? `${t(`page.${page}`)} · GPEN Enhance` : "GPEN Enhance";
  }, [page, signedIn, spoken]);
  const atDoor = !signedIn || code;
  const Page = page === "guide" ? Guide : PAGES[page];
  return html`
    <${Bar} page=${atDoor ? undefined : page} />
    ${!atDoor && html`<${Sending} />`}
    ${(signedIn || kept) && html`
      <main class="page ${page}" key=${page} hidden=${atDoor}><${Page} owner=${signedIn?.standing === "owner"} /></main>`}
    ${atDoor && html`
      <main class="page narrow" key="door"><${SignIn} code=${code} ended=${kept} onSignIn=${(given) => signIn(given, bridge)} onDone=${() => address.set({ ...address.value, code: null })} /></main>`}
    <${Said} />
  `;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
