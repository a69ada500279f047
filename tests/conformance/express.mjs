// @azure/web-pubsub-express, unchanged, as the event handler of `squall hub`. Prints one line a check; exits
// 1 if one fails. Starts the hub by itself, since its settings name the handler's port.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";
import WebSocket from "ws";

const squall = process.env.SQUALL_BINARY;
const folder = mkdtempSync(join(tmpdir(), "squall-express-"));
let failures = 0;
const check = (what, ok, detail = "") => {
  console.log(`${ok ? "ok  " : "FAIL"} ${what}${ok ? "" : ` ${detail}`}`);
  if (!ok) failures += 1;
};
const within = (promise, what, milliseconds = 10000) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`timed out: ${what}`)), milliseconds)),
  ]);
const next = (client, event) => new Promise((resolve) => client.on(event, resolve));
async function until(what, found) {
  return within((async () => {
    for (;;) {
      const value = found();
      if (value) return value;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })(), what);
}

// The application: every hub of it notes what it was asked, by hub.
const seen = [];
const heard = (hub, event) => seen.filter((one) => one.hub === hub && one.event === event);
const note = (hub, event, request) => {
  const { context, ...rest } = request;
  seen.push({ ...context, hub, event, rest, states: { ...context.states } });
};
const application = (hub, options = {}) => new WebPubSubEventHandler(hub, {
  handleConnect(request, response) {
    note(hub, "connect", request);
    if (request.query.refuse) {
      response.fail(401, "not you");
      return;
    }
    response.setState("visits", 1);
    response.success({ userId: `${request.context.userId}-of-express`, groups: ["everybody"] });
  },
  onConnected(request) { note(hub, "connected", request); },
  handleUserEvent(request, response) {
    note(hub, request.context.eventName, request);
    if (request.data === "fail") {
      response.fail(500, "broken");
      return;
    }
    response.setState("visits", (request.context.states.visits ?? 0) + 1);
    response.success(request.dataType === "json" ? JSON.stringify({ echo: request.data }) : `echo ${request.data}`,
      request.dataType);
  },
  onDisconnected(request) { note(hub, "disconnected", request); },
  ...options,
});

const app = express();
app.use((request, _response, go) => {
  if (request.method !== "POST") seen.push({ hub: request.path, event: request.method, headers: request.headers });
  go();
});
app.use(application("chat").getMiddleware());
// Another hub's handler at a path that the settings send this one's events to.
app.use(application("right", { path: "/api/webpubsub/hubs/mistaken/" }).getMiddleware());
const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const upstream = `http://127.0.0.1:${server.address().port}`;

const config = join(folder, "hub.toml");
writeFileSync(config, `profile = "real"
[[event_handlers]]
url = "${upstream}/api/webpubsub/hubs/{hub}/{event}"
user_events = "*"
system_events = ["connect", "connected", "disconnected"]
[webhooks]
retry_after = []
`);
const hub = spawn(squall, ["hub", "--listen", "127.0.0.1:0", "--config", config],
  { stdio: ["ignore", "pipe", "ignore"] });
const [connectionString] = await within(once(createInterface({ input: hub.stdout }), "line"), "the hub's first line");
const endpoint = connectionString.match(/Endpoint=([^;]+)/)[1].replace(/\/$/, "");
const key = connectionString.match(/AccessKey=([^;]+)/)[1];

// The hub's resource log, as the troubleshooting guide's reader has it.
const encode = (text) => Buffer.from(text).toString("base64url");
const log = [];
const trace = `${endpoint}/_squall/trace`;
const claims = { aud: trace, exp: Math.floor(Date.now() / 1000) + 600 };
const signed = `${encode('{"alg":"HS256","typ":"JWT"}')}.${encode(JSON.stringify(claims))}`;
const token = `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
const readLog = async () => {
  const answer = await fetch(trace, { headers: { authorization: `Bearer ${token}` } });
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    log.push(...lines.map((line) => JSON.parse(line)));
  }
};
readLog().catch(() => {}); // It ends with the hub.
const logged = (hubName, eventName) => until(`${eventName} of ${hubName} in the log`, () =>
  log.find(({ properties }) => properties.hub === hubName && properties.eventName === eventName));

const services = {};
const url = async (hubName, userId, query = "") => {
  services[hubName] ??= new WebPubSubServiceClient(connectionString, hubName, { allowInsecureConnection: true });
  return (await services[hubName].getClientAccessToken({ userId })).url + query;
};
async function connect(hubName, userId) {
  const client = new WebPubSubClient(
    { getClientAccessUrl: () => url(hubName, userId) },
    { protocol: WebPubSubJsonProtocol(), autoReconnect: false },
  );
  const connected = next(client, "connected");
  await within(client.start(), "start");
  return { client, ...(await within(connected, "connected frame")) };
}
async function attempt(hubName, query = "") {
  const socket = new WebSocket(await url(hubName, "nobody", query));
  return within(new Promise((resolve) => {
    socket.on("open", () => { socket.close(); resolve({ status: 101, body: "" }); });
    socket.on("error", () => {});
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (part) => { body += part; });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
  }), "an answer to the handshake");
}

try {
  const alice = await connect("chat", "alice");
  check("validation without allowedEndpoints lets events through", heard("/api/webpubsub/hubs/chat/validate",
    "OPTIONS").length === 1, JSON.stringify(seen));
  const [begun] = heard("chat", "connect");
  check("connect: the handler is told of user, hub and connection", begun?.userId === "alice"
    && begun.connectionId === alice.connectionId, JSON.stringify(begun));
  check("connect: the handler's user holds", alice.userId === "alice-of-express", alice.userId);
  check("connect: the handler's groups hold", await services.chat.groupExists("everybody"));
  const signature = (secret) =>
    `sha256=${createHmac("sha256", secret).update(alice.connectionId).digest("hex")}`;
  check("connect: signed with the access key", begun.signature?.split(",").includes(signature(key)));
  const connected = await until("connected", () => heard("chat", "connected")[0]);
  check("connected arrives with the state", connected.connectionId === alice.connectionId
    && connected.states.visits === 1, JSON.stringify(connected));

  const answered = next(alice.client, "server-message");
  await within(alice.client.sendEvent("greet", "hello", "text"), "ack of the event");
  const { message: reply } = await within(answered, "the handler's answer");
  check("user event: text comes back", reply.data === "echo hello" && reply.dataType === "text",
    JSON.stringify(reply));
  const [greeted] = heard("chat", "greet");
  check("user event: carries the state of connect", greeted.states.visits === 1, JSON.stringify(greeted));
  const inJson = next(alice.client, "server-message");
  await within(alice.client.sendEvent("count", { n: 1 }, "json"), "ack of the event");
  check("user event: json comes back", (await within(inJson, "answer")).message.data.echo?.n === 1);
  check("user event: the state set before is replayed", heard("chat", "count")[0].states.visits === 2);

  const simple = new WebSocket(await url("chat", "simple"));
  await within(once(simple, "open"), "open");
  simple.send("raw");
  const [frame] = await within(once(simple, "message"), "answer");
  check("user event: a frame of a simple client is `message`", frame.toString() === "echo raw"
    && heard("chat", "message").length === 1);
  const closed = once(simple, "close");
  simple.send("fail");
  const [code] = await within(closed, "close");
  check("user event: a failure closes a simple client with 1011", code === 1011, String(code));
  const failed = await logged("chat", "HttpHandlerUnexpectedResponse");
  check("user event: the log names hub, event and status", failed.properties.message.includes(
    "hub:chat,event:message,type:user,category:messages") && failed.properties.message.includes("status code 500."),
    failed.properties.message);

  alice.client.stop();
  const gone = await until("disconnected", () =>
    heard("chat", "disconnected").find((one) => one.connectionId === alice.connectionId));
  check("disconnected arrives with the state and a reason", gone.states.visits === 3
    && typeof gone.rest.reason === "string", JSON.stringify(gone));

  const refused = await attempt("chat", "&refuse=yes");
  check("rejection: res.fail(401) is the handshake's status and text", refused.status === 401
    && refused.body === "not you", JSON.stringify(refused));
  const clients = heard("chat", "connected").length;
  check("rejection: neither connected nor disconnected follows", clients === 2, String(clients));

  // Mounted once the hub's port is known: `allowedEndpoints` is compared with the port.
  app.use(application("allowed", { allowedEndpoints: ["https://else.example", endpoint] }).getMiddleware());
  app.use(application("strict", { allowedEndpoints: ["https://else.example"] }).getMiddleware());
  const bob = await connect("allowed", "bob");
  check("validation with the hub in allowedEndpoints lets events through", bob.userId === "bob-of-express");
  bob.client.stop();
  const stranger = await attempt("strict");
  const missing = await logged("strict", "AbuseProtectionResponseMissingAllowedOrigin");
  check("validation without the hub in allowedEndpoints refuses the client", stranger.status === 500,
    JSON.stringify(stranger));
  check("validation without the hub in allowedEndpoints is told in the guide's words",
    missing.properties.message.startsWith(`Abuse protection for '${upstream}/api/webpubsub/hubs/strict/validate'`
    + " missing allowed origins: "), missing.properties.message);
  check("validation without the hub in allowedEndpoints sends no event", heard("strict", "connect").length === 0);

  const lost = await attempt("nowhere");
  const notFound = await logged("nowhere", "AbuseProtectionResponseInvalidStatusCode");
  check("wrong path: 404 to the validation", lost.status === 500 && notFound.properties.message
    === `Abuse protection for '${upstream}/api/webpubsub/hubs/nowhere/validate' failed: 404.`,
    notFound.properties.message);
  check("wrong path: OPTIONS, then GET", ["OPTIONS", "GET"].every((method) =>
    heard("/api/webpubsub/hubs/nowhere/validate", method).length === 1));

  const mistaken = await attempt("mistaken");
  const unexpected = await logged("mistaken", "HttpHandlerUnexpectedResponse");
  check("wrong hub: validated, then 404 to the event", mistaken.status === 404
    && heard("/api/webpubsub/hubs/mistaken/validate", "OPTIONS").length === 1, JSON.stringify(mistaken));
  check("wrong hub: told in the guide's words", unexpected.properties.message === "Sending message during operation "
    + "hub:mistaken,event:connect,type:sys,category:connections,requestType:Connect got unexpected response with "
    + "status code 404.", unexpected.properties.message);

  // As somebody checks their own handler, and as somebody does whose path is wrong.
  const asked = async (path) => {
    const line = ["upstream", "check", `${upstream}${path}`, "--hub", "chat", "--for", "1s"];
    const child = spawn(squall, line, {
      env: { ...process.env, SQUALL_CONNECTION_STRING: connectionString },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let told = "";
    child.stdout.on("data", (part) => { told += part; });
    const [code] = await within(once(child, "close"), "squall upstream check", 30000);
    return { code, told };
  };
  const checked = await asked("/api/webpubsub/hubs/{hub}/{event}");
  check("squall upstream check passes", checked.code === 0, checked.told);
  const elsewhere = await asked("/api/nothing/{event}");
  check("squall upstream check of a wrong path fails", elsewhere.code === 99, elsewhere.told);
} catch (error) {
  check("the script runs to its end", false, error.stack);
}
hub.kill("SIGINT");
const [exit] = await within(once(hub, "exit"), "the hub's end");
check("the hub ends with 0 on interrupt", exit === 0, String(exit));
server.close();
rmSync(folder, { recursive: true });
console.log(failures === 0 ? "express: passed" : `express: ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
