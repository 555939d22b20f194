// The one door to the vendored libraries: html`...` makes Preact elements, the rest are its hooks.
import { createElement, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export const html = htm.bind(createElement);
