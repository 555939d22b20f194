// A code to type into a plug-in: shown large, until it was used or runs out.
import { bridge } from "../app/bridge.js";
import { html, useEffect, useState } from "../app/view.js";
import { useWatch } from "../app/watch.js";
import { isolated, number, t } from "../app/words.js";
import { attempt, Button, say } from "./controls.js";

/** How often to look whether it was used, in ms. */
const EVERY = 3000;

const ids = (clients) => new Set(clients.map((one) => one.client_id));

/** `onPaired()` is called when a client came while the code was shown; a code works once. */
export function PairCode({ onPaired }) {
  const [made, setMade] = useState(null); // {code, until, known: ids of the clients before}
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (!made) return undefined;
    const timer = setInterval(() => {
      const seconds = (made.until - Date.now()) / 1000;
      if (seconds <= 0) setMade(null);
      else setLeft(seconds);
    }, 1000);
    return () => clearInterval(timer);
  }, [made]);
  useWatch(async (signal) => {
    try {
      const paired = (await bridge.clients(signal)).find((one) => !made.known.has(one.client_id));
      if (!paired) return;
      setMade(null);
      say(t("pair.paired", { name: isolated(paired.name) }));
      onPaired?.();
    } catch {
      // The code is still shown: looked at again after the pause.
    }
  }, EVERY, made?.code);
  const make = async () => {
    const [known, code] = (await attempt(async () => [ids(await bridge.clients()), await bridge.pairCode()])) ?? [];
    if (!code) return;
    setLeft(code.seconds);
    setMade({ code: code.code, until: Date.now() + code.seconds * 1000, known });
  };
  return made
    ? html`<p class="pair-code"><output>${made.code}</output><small>${t("pair.left", { n: number(Math.ceil(left / 60)) })}</small></p>`
    : html`<${Button} onClick=${make}>${t("pair.show")}<//>`;
}
