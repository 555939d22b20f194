"use strict";
// Loads the plug-in's own modules.

const path = require("node:path");

const FOLDER = path.join(__dirname, "../../../../plugins/photoshop-uxp");

/** @param {string} name */
function plugin(name) {
  return require(path.join(FOLDER, name));
}

module.exports = { FOLDER, plugin };
