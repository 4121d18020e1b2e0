"""A Qpid Proton container that does what the lines of its input say, and tells what it sees, a JSON array a line."""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any

try:
    from proton import Condition, Delivery, Endpoint, Message, Terminus, symbol
    from proton.reactor import ApplicationEvent, Container, EventInjector
except ImportError:
    sys.exit("Qpid Proton is missing: pip install python-qpid-proton")

STATES = {
    "accepted": Delivery.ACCEPTED,
    "rejected": Delivery.REJECTED,
    "released": Delivery.RELEASED,
    "modified": Delivery.MODIFIED,
}
WINDOW = 8
"""How many frames the other end may send ahead."""


def say(*what: object) -> None:
    print(json.dumps(what), flush=True)


def error_of(condition: Any) -> list[str | None] | None:
    return None if condition is None else [condition.name, condition.description]


def fail(endpoint: Any, error: list[str] | None) -> None:
    if error is not None:
        endpoint.condition = Condition(*error)


def outcome_of(delivery: Any) -> list[object]:
    state = delivery.remote_state.name.lower()
    remote = delivery.remote
    if state == "rejected":
        return [state, *(error_of(remote.condition) or [])]
    if state == "modified":
        return [state, remote.failed, remote.undeliverable, remote.annotations]
    return [state]


def update(delivery: Any, state: str, *details: Any) -> None:
    if state == "rejected":
        delivery.local.condition = Condition(*details)
    elif state == "modified":
        delivery.local.failed, delivery.local.undeliverable, annotations = details
        delivery.local.annotations = {symbol(key): value for key, value in annotations.items()}
    delivery.update(STATES[state])


class Orders:
    """What the peer can be told; it is one end of one connection."""

    def __init__(self) -> None:
        self.container: Any = None
        self.connection: Any = None
        self.transport: Any = None
        self.options: dict[str, Any] = {}
        self.refusal: list[str] | None = None
        self.sessions: dict[str, Any] = {}
        self.links: dict[str, Any] = {}
        self.deliveries: dict[tuple[str, str], Any] = {}

    def on_told(self, event: Any) -> None:
        order: dict[str, Any] = event.subject
        getattr(self, f"do_{order.pop('do')}")(**order)

    def do_listen(self, **options: Any) -> None:
        self.options = options
        acceptor = self.container.listen("127.0.0.1:0")
        say("listening", acceptor._selectable._delegate.getsockname()[1])

    def do_connect(self, port: int, **options: Any) -> None:
        self.options = options
        self.container.connect(
            f"amqp://127.0.0.1:{port}",
            reconnect=False,
            virtual_host="hub.example",
            sasl_enabled=options["mechanism"] is not None,
            allowed_mechs=options["mechanism"],
            user=options["username"],
            password=options["password"],
        )

    def do_refuse(self, error: list[str]) -> None:
        self.refusal = error
        say("refusing")

    def do_attach(self, link: str, role: str, session: str, settle: str) -> None:
        if session not in self.sessions:
            self.sessions[session] = self.connection.session()
            self.open_session(self.sessions[session])
        made = getattr(self.sessions[session], role)(link)
        made.source.address, made.target.address = "from", "to"
        if settle == "second":
            made.rcv_settle_mode = made.RCV_SECOND
        made.open()
        self.links[link] = made

    def open_session(self, session: Any) -> None:
        session.incoming_capacity = WINDOW * self.options["max_frame_size"]
        session.open()

    def do_credit(self, link: str, credit: int) -> None:
        self.links[link].flow(credit)

    def do_drain(self, link: str) -> None:
        self.links[link].drain(0)

    def do_drained(self, link: str) -> None:
        self.links[link].drained()

    def do_send(self, link: str, tag: str, body: str, settled: bool = False) -> None:
        message = Message(body.encode(), id=tag, properties={"number": 7}, inferred=True)
        delivery = self.links[link].delivery(tag)
        self.deliveries[link, tag] = delivery
        self.links[link].stream(message.encode())
        self.links[link].advance()
        if settled:
            delivery.settle()

    def do_settle(self, link: str, tag: str, outcome: list[Any] | None = None, settled: bool = True) -> None:
        delivery = self.deliveries[link, tag]
        if outcome is not None:
            update(delivery, *outcome)
        if settled:
            delivery.settle()

    def do_detach(self, link: str, error: list[str] | None = None, closed: bool = True) -> None:
        fail(self.links[link], error)
        if closed:
            self.links[link].close()
        else:
            self.links[link].detach()

    def do_end(self, link: str, error: list[str] | None = None) -> None:
        session = self.links[link].session
        fail(session, error)
        session.close()

    def do_close(self, error: list[str] | None = None) -> None:
        fail(self.connection, error)
        self.connection.close()

    def do_drop(self) -> None:
        self.transport._selectable._delegate.shutdown(socket.SHUT_RDWR)


class Peer(Orders):
    """What the peer sees."""

    def __init__(self) -> None:
        super().__init__()
        self.credit: dict[str, tuple[int, bool]] = {}
        self.outcomes: dict[tuple[str, str], list[object]] = {}
        self.payload = b""

    def on_reactor_init(self, event: Any) -> None:
        self.container = event.container
        self.container.container_id = "stranger"
        injector = EventInjector()
        self.container.selectable(injector)
        threading.Thread(target=listen, args=(injector,), daemon=True).start()
        say("ready")

    def on_connection_bound(self, event: Any) -> None:
        self.connection, self.transport = event.connection, event.transport
        self.transport.max_frame_size = self.options["max_frame_size"]
        self.transport.idle_timeout = self.options["silence"]

    def on_connection_remote_open(self, event: Any) -> None:
        opened, transport = event.connection, event.transport
        if opened.state & Endpoint.LOCAL_UNINIT:
            opened.container = "stranger"
            opened.open()
        idle = round(transport.remote_idle_timeout * 1000) or None
        say("opened", opened.remote_container, opened.remote_hostname, transport.remote_max_frame_size, idle)

    def on_session_remote_open(self, event: Any) -> None:
        if event.session.state & Endpoint.LOCAL_UNINIT:
            self.open_session(event.session)

    def on_link_remote_open(self, event: Any) -> None:
        link = event.link
        if link.state & Endpoint.LOCAL_UNINIT:
            self.links[link.name] = link
            self.answer(link)
        say("attached", link.name, link.remote_source.address, link.remote_target.address)

    def answer(self, link: Any) -> None:
        if self.refusal is not None:
            link.source.type = link.target.type = Terminus.UNSPECIFIED
            link.open()
            self.do_detach(link.name, self.refusal)
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        link.open()

    def on_link_flow(self, event: Any) -> None:
        link = event.link
        if link.is_sender:
            credit, drain = self.credit.get(link.name, (0, False))
            self.credit[link.name] = (link.credit, link.drain_mode)
            # The event also tells that a message has used credit up.
            if link.credit > credit or link.drain_mode is not drain:
                say("credit", link.name, link.credit, link.drain_mode)
        elif link.is_receiver and link.drained():
            say("drained", link.name)

    def on_delivery(self, event: Any) -> None:
        delivery = event.delivery
        if delivery.link.is_sender:
            self.on_outcome(delivery)
        elif delivery.readable:
            self.on_frame(delivery)
            return
        if delivery.updated and delivery.settled and delivery.remote_state:
            say("settled", delivery.link.name, delivery.tag)

    def on_frame(self, delivery: Any) -> None:
        self.payload += delivery.link.recv(delivery.pending)
        if not delivery.partial:
            self.on_message(delivery)
            self.payload = b""

    def on_message(self, delivery: Any) -> None:
        link = delivery.link
        link.advance()
        self.deliveries[link.name, delivery.tag] = delivery
        message = Message()
        message.decode(self.payload)
        body = bytes(message.body).decode()
        say("message", link.name, delivery.tag, message.id, message.properties, body, delivery.settled)

    def on_outcome(self, delivery: Any) -> None:
        key = (delivery.link.name, delivery.tag)
        if delivery.updated and delivery.remote_state and outcome_of(delivery) != self.outcomes.get(key):
            self.outcomes[key] = outcome_of(delivery)
            say("outcome", *key, self.outcomes[key])

    def on_link_remote_close(self, event: Any) -> None:
        say("detached", event.link.name, error_of(event.link.remote_condition), True)
        event.link.close()

    def on_link_remote_detach(self, event: Any) -> None:
        say("detached", event.link.name, error_of(event.link.remote_condition), False)
        event.link.detach()

    def on_session_remote_close(self, event: Any) -> None:
        say("ended", error_of(event.session.remote_condition))
        event.session.close()

    def on_connection_remote_close(self, event: Any) -> None:
        say("closed", error_of(event.connection.remote_condition))
        event.connection.close()

    def on_transport_error(self, event: Any) -> None:
        say("failed", event.transport.condition.name)

    def on_transport_closed(self, _: Any) -> None:
        say("disconnected")


def listen(injector: Any) -> None:
    for line in sys.stdin:
        injector.trigger(ApplicationEvent("told", subject=json.loads(line)))


Container(Peer()).run()
