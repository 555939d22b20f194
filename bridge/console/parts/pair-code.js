// A code to type into a plug-in: shown large, until it runs out.
import { bridge } from "../app/bridge.js";
import { html, useEffect, useState } from "../app/view.js";
import { number, t } from "../app/words.js";
import { attempt, Button } from "./controls.js";

export function PairCode() {
  const [made, setMade] = useState(null); // {code, until}
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
  const make = async () => {
    const code = await attempt(bridge.pairCode);
    if (!code) return;
    setLeft(code.seconds);
    setMade({ code: code.code, until: Date.now() + code.seconds * 1000 });
  };
  return made
    ? html`<p class="pair-code"><output>${made.code}</output><small>${t("pair.left", { n: number(Math.ceil(left / 60)) })}</small></p>`
    : html`<${Button} onClick=${make}>${t("pair.show")}<//>`;
}
