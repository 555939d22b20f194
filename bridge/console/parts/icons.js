// The icons: 20 x 20, one stroke, drawn for this page.
import { html } from "../app/view.js";

const PATHS = {
  try: "M3 5h14v11H3zM3 13l4-4 3 3 3-4 4 5",
  queue: "M3 5h14M3 10h14M3 15h9",
  review: "M4 10l4 4 8-9",
  presets: "M3 6h6M13 6h4M3 14h4M11 14h6M11 4v4M9 12v4",
  system: "M3 4h14v9H3zM7 17h6M10 13v4",
  download: "M10 3v9M6 9l4 4 4-4M4 16h12",
  upload: "M10 13V4M6 7l4-4 4 4M4 16h12",
  close: "M5 5l10 10M15 5L5 15",
  leave: "M8 4H4v12h4M12 6l4 4-4 4M16 10H8",
  check: "M4 10l4 4 8-9",
  redo: "M15 7a6 6 0 1 0 1 4M16 3v5h-5",
  pause: "M7 5v10M13 5v10",
  play: "M6 4l9 6-9 6z",
  alert: "M10 3l8 14H2zM10 8v4M10 14v1",
  left: "M12 4l-6 6 6 6",
  right: "M8 4l6 6-6 6",
  light: "M10 6a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10 1v2M10 17v2M1 10h2M17 10h2",
  copy: "M7 7h9v9H7zM4 13V4h9",
  trash: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  face: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM7 12c2 2 4 2 6 0M7.500 8v1M12.500 8v1",
};

export const Icon = ({ name, size = 18 }) => html`
  <svg class="icon" width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>
`;
