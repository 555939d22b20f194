// What a hostile page tries. Evaluated in a page; `target` is the bridge's address as that page knows it.
// Returns what the page learnt: an entry for each answer that it could read, and how often it tried.
async ({target, operations, token}) => {
  const learnt = [];
  let tried = 0;
  const read = (how, what) => learnt.push({how, ...what});

  async function fetched(how, url, options) {
    tried += 1;
    try {
      const answer = await fetch(url, {...options, signal: AbortSignal.timeout(10000)});
      if (answer.type !== "opaque") read(how, {url, status: answer.status, body: await answer.text()});
    } catch {
      // Blocked by the browser, or refused without leave to read: nothing is learnt.
    }
  }

  const asked = [];
  const bearer = {Authorization: `Bearer ${token}`};
  for (const {method, path} of operations) {
    const url = target + path;
    const body = method === "GET" ? undefined : '{"parameters": {}}';
    asked.push(fetched("fetch", url, {method, body, headers: {...bearer, "Content-Type": "application/json"}}));
    asked.push(fetched("no token", url, {method, body, credentials: "include"}));
    if (method === "GET" || method === "POST") {
      for (const kind of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        const headers = {"Content-Type": kind};
        asked.push(fetched("no-cors", url, {method, body, mode: "no-cors", headers, credentials: "include"}));
      }
    }
    if (method === "POST") {
      tried += 1;
      navigator.sendBeacon(url, new Blob(["{}"], {type: "text/plain"}));
    }
  }

  await Promise.all(asked);

  const loads = (element, url) => new Promise((told) => {
    tried += 1;
    element.onload = () => told(true);
    element.onerror = () => told(false);
    setTimeout(() => told(false), 5000);
    element[element.tagName === "LINK" ? "href" : "src"] = url;
    if (element.tagName === "LINK") element.rel = "stylesheet";
    document.body.append(element);
  });
  for (const path of ["/", "/v1/health", "/v1/ready", "/openapi.json", "/v1/pair/code"]) {
    for (const name of ["img", "script", "link", "video"]) {
      if (await loads(document.createElement(name), target + path)) read(name, {url: target + path});
    }
    const frame = document.createElement("iframe");
    await loads(frame, target + path);
    try {
      const text = frame.contentDocument.documentElement.textContent;
      if (text) read("iframe", {url: target + path, body: text});
    } catch {
      // Another origin's document.
    }
  }

  for (const {method, path} of operations) {
    if (method !== "POST") continue;
    for (const enctype of ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]) {
      const form = Object.assign(document.createElement("form"), {method, action: target + path, enctype});
      const frame = Object.assign(document.createElement("iframe"), {name: `f${tried}`});
      const field = Object.assign(document.createElement("input"), {name: '{"x":"', value: '"}'});
      form.target = frame.name;
      form.append(field);
      document.body.append(frame, form);
      tried += 1;
      form.submit();
    }
  }

  tried += 1;
  await new Promise((told) => {
    const socket = new WebSocket(target.replace("http", "ws") + "/v1/events");
    socket.onopen = () => { read("WebSocket", {body: "opened"}); socket.send(JSON.stringify({token, since: 0})); };
    socket.onmessage = (event) => { read("WebSocket", {body: event.data}); told(); };
    socket.onclose = told;
    setTimeout(told, 5000);
  });
  return {learnt, tried};
}
