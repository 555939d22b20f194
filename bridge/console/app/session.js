// Who is signed in: the token of this browser. It is only ever sent in a header, or first over the socket.
import { store } from "./store.js";

const KEY = "gpen.session";

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** {token, standing: "owner" | "client", client_id}, or null. */
export const session = store(kept());

/** Whether the bridge ended the session: then the page that is open stays, behind the door. */
export const ended = store(false);

export const signOut = () => leave(false);
export const refused = () => session.value && leave(true);

function leave(byBridge) {
  localStorage.removeItem(KEY);
  ended.set(byBridge);
  session.set(null);
}

/** Exchanges a one-time code for a token of this browser's own. Throws Problem. */
export async function signIn(code, pair) {
  const made = await pair({ code, client: "console", name: browserName() });
  localStorage.setItem(KEY, JSON.stringify(made));
  session.set(made);
  ended.set(false);
}

/** The code of a sign-in link; it is taken out of the address at once. */
export function takeCode() {
  const match = /^#code=([\w-]{8,12})$/.exec(location.hash);
  if (match) history.replaceState(null, "", "/");
  return match?.[1] ?? null;
}

function browserName() {
  const agent = navigator.userAgent;
  const browser = [/Edg/, /Firefox/, /Chrome/, /Safari/].find((name) => name.test(agent))?.source ?? "Browser";
  const system = [/Windows/, /Mac OS/, /Android/, /iPhone|iPad/, /Linux/].find((name) => name.test(agent));
  return `${browser === "Edg" ? "Edge" : browser}${system ? `, ${system.source.split("|")[0]}` : ""}`;
}
