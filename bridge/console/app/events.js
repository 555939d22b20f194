// What changes, over one WebSocket. It comes back with the last number that it saw, so that nothing is missed.
import { refused, session } from "./session.js";
import { store } from "./store.js";

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 8000;
const UNAUTHORIZED = 4401;
const ADDRESS = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/events`;

/** "connecting" | "live" | "lost" */
export const connection = store("connecting");
const listeners = new Set();
let socket = null;
let seen = null;
let pause = FIRST_PAUSE;
let timer;

/** Calls `listener(event)` for every event, and with {type: "afresh"} when events were missed for good. */
export function onEvent(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(event) {
  for (const listener of [...listeners]) listener(event);
}

function lost() {
  connection.set("lost");
  timer = setTimeout(connect, pause);
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

function connect() {
  clearTimeout(timer);
  let own;
  try {
    own = socket = new WebSocket(ADDRESS);
  } catch {
    return lost(); // a browser that forbids it: the page works, only not live
  }
  own.onopen = () => own.send(JSON.stringify({ token: session.value?.token ?? "", ...(seen !== null && { since: seen }) }));
  own.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "hello") {
      const first = seen === null;
      if (first || !event.complete) seen = event.seq;
      pause = FIRST_PAUSE;
      connection.set("live");
      if (first || !event.complete) tell({ type: "afresh" });
      return;
    }
    seen = event.seq;
    tell(event);
  };
  own.onclose = ({ code }) => {
    if (own !== socket) return;
    if (code === UNAUTHORIZED) return refused();
    lost();
  };
}

session.follow((signedIn) => {
  const old = socket;
  socket = null;
  seen = null;
  clearTimeout(timer);
  old?.close();
  connection.set("connecting");
  if (signedIn) connect();
});
if (session.value) connect();
