"use strict";
// Runs in the browser: CommonJS, the fake Photoshop, and the plug-in started as Photoshop starts it.

(function start() {
  const modules = new Map();
  const given = {
    "node:fs": {},
    "node:module": {},
    "node:path": { join: (...parts) => parts.join("/"), sep: "/" },
    "/support/plugin.js": { FOLDER: "/plugin" },
    "/support/xhr.js": {},
  };

  function requireFrom(folder) {
    return (name) => {
      if (name in given) return given[name];
      const path = name.startsWith(".") ? new URL(name, `http://x${folder}/`).pathname : name;
      if (path in given) return given[path];
      if (!modules.has(path)) {
        const request = new XMLHttpRequest();
        request.open("GET", path, false);
        request.send();
        if (request.status !== 200) throw new Error(`There is no ${path}.`);
        const module = { exports: {} };
        modules.set(path, module);
        const run = new Function("require", "module", "exports", `${request.responseText}\n//# sourceURL=${path}`);
        run(requireFrom(path.slice(0, path.lastIndexOf("/"))), module, module.exports);
      }
      return modules.get(path).exports;
    };
  }

  const options = window.GPEN_OPTIONS;
  // The plug-in speaks to the bridge itself; a page can only by the road that browser.js made.
  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function openByRoad(method, url, ...more) {
    return open.call(this, method, url.replace(options.bridge, `${location.origin}/bridge`), ...more);
  };
  const { World, MISSING } = requireFrom("/support")("./world.js");
  const { wordsFor } = requireFrom("/plugin/src")("./messages.js");
  const world = new World({ addresses: options.addresses, locale: options.locale });
  world.file = () => JSON.stringify({ requiredPermissions: { network: { domains: options.addresses } } });
  world.encodePicture = ({ _values: values, width, height }) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel += 1)
      picture.data.set([values[3 * pixel], values[3 * pixel + 1], values[3 * pixel + 2], 255], 4 * pixel);
    context.putImageData(picture, 0, 0);
    return canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
  };
  given.photoshop = world.photoshop;
  given.uxp = world.uxp;
  Object.assign(window, { world, words: wordsFor(options.locale), require: requireFrom("/plugin") });
  for (const name of MISSING) if (name !== "queueMicrotask" && name !== "Buffer") delete window[name];

  const script = document.createElement("script");
  script.src = "/plugin/index.js";
  script.onload = () => {
    world.entrypoints.panels.panel.create(document.getElementById("panel-root"));
    window.model = window.gpenEnhance().model;
  };
  document.head.appendChild(script);
})();

/** A document with portraits side by side. Painted here, because functions do not cross into the page. */
window.openPortraits = async (facts, count = 1) => {
  const pixels = new Uint8Array(await (await fetch("/portrait.rgb")).arrayBuffer());
  const width = 300 * count;
  const made = window.world.open({ width, height: 300, ...facts });
  const paint = (x, y) => {
    const at = 3 * (512 * y + (x % 300) + 60);
    return [pixels[at], pixels[at + 1], pixels[at + 2], 255];
  };
  made.addLayer({ name: "Photo", rect: { left: 0, top: 0, right: width, bottom: 300 }, paint });
  return made.id;
};
