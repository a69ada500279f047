// @azure/web-pubsub-client, unchanged, against `squall hub`. Prints one line a check; exits 1 if one fails.
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";

const service = new WebPubSubServiceClient(process.env.SQUALL_CONNECTION_STRING, "Conformance", {
  allowInsecureConnection: true,
});
let failures = 0;
const check = (what, ok, detail = "") => {
  console.log(`${ok ? "ok  " : "FAIL"} ${what}${ok ? "" : ` ${detail}`}`);
  if (!ok) failures += 1;
};
const within = (promise, what, milliseconds = 5000) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`timed out: ${what}`)), milliseconds)),
  ]);
const once = (client, event) => new Promise((resolve) => client.on(event, resolve));

async function connect(userId, roles) {
  const client = new WebPubSubClient(
    { getClientAccessUrl: async () => (await service.getClientAccessToken({ userId, roles })).url },
    { protocol: WebPubSubJsonProtocol(), autoReconnect: false },
  );
  const connected = once(client, "connected");
  await within(client.start(), "start");
  const { connectionId } = await within(connected, "connected frame");
  return { client, connectionId };
}

try {
  const roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
  const alice = await connect("alice", roles);
  const bob = await connect("bob", roles);
  check("connected with an id", alice.connectionId.length > 0 && alice.connectionId !== bob.connectionId);

  await within(alice.client.joinGroup("room"), "join ack");
  await within(bob.client.joinGroup("room"), "join ack");
  check("group exists by REST", await service.groupExists("room"));
  check("connection exists by REST", await service.connectionExists(bob.connectionId));
  check("no such connection", !(await service.connectionExists("nobody")));

  const heard = once(bob.client, "group-message");
  const sent = await within(alice.client.sendToGroup("room", "hello", "text"), "publish ack");
  check("publish is acknowledged once", sent.isDuplicated === false);
  const { message } = await within(heard, "group message");
  check("text arrives", message.data === "hello" && message.fromUserId === "alice" && message.group === "room",
    JSON.stringify(message));

  const json = once(bob.client, "group-message");
  await within(alice.client.sendToGroup("room", { n: 1 }, "json", { noEcho: true }), "publish ack");
  check("json arrives", (await within(json, "json")).message.data.n === 1);

  const bytes = once(bob.client, "group-message");
  await within(alice.client.sendToGroup("room", new Uint8Array([1, 2, 3]).buffer, "binary"), "publish ack");
  const binary = (await within(bytes, "binary")).message.data;
  check("binary arrives", Buffer.from(binary).equals(Buffer.from([1, 2, 3])));

  const again = await within(
    alice.client.sendToGroup("room", "again", "text", { ackId: sent.ackId }), "duplicate ack");
  check("a used ackId is a duplicate", again.isDuplicated === true);

  const fromServer = once(bob.client, "server-message");
  await service.sendToUser("bob", { hello: "bob" });
  check("REST to user arrives", (await within(fromServer, "server message")).message.data.hello === "bob");

  const mute = await connect("mute", []);
  const refusal = await mute.client.joinGroup("room").then(() => null, (error) => error);
  check("joining without the role is Forbidden", refusal?.errorDetail?.name === "Forbidden", String(refusal));

  const gone = once(bob.client, "disconnected");
  await service.closeConnection(bob.connectionId, { reason: "conformance" });
  const { message: farewell } = await within(gone, "disconnected");
  check("REST close tells its reason", farewell?.message === "conformance", JSON.stringify(farewell));
  check("the closed connection is gone", !(await service.connectionExists(bob.connectionId)));

  alice.client.stop();
  mute.client.stop();
} catch (error) {
  check("the script runs to its end", false, error.stack);
}
console.log(failures === 0 ? "javascript: passed" : `javascript: ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
