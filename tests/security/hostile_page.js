// What a hostile page tries on a bridge, and what it gets to see: run in the page by test_hostile_page.py.
async (bridge) => {
  const told = {};
  const attempt = async (name, work) => {
    try { told[name] = await Promise.race([work(), new Promise((done) => setTimeout(() => done("silence"), 15000))]); }
    catch (error) { told[name] = "blocked: " + error.name; }
  };
  const read = (path, options) => async () => {
    const reply = await fetch(bridge + path, options);
    return reply.type === "opaque" ? "opaque" : `${reply.status} ${(await reply.text()).slice(0, 600)}`;
  };
  const job = JSON.stringify({items: [{ref: "x", source: {path: "x.png"}}]});
  const pair = JSON.stringify({code: "AAAA-AAAA", client: "evil", name: "evil"});
  await attempt("health", read("/v1/health"));
  await attempt("page", read("/"));
  await attempt("contract", read("/openapi.json"));
  await attempt("jobs", read("/v1/jobs", {credentials: "include"}));
  await attempt("bearer", read("/v1/jobs", {headers: {Authorization: "Bearer x"}}));
  await attempt("no-cors", read("/v1/jobs", {mode: "no-cors", method: "POST", body: job}));
  await attempt("plain", read("/v1/jobs", {method: "POST", headers: {"Content-Type": "text/plain"}, body: job}));
  await attempt("json", read("/v1/jobs", {method: "POST", headers: {"Content-Type": "application/json"}, body: job}));
  await attempt("put", read("/v1/presets/evil", {method: "PUT", headers: {"Content-Type": "application/json"}, body: "{}"}));
  await attempt("delete", read("/v1/clients/x", {method: "DELETE"}));
  await attempt("pair", read("/v1/pair", {mode: "no-cors", method: "POST", body: pair}));
  await attempt("pair json", read("/v1/pair", {method: "POST", headers: {"Content-Type": "application/json"}, body: pair}));
  await attempt("proof", read("/v1/health?secret=0123456789abcdef&nonce=0123456789abcdef"));
  await attempt("form data", () => { const form = new FormData(); form.append("file", new Blob(["x"]), "x.png");
    return read("/v1/uploads", {mode: "no-cors", method: "POST", body: form})(); });
  await attempt("beacon", async () => String(navigator.sendBeacon(bridge + "/v1/jobs", job)));
  await attempt("image", () => new Promise((done) => { const image = new Image();
    image.onload = () => done("loaded"); image.onerror = () => done("failed"); image.src = bridge + "/v1/log"; }));
  await attempt("script", () => new Promise((done) => { const script = document.createElement("script");
    script.onload = () => done("loaded"); script.onerror = () => done("failed");
    script.src = bridge + "/openapi.json"; document.head.append(script); }));
  await attempt("socket", () => new Promise((done) => {
    const socket = new WebSocket(bridge.replace("http", "ws") + "/v1/events");
    socket.onopen = () => done("open"); socket.onerror = () => done("failed"); }));
  await attempt("event source", () => new Promise((done) => { const source = new EventSource(bridge + "/v1/events");
    source.onmessage = () => done("message"); source.onerror = () => { source.close(); done("failed"); }; }));
  await attempt("frame", () => new Promise((done) => { const frame = document.createElement("iframe");
    frame.onload = () => { try { done("read " + frame.contentDocument.body.innerText.slice(0, 200)); }
      catch (error) { done("blocked: " + error.name); } };
    frame.src = bridge + "/"; document.body.append(frame); }));
  await attempt("posted form", () => new Promise((done) => {
    const frame = document.createElement("iframe"); frame.name = "hole"; document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {action: bridge + "/v1/jobs", method: "post", enctype: "text/plain", target: "hole"});
    const input = document.createElement("input"); input.name = job.slice(0, -1) + ', "name": "'; input.value = '"}';
    form.append(input); document.body.append(form); frame.onload = () => done("sent"); form.submit(); }));
  return told;
}
