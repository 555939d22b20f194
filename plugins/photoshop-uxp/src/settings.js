// What the user set: keys, defaults, clamping. Pure, but for the two stores that are passed in.
"use strict";

const { decodeUtf8, encodeUtf8 } = require("./utf8.js");

const MODES = /** @type {const} */ (["natural", "detail", "strong"]);
const SLIDERS = /** @type {const} */ (["strength", "denoise", "sharpen"]);
/** Built into the bridge, read-only there; their names are known here for menus and translations. */
const BUILT_IN = /** @type {const} */ (["default", "dslr", "phone", "old-photo"]);
const KEY = "gpen-enhance.settings";
const TOKEN_KEY = "gpen-enhance.token";

/**
 * @typedef {object} Parameters
 * @property {number} strength 0-100: how much of the restoration reaches the face
 * @property {number} denoise 0-100, of the whole layer; 0 is off
 * @property {number} sharpen 0-100, of the whole layer; 0 is off
 * @property {"natural" | "detail" | "strong"} mode
 *
 * @typedef {object} Settings
 * @property {string} preset the name that the parameters started from
 * @property {Parameters} parameters
 * @property {"one" | "each"} layers one layer for all faces, or one for each in a group
 * @property {"layer" | "visible"} source the chosen layer's pixels, or all that is visible
 */

/** @type {Settings} */
const DEFAULTS = {
  preset: "default",
  parameters: { strength: 70, denoise: 30, sharpen: 50, mode: "natural" },
  layers: "one",
  source: "layer",
};

/**
 * @param {unknown} value
 * @param {number} otherwise
 * @returns {number} whole, 0-100
 */
function percent(value, otherwise) {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) return otherwise;
  return Math.min(100, Math.max(0, Math.round(number)));
}

/**
 * Parameters from anything: a preset, a recorded action, an old settings file.
 *
 * @param {unknown} given
 * @param {Parameters} [base] for what is missing or wrong
 * @returns {Parameters}
 */
function parametersFrom(given, base = DEFAULTS.parameters) {
  const values = /** @type {Record<string, unknown>} */ (given && typeof given === "object" ? given : {});
  const mode = MODES.find((name) => name === values.mode) || base.mode;
  return {
    strength: percent(values.strength, base.strength),
    denoise: percent(values.denoise, base.denoise),
    sharpen: percent(values.sharpen, base.sharpen),
    mode,
  };
}

/**
 * @param {unknown} given
 * @returns {Settings}
 */
function settingsFrom(given) {
  const values = /** @type {Record<string, unknown>} */ (given && typeof given === "object" ? given : {});
  return {
    preset: typeof values.preset === "string" && values.preset ? values.preset : DEFAULTS.preset,
    parameters: parametersFrom(values.parameters),
    layers: values.layers === "each" ? "each" : "one",
    source: values.source === "visible" ? "visible" : "layer",
  };
}

/**
 * @param {Parameters} a
 * @param {Parameters} b
 */
function sameParameters(a, b) {
  return a.mode === b.mode && SLIDERS.every((name) => a[name] === b[name]);
}

/**
 * @param {Pick<Storage, "getItem">} storage
 * @returns {Settings} the defaults where nothing usable is stored
 */
function loadSettings(storage) {
  try {
    return settingsFrom(JSON.parse(storage.getItem(KEY) || "{}"));
  } catch {
    return settingsFrom({});
  }
}

/**
 * @param {Pick<Storage, "setItem">} storage
 * @param {Settings} settings
 */
function saveSettings(storage, settings) {
  storage.setItem(KEY, JSON.stringify(settings));
}

/**
 * The token that pairing gave, in the host's safe place; one for each computer whose bridge was paired.
 * The safe place may lose it at any time; then the plug-in is paired again.
 */
class Tokens {
  /** @param {{getItem(key: string): Promise<unknown>, setItem(key: string, value: string | Uint8Array): Promise<unknown>, removeItem(key: string): Promise<unknown>}} safe */
  constructor(safe) {
    this._safe = safe;
  }

  /**
   * @param {string} url
   * @returns {Promise<string | null>}
   */
  async load(url) {
    try {
      const stored = await this._safe.getItem(keyFor(url));
      if (stored instanceof Uint8Array) return decodeUtf8(stored) || null;
      return typeof stored === "string" && stored !== "" ? stored : null;
    } catch {
      return null; // lost or not readable: the same to us
    }
  }

  /**
   * @param {string} url
   * @param {string} token
   */
  async save(url, token) {
    await this._safe.setItem(keyFor(url), encodeUtf8(token));
  }

  /** @param {string} url */
  async remove(url) {
    try {
      await this._safe.removeItem(keyFor(url));
    } catch {
      // It is gone already.
    }
  }
}

/**
 * The local bridge may take another of its four ports next time, so the port is no part of the key.
 *
 * @param {string} url
 */
function keyFor(url) {
  return `${TOKEN_KEY}.${url.replace(/^https?:\/\//, "").replace(/:\d+$/, "")}`;
}

module.exports = {
  BUILT_IN,
  DEFAULTS,
  MODES,
  SLIDERS,
  Tokens,
  loadSettings,
  parametersFrom,
  percent,
  sameParameters,
  saveSettings,
  settingsFrom,
};
