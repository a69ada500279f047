"""azure-messaging-webpubsubclient, unchanged, against `squall hub`. Prints one line a check; exits 1 if one fails."""

import os
import queue
import sys

from azure.messaging.webpubsubclient import WebPubSubClient, WebPubSubClientCredential
from azure.messaging.webpubsubclient.models import (
    CallbackType,
    SendMessageError,
    WebPubSubDataType,
    WebPubSubProtocolType,
)
from azure.messaging.webpubsubservice import WebPubSubServiceClient

WAIT_S = 5
ACK_TIMEOUT_S = 2
failures = 0
service = WebPubSubServiceClient.from_connection_string(
    os.environ["SQUALL_CONNECTION_STRING"], hub="Conformance"
)


def check(what, ok, detail=""):
    global failures
    print(f"{'ok  ' if ok else 'FAIL'} {what}{'' if ok else f' {detail}'}")
    failures += 0 if ok else 1


def client(user_id, roles):
    token = lambda: service.get_client_access_token(user_id=user_id, roles=roles)["url"]
    made = WebPubSubClient(
        WebPubSubClientCredential(token),
        protocol_type=WebPubSubProtocolType.JSON,
        reconnect_retry_total=0,
        # The SDK sends first and then starts to wait for the acknowledgement: one that comes back at once, as on
        # loopback, wakes nobody, and the call returns (rightly) only after the time limit. So that limit is short here.
        ack_timeout=ACK_TIMEOUT_S,
        message_retry_total=0,
    )
    seen = {kind: queue.Queue() for kind in (CallbackType.CONNECTED, CallbackType.GROUP_MESSAGE,
                                             CallbackType.SERVER_MESSAGE, CallbackType.DISCONNECTED)}
    for kind, place in seen.items():
        made.subscribe(kind, place.put)
    return made, seen


def main():
    roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]
    alice, _ = client("alice", roles)
    bob, bob_seen = client("bob", roles)
    mute, _ = client("mute", [])
    with alice, bob, mute:
        bob_id = bob_seen[CallbackType.CONNECTED].get(timeout=WAIT_S).connection_id
        check("connected with an id", bool(bob_id))
        alice.join_group("room")
        bob.join_group("room")
        check("group exists by REST", service.group_exists("room"))

        alice.send_to_group("room", "hello", WebPubSubDataType.TEXT)
        heard = bob_seen[CallbackType.GROUP_MESSAGE].get(timeout=WAIT_S)
        check("text arrives", heard.data == "hello" and heard.from_user_id == "alice", vars(heard))

        alice.send_to_group("room", {"n": 1}, WebPubSubDataType.JSON, no_echo=True)
        check("json arrives", bob_seen[CallbackType.GROUP_MESSAGE].get(timeout=WAIT_S).data == {"n": 1})

        service.send_to_all({"hello": "all"}, content_type="application/json")
        told = bob_seen[CallbackType.SERVER_MESSAGE].get(timeout=WAIT_S)
        check("REST to all arrives", told.data == {"hello": "all"}, vars(told))

        try:
            mute.join_group("room")
            check("joining without the role is Forbidden", False, "it was accepted")
        except SendMessageError as error:
            name = error.error_detail.name if error.error_detail else None
            check("joining without the role is Forbidden", name == "Forbidden", error)

        service.close_connection(bob_id, reason="conformance")
        gone = bob_seen[CallbackType.DISCONNECTED].get(timeout=WAIT_S)
        check("REST close tells its reason", gone.message == "conformance", vars(gone))
        check("the closed connection is gone", not service.connection_exists(bob_id))


try:
    main()
except Exception as error:  # a check that cannot be made is a failed check
    check("the script runs to its end", False, repr(error))
print("python: passed" if failures == 0 else f"python: {failures} failed")
sys.exit(0 if failures == 0 else 1)
