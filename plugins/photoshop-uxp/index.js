// A classic script: what it declares at the top level is global, which Photoshop's Actions need.
"use strict";

// Photoshop refuses entry points that come late, so they are set up before anything else is loaded.
require("uxp").entrypoints.setup({
  panels: { panel: { create: (root) => gpenEnhance().show(root) } },
  commands: {
    "enhance-again": { run: () => gpenEnhance().command(null) },
    "enhance-default": { run: () => gpenEnhance().command("default") },
    "enhance-dslr": { run: () => gpenEnhance().command("dslr") },
    "enhance-phone": { run: () => gpenEnhance().command("phone") },
    "enhance-old-photo": { run: () => gpenEnhance().command("old-photo") },
  },
});

/** @type {import("./src/app.js").App | undefined} */
var gpenEnhanceApp;

function gpenEnhance() {
  if (gpenEnhanceApp === undefined) {
    const { App } = require("./src/app.js");
    gpenEnhanceApp = new App();
  }
  return gpenEnhanceApp;
}

/**
 * Recorded Actions hold this name (src/actions.js).
 *
 * @param {import("photoshop/dom/CoreModules").ExecutionContext} executionContext
 * @param {Record<string, unknown>} info
 */
// @ts-expect-error Nobody in here calls it: Photoshop does.
async function gpenEnhanceAction(executionContext, info) {
  return gpenEnhance().play(executionContext, info);
}
