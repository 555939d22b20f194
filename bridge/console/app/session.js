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

/** What is kept after a sign-out: other tabs tell it by this from an end that the bridge made. */
const SIGNED_OUT = "null";

/** Leaves at once, and has the token revoked. Throws Problem: the bridge could not be told, and the token stays valid. */
export async function signOut(revoke) {
  const told = revoke(session.value.client_id); // asked while the token is still at hand
  if (isKept(session.value)) localStorage.setItem(KEY, SIGNED_OUT);
  leave(false);
  try {
    await told;
  } catch (problem) {
    if (problem.code !== "unauthorized") throw problem;
  }
}

/** The bridge refused a token: the end of the session, unless a new one has taken its place since. */
export function refused({ token } = session.value ?? {}) {
  if (!session.value || session.value.token !== token) return;
  if (isKept(session.value)) localStorage.removeItem(KEY);
  leave(true);
}

/** Whether the browser keeps this session; another tab may have signed in anew, and what it keeps is its own. */
const isKept = (one) => kept()?.token === one?.token;

function leave(byBridge) {
  ended.set(byBridge);
  session.set(null);
}

function enter(made) {
  session.set(made);
  ended.set(false);
}

// Another tab of this browser signed in or out.
addEventListener("storage", ({ key, newValue }) => {
  if ((key !== KEY && key !== null) || isKept(session.value)) return;
  if (kept()) enter(kept());
  else leave(newValue !== SIGNED_OUT);
});

/** Exchanges a one-time code for a token of this browser's own, instead of the one that it had. Throws Problem. */
export async function signIn(code, { pair, revoke }) {
  const made = await pair({ code, client: "console", name: browserName() });
  localStorage.setItem(KEY, JSON.stringify(made));
  if (session.value) revoke(session.value.client_id).catch(() => {}); // it stays in the list, to be revoked there
  enter(made);
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
