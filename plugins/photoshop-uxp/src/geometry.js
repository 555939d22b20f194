// Rectangles, strips and how much of a photo a face needs. Pure.
"use strict";

/**
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rect whole pixels, right and bottom exclusive
 * @typedef {[number, number]} Point x to the right, y down; (0, 0) is the centre of the first pixel
 *
 * @typedef {object} FaceOnLayer a face as the bridge found it, in pixels of the document
 * @property {[number, number, number, number]} box
 * @property {Point[]} landmarks left eye, right eye, nose, left and right corner of the mouth
 * @property {number} score
 * @property {number} [strength]
 */

/** @param {Rect} rect */
const width = (rect) => Math.max(0, rect.right - rect.left);
/** @param {Rect} rect */
const height = (rect) => Math.max(0, rect.bottom - rect.top);
/** @param {Rect} rect */
const area = (rect) => width(rect) * height(rect);

/**
 * @param {Rect} a
 * @param {Rect} b
 * @returns {Rect} of area 0 where they do not meet
 */
function intersection(a, b) {
  const left = Math.max(a.left, b.left);
  const top = Math.max(a.top, b.top);
  return {
    left,
    top,
    right: Math.max(left, Math.min(a.right, b.right)),
    bottom: Math.max(top, Math.min(a.bottom, b.bottom)),
  };
}

/**
 * @param {Rect} a
 * @param {Rect} b
 * @returns {Rect}
 */
function union(a, b) {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

/** @param {Rect} a @param {Rect} b */
function sameRect(a, b) {
  return a.left === b.left && a.top === b.top && a.right === b.right && a.bottom === b.bottom;
}

/**
 * Bands of whole rows of at most about `pixels` each.
 *
 * @param {Rect} rect
 * @param {number} pixels
 * @returns {Rect[]} from the top down
 */
function strips(rect, pixels) {
  const rows = Math.max(1, Math.floor(pixels / Math.max(1, width(rect))));
  /** @type {Rect[]} */
  const bands = [];
  for (let top = rect.top; top < rect.bottom; top += rows)
    bands.push({ ...rect, top, bottom: Math.min(rect.bottom, top + rows) });
  return bands;
}

/**
 * How far a picture is reduced to have at most `pixels`; never enlarged.
 *
 * @param {Rect} rect
 * @param {number} pixels
 * @returns {number} 0-1
 */
function reduction(rect, pixels) {
  return Math.min(1, Math.sqrt(pixels / Math.max(1, area(rect))));
}

/** Five points on the unit square for each way in which a checkpoint aligns faces (bridge/faces/align.py). */
/** @type {Point[][]} */
const TEMPLATES = [
  [[0.3946, 0.4744], [0.6043, 0.4732], [0.5001, 0.5937], [0.414, 0.7165], [0.5877, 0.7155]],
  [[0.3769, 0.4686], [0.6229, 0.4691], [0.5012, 0.6133], [0.3931, 0.7254], [0.6115, 0.7249]],
  [[0.3617, 0.4039], [0.637, 0.4024], [0.5002, 0.5604], [0.3871, 0.7216], [0.6151, 0.7203]],
];
/** The warp looks a few samples past the crop: in pixels, and as a share of its side. */
const MARGIN_PIXELS = 4;
const MARGIN_SHARE = 0.02;

/**
 * All of the photo that restoring a face looks at, whichever checkpoint does it: the crop that the
 * five points are aligned to, with a margin. A picture of this part gives the answer of the whole photo.
 *
 * @param {FaceOnLayer} face
 * @returns {Rect}
 */
function reach(face) {
  return TEMPLATES.map((template) => cropOf(face.landmarks, template)).reduce(union);
}

/**
 * @param {Point[]} landmarks
 * @param {Point[]} template
 * @returns {Rect} around the unit square, brought to the photo by the similarity that fits best (least
 *   squares; in the plane a complex number a and a shift b: photo = a * template + b)
 */
function cropOf(landmarks, template) {
  const [px, py] = mean(landmarks);
  const [tx, ty] = mean(template);
  let real = 0;
  let imaginary = 0;
  let spread = 0;
  landmarks.forEach(([x, y], index) => {
    const [dx, dy] = [x - px, y - py];
    const [u, v] = [template[index][0] - tx, template[index][1] - ty];
    real += u * dx + v * dy;
    imaginary += u * dy - v * dx;
    spread += u * u + v * v;
  });
  const [a, b] = [real / spread, imaginary / spread];
  const corners = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([u, v]) => {
    const [du, dv] = [u - tx, v - ty];
    return [px + a * du - b * dv, py + b * du + a * dv];
  });
  const margin = MARGIN_PIXELS + MARGIN_SHARE * Math.hypot(a, b);
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  return {
    left: Math.floor(Math.min(...xs) - margin),
    top: Math.floor(Math.min(...ys) - margin),
    right: Math.ceil(Math.max(...xs) + margin) + 1,
    bottom: Math.ceil(Math.max(...ys) + margin) + 1,
  };
}

/** @param {Point[]} points @returns {Point} */
function mean(points) {
  const sum = points.reduce(([x, y], [dx, dy]) => [x + dx, y + dy], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}

/**
 * @typedef {{rect: Rect, faces: FaceOnLayer[]}} Region a part of the photo and the faces that are restored in it
 */

/**
 * Regions that do not overlap: faces whose parts meet are restored together, so that no pixel has two answers.
 *
 * @param {FaceOnLayer[]} faces
 * @param {Rect} canvas regions are cut to it
 * @returns {Region[]}
 */
function regionsOf(faces, canvas) {
  /** @type {Region[]} */
  let regions = [];
  for (const face of faces) {
    let region = { rect: intersection(reach(face), canvas), faces: [face] };
    // A region that grew may meet others that the face alone did not.
    for (;;) {
      const near = regions.filter((other) => area(intersection(other.rect, region.rect)) > 0);
      if (near.length === 0) break;
      regions = regions.filter((other) => !near.includes(other));
      region = {
        rect: near.map((other) => other.rect).reduce(union, region.rect),
        faces: [...near.flatMap((other) => other.faces), ...region.faces],
      };
    }
    if (area(region.rect) > 0) regions.push(region);
  }
  return regions;
}

/**
 * A face in other coordinates: first scaled about the corner of the first pixel, then shifted.
 *
 * @template {FaceOnLayer} F
 * @param {F} face
 * @param {{scaleX?: number, scaleY?: number, left?: number, top?: number}} change
 * @returns {F}
 */
function moved(face, { scaleX = 1, scaleY = 1, left = 0, top = 0 }) {
  /** @param {number} x */
  const toX = (x) => (x + 0.5) * scaleX - 0.5 + left;
  /** @param {number} y */
  const toY = (y) => (y + 0.5) * scaleY - 0.5 + top;
  const [x0, y0, x1, y1] = face.box;
  return {
    ...face,
    box: [toX(x0), toY(y0), toX(x1), toY(y1)],
    landmarks: face.landmarks.map(([x, y]) => [toX(x), toY(y)]),
  };
}

/**
 * @param {FaceOnLayer} face
 * @returns {Rect} its box in whole pixels
 */
function boxOf(face) {
  const [x0, y0, x1, y1] = face.box;
  return { left: Math.floor(x0), top: Math.floor(y0), right: Math.ceil(x1) + 1, bottom: Math.ceil(y1) + 1 };
}

module.exports = { area, boxOf, height, intersection, moved, reach, reduction, regionsOf, sameRect, strips, union, width };
