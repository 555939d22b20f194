// The light table: a photo and its result under one divider, with zoom, pan and the faces' outlines.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../app/view.js";
import { t } from "../app/words.js";

const LARGEST = 8;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
/** Keys and the wheel with these are the browser's own: its zoom, its way back. */
const isBrowsers = (event) => event.ctrlKey || event.metaKey || event.altKey;
/** Page pixels for a pixel of the photo at 100 %: one for one on the screen itself. */
const actual = () => 1 / devicePixelRatio;

/** Where the photo lies: page pixels for each of its own, and its corner in the viewport. */
export function fitted(photo, view, margin = 24) {
  const scale = Math.min((view.width - 2 * margin) / photo.width, (view.height - 2 * margin) / photo.height, actual() * 2);
  return { scale, x: (view.width - photo.width * scale) / 2, y: (view.height - photo.height * scale) / 2 };
}

export function zoomed(place, scale, x, y) {
  const factor = scale / place.scale;
  return { scale, x: x - (x - place.x) * factor, y: y - (y - place.y) * factor };
}

/** Keeps at least some of the photo in sight. */
function held(place, photo, view) {
  const keep = 80;
  return {
    scale: place.scale,
    x: clamp(place.x, keep - photo.width * place.scale, view.width - keep),
    y: clamp(place.y, keep - photo.height * place.scale, view.height - keep),
  };
}

/**
 * before, after: object URLs; after may be null.
 * photo: {width, height} upright. faces: [{box, label, off}]. focus: {index, turn}: zooms to a face.
 */
export function Compare({ before, after, photo, faces = [], chosen, onChoose, focus, children }) {
  const frame = useRef(null);
  const fingers = useRef(new Map());
  const [view, setView] = useState(null);
  const [place, setPlace] = useState(null); // null: fitted, also when the window changes
  const [split, setSplit] = useState(0.5);
  useLayoutEffect(() => {
    const look = () => frame.current && setView({ width: frame.current.clientWidth, height: frame.current.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(frame.current);
    look();
    return () => observer.disconnect();
  }, []);
  useEffect(() => setPlace(null), [before]);
  useEffect(() => {
    if (!view || !focus || !faces[focus.index]) return;
    const [x0, y0, x1, y1] = faces[focus.index].box;
    const scale = clamp(Math.min(view.width / (x1 - x0), view.height / (y1 - y0)) * 0.55, 0.02, actual() * LARGEST);
    setPlace({ scale, x: view.width / 2 - ((x0 + x1) / 2) * scale, y: view.height / 2 - ((y0 + y1) / 2) * scale });
  }, [focus]);

  const now = view && (place ?? fitted(photo, view));
  const zoomTo = (scale, x = view.width / 2, y = view.height / 2) =>
    setPlace(held(zoomed(now, clamp(scale, 0.02, actual() * LARGEST), x, y), photo, view));
  const pan = (dx, dy) => setPlace(held({ ...now, x: now.x + dx, y: now.y + dy }, photo, view));

  const onWheel = (event) => {
    if (isBrowsers(event)) return;
    event.preventDefault();
    const corner = frame.current.getBoundingClientRect();
    zoomTo(now.scale * Math.exp(-event.deltaY / 400), event.clientX - corner.left, event.clientY - corner.top);
  };
  const onPointerDown = (event) => {
    if (event.target.closest("button")) return;
    frame.current.setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, event);
  };
  const onPointerMove = (event) => {
    const old = fingers.current.get(event.pointerId);
    if (!old) return;
    const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const span = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
      const corner = frame.current.getBoundingClientRect();
      zoomTo(now.scale * (span(event) / Math.max(span(old), 1)), other.clientX - corner.left, other.clientY - corner.top);
    } else pan(event.clientX - old.clientX, event.clientY - old.clientY);
    fingers.current.set(event.pointerId, event);
  };
  const onPointerUp = (event) => fingers.current.delete(event.pointerId);
  const onKeyDown = (event) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (event.target !== frame.current || isBrowsers(event)) return;
    if (step) pan(...step);
    else if (event.key === "+" || event.key === "=") zoomTo(now.scale * 1.25);
    else if (event.key === "-") zoomTo(now.scale / 1.25);
    else if (event.key === "0") setPlace(null);
    else if (event.key === "1" || event.key === "2") zoomTo(actual() * Number(event.key));
    else return;
    event.preventDefault();
  };

  const shown = now && Math.round(now.scale * devicePixelRatio * 100);
  const laid = now && { width: `${photo.width}px`, height: `${photo.height}px`, transform: `translate(${now.x}px,${now.y}px) scale(${now.scale})` };
  const cut = now && after && clamp((split * view.width - now.x) / now.scale, 0, photo.width);
  return html`
    <div class="compare">
      <div class="stage ${shown >= 200 ? "pixels" : ""}" ref=${frame} tabindex="0" role="group" aria-label=${t("compare.label")}
        onWheel=${onWheel} onPointerDown=${onPointerDown} onPointerMove=${onPointerMove} onPointerUp=${onPointerUp}
        onPointerCancel=${onPointerUp} onKeyDown=${onKeyDown}>
        ${now && html`
          <img src=${before} alt=${t("compare.before")} draggable=${false} style=${laid} />
          ${after && html`<img src=${after} alt=${t("compare.after")} class="after" draggable=${false}
            style=${{ ...laid, clipPath: `inset(0 0 0 ${cut}px)` }} />`}
          ${faces.map((face, index) => html`
            <button type="button" key=${index} class="outline ${index === chosen ? "chosen" : ""} ${face.off ? "off" : ""}"
              aria-label=${face.label} title=${face.label} onClick=${() => onChoose?.(index)}
              style=${{ left: `${now.x + face.box[0] * now.scale}px`, top: `${now.y + face.box[1] * now.scale}px`,
                        width: `${(face.box[2] - face.box[0]) * now.scale}px`, height: `${(face.box[3] - face.box[1]) * now.scale}px` }}>
              <span>${index + 1}</span></button>`)}
          ${after && html`
            <${Divider} split=${split} onMove=${setSplit} frame=${frame} />
            <span class="tag left">${t("compare.before")}</span><span class="tag right">${t("compare.after")}</span>`}`}
        ${children}
      </div>
      <div class="zoom" role="toolbar" aria-label=${t("compare.zoom")}>
        <button type="button" aria-pressed=${!place} onClick=${() => setPlace(null)}>${t("compare.fit")}</button>
        ${[1, 2].map((times) => html`
          <button type="button" key=${times} aria-pressed=${!!place && shown === times * 100} onClick=${() => zoomTo(actual() * times)}>${times * 100} %</button>`)}
        <span class="zoom-now" aria-live="polite">${shown} %</span>
      </div>
    </div>
  `;
}

function Divider({ split, onMove, frame }) {
  const moving = useRef(false);
  const move = (event) => {
    if (!moving.current) return;
    const corner = frame.current.getBoundingClientRect();
    onMove(clamp((event.clientX - corner.left) / corner.width, 0, 1));
  };
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (!step || isBrowsers(event)) return;
    event.preventDefault();
    onMove(clamp(split + step, 0, 1));
  };
  return html`
    <button type="button" class="divider" role="slider" aria-label=${t("compare.divider")} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(split * 100)} style=${{ left: `${split * 100}%` }} onKeyDown=${onKeyDown}
      onPointerDown=${(event) => { moving.current = true; event.currentTarget.setPointerCapture(event.pointerId); }}
      onPointerMove=${move} onPointerUp=${() => { moving.current = false; }}><i></i></button>
  `;
}
