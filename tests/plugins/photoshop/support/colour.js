"use strict";
// Enough of colour management for a fake Photoshop: RGB profiles, gray and Lab, through XYZ D50.

/** Columns: XYZ (D50) of red, green, blue. */
const SRGB = [[0.43606, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71405]];
const ADOBE = [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]];
const P3 = [[0.51512, 0.2919, 0.1571], [0.2412, 0.69225, 0.06657], [-0.00105, 0.04188, 0.78405]];
const ROMM = [[0.79767, 0.13519, 0.03134], [0.28804, 0.71188, 0.00009], [0, 0, 0.82491]];
const WHITE = [0.9642, 1, 0.82491];

const srgbCurve = {
  decode: (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4),
  encode: (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055),
};
const gamma = (power) => ({
  decode: (v) => Math.max(0, v) ** power,
  encode: (v) => Math.max(0, v) ** (1 / power),
});

const PROFILES = {
  "sRGB IEC61966-2.1": { matrix: SRGB, curve: srgbCurve },
  "Adobe RGB (1998)": { matrix: ADOBE, curve: gamma(563 / 256) },
  "Display P3": { matrix: P3, curve: srgbCurve },
  "ProPhoto RGB": { matrix: ROMM, curve: gamma(461 / 256) },
  // A camera's own space, installed in the editor but unknown to the bridge.
  "Studio Camera 7": { matrix: ADOBE, curve: gamma(1.9) },
  "Gray Gamma 2.2": { gray: true, curve: gamma(2.2) },
  "Dot Gain 20%": { gray: true, curve: gamma(1.75) },
  "Lab D50": { lab: true },
};

function inverse(m) {
  const [[a, b, c], [d, e, f], [g, h, i]] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    [(e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det],
    [(f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det],
    [(d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det],
  ];
}
const times = (m, [x, y, z]) => m.map(([a, b, c]) => a * x + b * y + c * z);
for (const profile of Object.values(PROFILES)) if (profile.matrix) profile.inverse = inverse(profile.matrix);

const LINEAR = / ?\(Linear (RGB|Gray) Profile\)$/;

/** @param {string} name */
function profileOf(name) {
  const linear = LINEAR.test(name);
  const profile = PROFILES[name.replace(LINEAR, "")];
  if (!profile) throw new Error(`The fake Photoshop has no profile ${JSON.stringify(name)}.`);
  return linear ? { ...profile, curve: { decode: (v) => v, encode: (v) => v } } : profile;
}

/** Colour in 0-1 of a profile (Lab: L/100, (a + 128)/255, (b + 128)/255) to XYZ D50. */
function toXyz(profile, values) {
  if (profile.gray) return WHITE.map((white) => white * profile.curve.decode(values[0]));
  if (profile.lab) {
    const fy = (100 * values[0] + 16) / 116;
    const f = [fy + (255 * values[1] - 128) / 500, fy, fy - (255 * values[2] - 128) / 200];
    return f.map((t, index) => WHITE[index] * (t > 6 / 29 ? t ** 3 : 3 * (6 / 29) ** 2 * (t - 4 / 29)));
  }
  return times(profile.matrix, values.map(profile.curve.decode));
}

function fromXyz(profile, xyz) {
  if (profile.gray) return [profile.curve.encode(Math.max(0, xyz[1]))];
  if (profile.lab) {
    const f = xyz.map((v, index) => {
      const t = v / WHITE[index];
      return t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29;
    });
    return [(116 * f[1] - 16) / 100, (500 * (f[0] - f[1]) + 128) / 255, (200 * (f[1] - f[2]) + 128) / 255];
  }
  return times(profile.inverse, xyz).map(profile.curve.encode);
}

/**
 * @param {string} from
 * @param {string} to
 * @returns {((values: number[]) => number[]) | null} null where nothing is to be converted
 */
function converter(from, to) {
  if (from === to) return null;
  const [source, target] = [profileOf(from), profileOf(to)];
  return (values) => fromXyz(target, toXyz(source, values));
}

module.exports = { converter, profileOf };
