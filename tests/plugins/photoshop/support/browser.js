"use strict";
// The panel in a real browser: a page with the fake Photoshop, and a road from it to the real bridge.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { after } = require("node:test");
const { FOLDER } = require("./plugin.js");

const TYPES = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".rgb": "application/octet-stream" };
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** Done at the end of the file; an `after` inside of a hook would belong to that hook. */
const closing = [];
after(async () => {
  for (const close of closing) await close();
});

/** Why the panel cannot be tested here; false if it can. */
function missing() {
  try {
    require.resolve("playwright-core");
  } catch {
    return "npm ci has not been run in tests/plugins/photoshop";
  }
  return executable() ? false : "no Chromium is installed";
}

function executable() {
  const found = NAMES.map((name) => spawnSync("which", [name], { encoding: "utf8" }).stdout.trim()).find(Boolean);
  return process.env.GPEN_TEST_CHROMIUM || found;
}

/** Serves the page, the plug-in's own files, and the bridge under /bridge. */
function serve(bridge) {
  const server = http.createServer((request, reply) => {
    if (request.url.startsWith("/bridge/")) return forward(bridge, request, reply);
    const { pathname } = new URL(request.url, "http://x");
    const file =
      pathname === "/portrait.rgb"
        ? process.env.GPEN_TEST_PORTRAIT
        : pathname.startsWith("/plugin/")
          ? path.join(FOLDER, pathname.slice("/plugin/".length))
          : pathname.startsWith("/support/")
            ? path.join(__dirname, pathname.slice("/support/".length))
            : null;
    if (file === null || !fs.existsSync(file)) return reply.writeHead(404).end();
    reply.writeHead(200, { "Content-Type": TYPES[path.extname(file)] || "application/octet-stream" });
    fs.createReadStream(file).pipe(reply);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Photoshop is no web page: what a browser adds to a request does not reach the bridge. */
function forward(bridge, request, reply) {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !/^(host|origin|referer|connection|sec-.*)$/.test(name)));
  const onward = http.request(bridge.url + request.url.slice("/bridge".length), { method: request.method, headers, agent: false }, (answer) => {
    reply.writeHead(answer.statusCode, answer.headers);
    answer.pipe(reply);
  });
  onward.on("error", () => reply.destroy());
  reply.on("close", () => onward.destroy());
  request.pipe(onward);
}

/** A browser, and `open({theme, locale, width})` for a page with the panel in it. */
async function launch(bridge) {
  const { chromium } = require("playwright-core");
  const browser = await chromium.launch({
    executablePath: executable(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const server = await serve(bridge);
  closing.push(() => browser.close(), async () => server.close(server.closeAllConnections()));
  const origin = `http://127.0.0.1:${server.address().port}`;

  async function open({ theme = "dark", locale = "en_US", width = 300, height = 900, addresses = [bridge.url] } = {}) {
    const page = await browser.newPage({ viewport: { width, height } });
    page.setDefaultTimeout(8000);
    page.setDefaultNavigationTimeout(60000); // the first page of a browser on a busy machine is slow
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    const options = JSON.stringify({ addresses, locale, bridge: bridge.url });
    await page.route(`${origin}/`, (route) =>
      route.fulfill({
        contentType: "text/html",
        body: `<!DOCTYPE html><html data-theme="${theme}"><head><meta charset="utf-8">
          <link rel="stylesheet" href="/support/themes.css"><link rel="stylesheet" href="/plugin/panel.css">
          <script src="/support/widgets.js"></script></head>
          <body><div id="panel-root" style="height: 100%"></div>
          <script>window.GPEN_OPTIONS = ${options}; localStorage.clear();</script><script src="/support/page.js"></script></body></html>`,
      }),
    );
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => window.model && window.model.state.connection !== "searching");
    return { page, errors };
  }
  return { open, origin };
}

module.exports = { launch, missing };
