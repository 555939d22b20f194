"use strict";
// One fake Photoshop with the plug-in loaded into it, and the globals that Photoshop lacks taken away.

const Module = require("node:module");
const fs = require("node:fs");
const path = require("node:path");
const { FakeDocument } = require("./documents.js");
const { photoshopModule } = require("./photoshop.js");
const { FOLDER } = require("./plugin.js");
const { FakeXMLHttpRequest } = require("./xhr.js");

/** What Photoshop's runtime does not have, or is not known to have. */
const MISSING = [
  "TextEncoder", "TextDecoder", "Worker", "CompressionStream", "DecompressionStream", "ImageData", "OffscreenCanvas",
  "FileReader", "EventSource", "structuredClone", "queueMicrotask", "URLSearchParams", "Buffer", "createImageBitmap",
];

class World {
  /** @param {{addresses?: string[], locale?: string, folder?: string}} [options] folder: where the plug-in lies */
  constructor({ addresses = [], locale = "en_US", folder = FOLDER } = {}) {
    Object.assign(this, {
      addresses, locale, folder,
      documents: [], activeDocument: null, scopes: [], busy: false, nestedHistory: false, pyramidLevels: 3, maskOutside: 0,
      refusedDepths: new Set(), reads: [], writes: [], progress: [], alerts: [], duplicated: [], recording: null, calls: 0,
      heldBytes: 0, peakBytes: 0, liveImages: 0, measuring: null,
    });
    this.safe = new Map();
    this.local = new Map();
    this.photoshop = photoshopModule(this);
    this.uxp = uxpModule(this);
  }

  open(facts) {
    const document = new FakeDocument(this, facts);
    this.documents.push(document);
    this.activeDocument = document;
    return document;
  }

  close(document) {
    this.documents.splice(this.documents.indexOf(document), 1);
    if (this.activeDocument === document) this.activeDocument = this.documents[0] || null;
  }

  /** Esc, or Cancel in Photoshop's progress bar. */
  pressEscape() {
    for (const scope of this.scopes) {
      scope.isCancelled = true;
      if (scope.onCancel) scope.onCancel();
    }
  }

  held(bytes) {
    this.heldBytes += bytes;
    this.liveImages += bytes > 0 ? 1 : -1;
    this.measure();
  }

  /** The most that the plug-in has had: its image data, or everything that `measuring` counts. */
  measure() {
    this.peakBytes = Math.max(this.peakBytes, this.measuring ? this.measuring() : this.heldBytes);
  }

  /** A picture as base64, of a kind that every browser shows. */
  encodePicture() {
    return "R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  }

  /** Load one of the plug-in's modules into this world; each world has its own. */
  load(name) {
    const { _load } = Module;
    Module._load = (request, parent, isMain) => {
      if (request === "photoshop") return this.photoshop;
      if (request === "uxp") return this.uxp;
      return _load(request, parent, isMain);
    };
    try {
      return require(path.join(this.folder, name));
    } finally {
      Module._load = _load;
    }
  }
}

/** @param {World} world */
function uxpModule(world) {
  return {
    host: { name: "PS", version: "25.2.0", get uiLocale() { return world.locale; } },
    versions: { plugin: "0.1.0", uxp: "uxp-7.3.0" },
    entrypoints: { setup: (points) => void (world.entrypoints = points) },
    storage: {
      secureStorage: {
        async getItem(key) { return world.safe.has(key) ? world.safe.get(key) : null; },
        async setItem(key, value) { world.safe.set(key, Uint8Array.from(value)); },
        async removeItem(key) {
          if (!world.safe.delete(key)) throw new Error("There is no such item.");
        },
      },
      localFileSystem: {
        async getPluginFolder() {
          return {
            async getEntry(name) {
              return { read: async () => world.file(name) };
            },
          };
        },
      },
    },
  };
}

World.prototype.file = function file(name) {
  const text = fs.readFileSync(path.join(this.folder, name), "utf8");
  if (name !== "manifest.json" || this.addresses.length === 0) return text;
  const manifest = JSON.parse(text);
  manifest.requiredPermissions.network.domains = this.addresses;
  return JSON.stringify(manifest);
};

/** A fresh world with nothing in its module cache. */
function newWorld(options) {
  const world = new World(options);
  for (const name of Object.keys(require.cache)) if (name.startsWith(world.folder + path.sep)) delete require.cache[name];
  globalThis.XMLHttpRequest = FakeXMLHttpRequest;
  globalThis.localStorage = {
    getItem: (key) => (world.local.has(key) ? world.local.get(key) : null),
    setItem: (key, value) => void world.local.set(key, String(value)),
    removeItem: (key) => void world.local.delete(key),
  };
  return world;
}

/** Run something the way Photoshop does: without what its runtime lacks. */
async function inPhotoshop(work) {
  const taken = MISSING.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const name of MISSING) delete globalThis[name];
  try {
    return await work();
  } finally {
    for (const [name, descriptor] of taken) if (descriptor) Object.defineProperty(globalThis, name, descriptor);
  }
}

module.exports = { MISSING, World, inPhotoshop, newWorld };
