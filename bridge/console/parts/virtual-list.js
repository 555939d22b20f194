// A list of any length: only the rows in sight exist.
import { html, useEffect, useRef, useState } from "../app/view.js";

const SPARE = 6;

/** rows of `height` pixels; `row(index)` draws one, `keyOf(index)` knows it again when its place changes; `onRange(first, last)` tells which are looked at. */
export function VirtualList({ count, height, row, keyOf, onRange, label }) {
  const frame = useRef(null);
  const [range, setRange] = useState([0, 0]);
  const look = () => {
    if (!frame.current) return; // the observer may look once more after the list is gone
    const { scrollTop, clientHeight } = frame.current;
    const first = Math.max(Math.floor(scrollTop / height) - SPARE, 0);
    const last = Math.min(Math.ceil((scrollTop + clientHeight) / height) + SPARE, count);
    setRange((old) => (old[0] === first && old[1] === last ? old : [first, last]));
  };
  useEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [count]);
  useEffect(() => {
    if (range[1] > range[0]) onRange(range[0], range[1]);
  }, [range[0], range[1], count]);
  const shown = Array.from({ length: Math.max(range[1] - range[0], 0) }, (_, offset) => range[0] + offset);
  return html`
    <div class="list" ref=${frame} onScroll=${look} tabindex="0" role="list" aria-label=${label}>
      <div class="list-room" role="presentation" style=${{ height: `${count * height}px` }}>
        ${shown.map((index) => html`
          <div class="list-row" key=${keyOf(index)} role="listitem" aria-setsize=${count} aria-posinset=${index + 1}
            style=${{ top: `${index * height}px`, height: `${height}px` }}>${row(index)}</div>`)}
      </div>
    </div>
  `;
}
