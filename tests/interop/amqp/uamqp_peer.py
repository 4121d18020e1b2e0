"""A uamqp client that does what the lines of its input say, and tells what it sees, a JSON array a line."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from typing import Any

try:
    import uamqp
    from uamqp import address, authentication, constants, errors, types
    from uamqp.message import Message, MessageProperties
    from uamqp.receiver import MessageReceiver
    from uamqp.sender import MessageSender
except ImportError:
    sys.exit("uamqp is missing: pip install uamqp")

PAUSE = 0.005
"""Seconds between two turns: uamqp has to be polled."""


def say(*what: object) -> None:
    print(json.dumps(what), flush=True)


def text(value: Any) -> Any:
    """Turn the bytes and enums that uamqp gives for strings into strings."""
    if isinstance(value, dict):
        return {text(key): text(item) for key, item in value.items()}
    value = getattr(value, "value", value)
    return value.decode() if isinstance(value, bytes) else value


def as_bytes(error: list[str]) -> list[bytes]:
    return [word.encode() for word in error]


def error_of(error: Any) -> list[Any]:
    return [text(error.condition), text(error.description)]


def outcome_of(fields: list[Any]) -> list[Any]:
    """Tell the outcomes other than accepted by their fields, which are all that uamqp gives."""
    if not fields:
        return ["released"]
    if isinstance(fields[0], list):
        return ["rejected", *(text(field) for field in fields[0])]
    return ["modified", *(text(field) for field in fields)]


class Peer:
    def __init__(self) -> None:
        self.connection: Any = None
        self.session: Any = None
        self.links: dict[str, Any] = {}
        self.attached: set[str] = set()
        self.messages: dict[tuple[str, str], Any] = {}

    def do_connect(self, port: int, **options: Any) -> None:
        verified = {"port": port, "verify": os.environ["CA_FILE"]}
        if options["mechanism"] == "PLAIN":
            auth = authentication.SASLPlain("localhost", options["username"], options["password"], **verified)
        else:
            auth = authentication.SASLAnonymous("localhost", **verified)
        self.connection = uamqp.Connection(
            "hub.example",
            auth,
            container_id="stranger",
            max_frame_size=options["max_frame_size"],
            idle_timeout=int(options["silence"] * 500),
        )
        # A session that begins later than the connection opens never gets out.
        self.session = uamqp.Session(self.connection, incoming_window=8, outgoing_window=8)
        self.session._session.begin()

    def do_attach(self, link: str, role: str, **_: Any) -> None:
        if role == "sender":
            made = MessageSender(self.session, "from", address.Target("to"), name=link)
        else:
            made = MessageReceiver(
                self.session,
                address.Source("from"),
                "to",
                lambda message: self.on_message(link, message),
                name=link,
                prefetch=0,
            )
        self.links[link] = made
        made.open()

    def do_credit(self, link: str, credit: int) -> None:
        self.links[link].reset_link_credit(credit)

    def do_drain(self, link: str, credit: int) -> None:
        self.links[link].reset_link_credit(credit, drain=True)

    def do_send(self, link: str, tag: str, body: str, settled: bool) -> None:
        message = Message(
            body.encode(), properties=MessageProperties(message_id=tag), application_properties={"number": 7}
        )
        self.messages[link, tag] = message  # uamqp itself keeps no reference to it
        self.links[link].send(
            message, lambda _, result, delivery_state: self.on_sent(link, tag, result, delivery_state)
        )

    def on_sent(self, link: str, tag: str, result: int, state: Any) -> None:
        accepted = result == constants.MessageSendResult.Ok.value
        say("outcome", link, tag, ["accepted"] if accepted else outcome_of(state))
        say("settled", link, tag)

    def on_message(self, link: str, message: Any) -> None:
        tag = text(message.delivery_tag)
        self.messages[link, tag] = message
        body = b"".join(message.get_data()).decode()
        properties = text(message.application_properties)
        say("message", link, tag, text(message.properties.message_id), properties, body, message.settled)

    def do_settle(self, link: str, tag: str, outcome: list[Any]) -> None:
        message = self.messages[link, tag]
        state, *details = outcome
        if state == "modified":
            failed, undeliverable, annotations = details
            symbols = {types.AMQPSymbol(key): value for key, value in annotations.items()}
            message.modify(failed, undeliverable, symbols)
        else:
            {"accepted": message.accept, "rejected": message.reject, "released": message.release}[state](*details)

    def do_detach(self, link: str) -> None:
        self.links.pop(link).destroy()

    def do_end(self, error: list[str]) -> None:
        self.session._session.end(*as_bytes(error))

    def do_close(self, error: list[str]) -> None:
        self.connection._conn.close(*as_bytes(error))

    def work(self) -> None:
        if self.connection is None:
            return
        try:
            self.connection.work()
        except errors.AMQPConnectionError as error:
            say("closed", error_of(error))
            self.connection = None
            return
        for name, link in list(self.links.items()):
            self.work_on(name, link)

    def work_on(self, name: str, link: Any) -> None:
        if link._state.name == "Open" and name not in self.attached:
            self.attached.add(name)
            say("attached", name, "from", "to")
        if link._error is not None:
            say("detached", name, error_of(link._error))
            del self.links[name]


def listen(orders: queue.Queue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)


def main() -> None:
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=listen, args=(orders,), daemon=True).start()
    peer = Peer()
    say("ready")
    while True:
        while not orders.empty():
            order = json.loads(orders.get())
            getattr(peer, f"do_{order.pop('do')}")(**order)
        peer.work()
        time.sleep(PAUSE)


main()
