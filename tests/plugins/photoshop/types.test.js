"use strict";
// The plug-in against the types of Photoshop's interface; and files that must fail, because a checker that
// does not find the types lets everything pass.

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");

const COMPILER = path.join(__dirname, "node_modules/typescript/bin/tsc");
const skip = fs.existsSync(COMPILER) ? false : "npm ci has not been run in tests/plugins/photoshop";

function check(project) {
  const done = spawnSync(process.execPath, [COMPILER, "-p", project, "--pretty", "false"], { cwd: __dirname, encoding: "utf8" });
  return done.stdout;
}

test("the plug-in is right by the types of Photoshop, strictly", { skip }, () => {
  assert.equal(check("tsconfig.json"), "");
});

test("each file that must fail fails", { skip }, () => {
  const told = check("tsconfig.wrong.json");
  const names = fs.readdirSync(path.join(__dirname, "types/wrong"));
  assert.ok(names.length >= 10);
  for (const name of names) assert.match(told, new RegExp(`types/wrong/${name}\\(\\d+,\\d+\\): error`), `${name} passed`);
});
