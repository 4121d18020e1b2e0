"""Two engines joined in memory, and one that a hand-written peer can be rude to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

    Pump = Callable[[], None]
    Links = tuple[amqp.SenderLink, amqp.ReceiverLink]

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"


@pytest.fixture
def client() -> amqp.Connection:
    return amqp.Connection(container_id="client", hostname="hub.example")


@pytest.fixture
def server() -> amqp.Connection:
    return amqp.Connection(container_id="server", server=True)


@pytest.fixture
def client_events() -> list[amqp.Event]:
    """What the client's engine has told since the test cleared the list."""
    return []


@pytest.fixture
def server_events() -> list[amqp.Event]:
    """What the server's engine has told since the test cleared the list."""
    return []


@pytest.fixture
def pump(
    client: amqp.Connection,
    server: amqp.Connection,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
) -> Pump:
    """Moves bytes both ways, cut anywhere, until there are none; the server answers OPEN."""
    cuts = random.Random(7)

    def move(source: amqp.Connection, target: amqp.Connection, events: list[amqp.Event]) -> bool:
        data = source.data_to_send()
        position = 0
        while position < len(data):
            size = cuts.randint(1, 40)
            for event in target.receive_data(data[position : position + size]):
                events.append(event)
                if isinstance(event, amqp.Opened):
                    event.connection.open()
            position += size
        return bool(data)

    def until_quiet() -> None:
        client.open()
        while move(client, server, server_events) | move(server, client, client_events):
            pass

    return until_quiet


@pytest.fixture
def session(client: amqp.Connection, pump: Pump) -> amqp.Session:
    """The client's end of a session."""
    client.open()
    session = client.begin()
    pump()
    return session


@pytest.fixture
def upstream(session: amqp.Session, pump: Pump, server_events: list[amqp.Event]) -> Links:
    """A link from the client to the server, with a credit of 10."""
    sender = session.attach_sender("up", source=amqp.Source("here"), target=amqp.Target("there"))
    pump()
    requested = server_events[-1]
    assert isinstance(requested, amqp.LinkRequested)
    receiver = requested.link
    assert isinstance(receiver, amqp.ReceiverLink)
    receiver.accept(source=amqp.Source("here"), target=amqp.Target("there"))
    receiver.flow(10)
    pump()
    server_events.clear()
    return sender, receiver


@pytest.fixture
def downstream(session: amqp.Session, pump: Pump, server_events: list[amqp.Event]) -> Links:
    """A link from the server to the client, with a credit of 10."""
    receiver = session.attach_receiver("down", source=amqp.Source("there"), target=amqp.Target("here"))
    pump()
    requested = next(event for event in server_events if isinstance(event, amqp.LinkRequested))
    sender = requested.link
    assert isinstance(sender, amqp.SenderLink)
    sender.accept(source=amqp.Source("there"), target=amqp.Target("here"))
    receiver.flow(10)
    pump()
    server_events.clear()
    return sender, receiver


@pytest.fixture
def rude(server: amqp.Connection) -> amqp.Connection:
    """A server whose peer is written by hand: it has sent header, OPEN and BEGIN, and attached nothing."""
    server.receive_data(AMQP_HEADER + amqp.encode_frame(0, amqp.Open("rude")))
    server.open()
    server.receive_data(amqp.encode_frame(0, amqp.Begin(None, 0, 100, 100)))
    server.data_to_send()
    return server


@pytest.fixture
def rude_receiver(rude: amqp.Connection) -> amqp.ReceiverLink:
    """The end of a link on which the rude peer sends on its handle 0, with a credit of 2."""
    attach = amqp.Attach("in", 0, False, source=amqp.Source("s"), target=amqp.Target("t"), initial_delivery_count=0)
    (requested,) = rude.receive_data(amqp.encode_frame(0, attach))
    assert isinstance(requested, amqp.LinkRequested)
    link = requested.link
    assert isinstance(link, amqp.ReceiverLink)
    link.accept(source=amqp.Source("s"), target=amqp.Target("t"), max_message_size=1000)
    link.flow(2)
    rude.data_to_send()
    return link


@pytest.fixture
def rude_sender(rude: amqp.Connection) -> amqp.SenderLink:
    """The end of a link on which the rude peer receives on its handle 1, with a credit of 1000."""
    attach = amqp.Attach("out", 1, True, source=amqp.Source("s"), target=amqp.Target("t"))
    (requested,) = rude.receive_data(amqp.encode_frame(0, attach))
    assert isinstance(requested, amqp.LinkRequested)
    link = requested.link
    assert isinstance(link, amqp.SenderLink)
    link.accept(source=amqp.Source("s"), target=amqp.Target("t"))
    flow = amqp.Flow(0, 5000, 0, 100, handle=1, delivery_count=0, link_credit=1000)
    rude.receive_data(amqp.encode_frame(0, flow))
    rude.data_to_send()
    return link
