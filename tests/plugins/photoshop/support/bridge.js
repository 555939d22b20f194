"use strict";
// Starts the real bridge (bridge.py) as a process, and speaks to it as its owner.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const { after } = require("node:test");

const ROOT = path.join(__dirname, "../../../..");
const PYTHON = process.env.GPEN_TEST_PYTHON || path.join(ROOT, ".venv/bin/python");

/** Every bridge of this file, stopped at its end. */
const started = [];
after(async () => {
  for (const bridge of started) {
    await bridge.stop();
    fs.rmSync(bridge.home, { recursive: true, force: true });
  }
});

class RunningBridge {
  constructor(process_, told, lines) {
    Object.assign(this, { process: process_, ...told, lines });
  }

  async asOwner(method, route, content) {
    const body = content ? JSON.stringify(content) : undefined;
    const headers = { Authorization: `Bearer ${this.token}`, ...(body ? { "Content-Type": "application/json", "Content-Length": body.length } : {}) };
    const text = await new Promise((resolve, reject) => {
      const request = http.request(this.url + route, { method, headers, agent: false }, (reply) => {
        let told = "";
        reply.setEncoding("utf8").on("data", (chunk) => (told += chunk)).on("end", () => resolve(told));
      });
      request.on("error", reject).end(body);
    });
    return text ? JSON.parse(text) : null;
  }

  async newCode() {
    return (await this.asOwner("POST", "/v1/pair/code")).code;
  }

  /** How often the network has begun to work. */
  get begun() {
    return this.lines.filter((line) => line === "working").length;
  }

  /** Resolves when the network works on something. */
  async working(times = 1) {
    while (this.begun < times) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async stop() {
    if (this.process.exitCode !== null || this.process.signalCode) return;
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stdin.end();
    await ended;
  }
}

/** @param {{seconds?: number, port?: number, home?: string, settings?: Record<string, string>, studio?: boolean}} [options] */
async function startBridge({ seconds = 0, port = 0, home, settings = {}, studio = false } = {}) {
  const folder = home || fs.mkdtempSync(path.join(os.tmpdir(), "gpen-photoshop-"));
  const env = { ...process.env, ...settings, GPEN_HOME: folder };
  const words = ["-m", "tests.plugins.photoshop.bridge", String(port), String(seconds), ...(studio ? ["studio"] : [])];
  const child = spawn(PYTHON, words, {
    cwd: ROOT,
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = [];
  const first = new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      resolve(line);
    });
    child.once("exit", (code) => reject(new Error(`The bridge ended with status ${code}.`)));
  });
  const told = JSON.parse(await first);
  if (!told.url) throw new Error(told.detail);
  const bridge = new RunningBridge(child, told, lines);
  bridge.home = folder;
  started.push(bridge);
  for (;;) {
    const { ready } = await bridge.asOwner("GET", "/v1/ready");
    if (ready) return bridge;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

module.exports = { PYTHON, ROOT, RunningBridge, startBridge };
