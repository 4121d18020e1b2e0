"""Attach, refuse, detach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

    Pump = Callable[[], None]
    Links = tuple[amqp.SenderLink, amqp.ReceiverLink]

HEADER = b"AMQP\x00\x01\x00\x00"
NOT_FOUND = amqp.AmqpError("amqp:not-found", "no such place")


def sent(connection: amqp.Connection) -> list[object]:
    return [frame.performative for frame in amqp.FrameDecoder(1 << 20).feed(connection.data_to_send())]


def test_attach_carries_both_ends(
    client: amqp.Connection,
    session: amqp.Session,
    pump: Pump,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
) -> None:
    source, target = amqp.Source("s", dynamic=True), amqp.Target("t", capabilities=(amqp.Symbol("queue"),))
    ours = session.attach_sender(
        "link",
        source=source,
        target=target,
        snd_settle_mode=amqp.UNSETTLED,
        rcv_settle_mode=amqp.SECOND,
        properties={"p": 1},
        max_message_size=1000,
        initial_delivery_count=7,
    )
    pump()
    requested = server_events[-1]
    assert isinstance(requested, amqp.LinkRequested)
    theirs = requested.link
    assert isinstance(theirs, amqp.ReceiverLink)
    assert (theirs.name, theirs.source, theirs.target, theirs.properties) == ("link", source, target, {"p": 1})
    assert (theirs.snd_settle_mode, theirs.rcv_settle_mode) == (amqp.UNSETTLED, amqp.SECOND)
    assert theirs.remote_max_message_size == 1000
    assert not theirs.attached
    assert not ours.attached

    theirs.accept(source=amqp.Source("s2"), target=amqp.Target("t2"), rcv_settle_mode=amqp.FIRST, properties={"q": 2})
    assert theirs.attached
    pump()
    assert client_events[-1] == amqp.LinkAttached(ours)
    assert ours.attached
    assert (ours.source, ours.target, ours.properties) == (amqp.Source("s2"), amqp.Target("t2"), {"q": 2})
    # What accept leaves out is the peer's wish; what it gives stands, whatever the peer asked for.
    assert (ours.snd_settle_mode, ours.rcv_settle_mode) == (amqp.UNSETTLED, amqp.FIRST)
    assert ours.remote_max_message_size == 1_048_576


def test_no_size_means_no_limit(rude: amqp.Connection) -> None:
    (requested,) = rude.receive_data(amqp.encode_frame(0, amqp.Attach("l", 0, True, max_message_size=amqp.ULong(0))))
    assert isinstance(requested, amqp.LinkRequested)
    assert requested.link.remote_max_message_size is None


def test_refused_link_is_attached_without_our_end_and_detached(
    client: amqp.Connection,
    server: amqp.Connection,
    session: amqp.Session,
    pump: Pump,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
) -> None:
    sender = session.attach_sender("up", source=amqp.Source("s"), target=amqp.Target("t"))
    receiver = session.attach_receiver("down", source=amqp.Source("s"), target=amqp.Target("t"))
    pump()
    client_events.clear()
    for event in server_events:
        if isinstance(event, amqp.LinkRequested):
            event.link.refuse(NOT_FOUND)
    server_events.clear()
    pump()
    assert client_events == [
        amqp.LinkDetached(sender, NOT_FOUND, closed=True),
        amqp.LinkDetached(receiver, NOT_FOUND, closed=True),
    ]
    assert not sender.attached
    assert not receiver.attached
    assert server_events == []
    # Both handles are free again at both ends.
    assert session.attach_sender("up").handle == 0


def test_refusal_on_the_wire(rude: amqp.Connection) -> None:
    attach = amqp.Attach("l", 5, True, source=amqp.Source("s"), target=amqp.Target("t"))
    (requested,) = rude.receive_data(amqp.encode_frame(0, attach))
    assert isinstance(requested, amqp.LinkRequested)
    requested.link.refuse(NOT_FOUND)
    requested.link.refuse(NOT_FOUND)
    attached, detached = sent(rude)
    assert isinstance(attached, amqp.Attach)
    assert (attached.name, attached.role, attached.source, attached.target) == ("l", False, None, None)
    assert detached == amqp.Detach(0, True, NOT_FOUND)


@pytest.mark.parametrize("closed", [True, False])
def test_detach_by_the_peer_is_answered_in_kind(
    client: amqp.Connection,
    server: amqp.Connection,
    upstream: Links,
    pump: Pump,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
    closed: bool,
) -> None:
    sender, receiver = upstream
    delivery_id = sender.send(b"x", tag=b"1")
    pump()
    client_events.clear()
    server_events.clear()
    receiver.detach(NOT_FOUND, closed=closed)
    assert not receiver.attached
    client_events += client.receive_data(server.data_to_send())
    assert client_events == [amqp.LinkDetached(sender, NOT_FOUND, closed)]
    assert not sender.attached
    assert sender.credit == 0
    data = client.data_to_send()
    assert data == amqp.encode_frame(0, amqp.Detach(0, closed))
    assert server.receive_data(data) == [amqp.LinkDetached(receiver, None, closed)]
    # What was unsettled is forgotten.
    receiver.settle(delivery_id, amqp.Accepted())
    sender.settle(delivery_id)
    assert client.data_to_send() == server.data_to_send() == b""


def test_both_detach_at_once(
    upstream: Links, pump: Pump, client_events: list[amqp.Event], server_events: list[amqp.Event]
) -> None:
    sender, receiver = upstream
    client_events.clear()
    sender.detach()
    sender.detach()
    receiver.detach()
    pump()
    assert client_events == [amqp.LinkDetached(sender, None, closed=True)]
    assert server_events == [amqp.LinkDetached(receiver, None, closed=True)]


def test_a_link_that_is_detached_before_it_is_answered(
    rude: amqp.Connection,
) -> None:
    attach = amqp.encode_frame(0, amqp.Attach("l", 0, True, source=amqp.Source("s"), target=amqp.Target("t")))
    requested, detached = rude.receive_data(attach + amqp.encode_frame(0, amqp.Detach(0, True)))
    assert isinstance(requested, amqp.LinkRequested)
    link = requested.link
    assert detached == amqp.LinkDetached(link, None, closed=True)
    assert [type(performative) for performative in sent(rude)] == [amqp.Attach, amqp.Detach]
    link.accept(source=amqp.Source("s"), target=amqp.Target("t"))
    link.refuse(NOT_FOUND)
    link.detach()
    assert not link.attached
    assert rude.data_to_send() == b""


def test_detach_before_the_peer_has_answered_the_attach(
    client: amqp.Connection,
    session: amqp.Session,
    pump: Pump,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
) -> None:
    link = session.attach_receiver("l", source=amqp.Source("s"), target=amqp.Target("t"))
    link.detach()
    client_events.clear()
    pump()
    assert isinstance(server_events[-1], amqp.LinkDetached)
    assert client_events == [amqp.LinkDetached(link, None, closed=True)]


def test_frames_for_a_link_that_we_have_detached_are_discarded(
    client: amqp.Connection, server: amqp.Connection, downstream: Links, client_events: list[amqp.Event]
) -> None:
    sender, receiver = downstream
    receiver.detach()
    sender.send(b"x", tag=b"1")
    sender.send(b"y" * 100_000, tag=b"2")
    assert client.receive_data(server.data_to_send()) == []
    server.receive_data(client.data_to_send())
    assert client.receive_data(server.data_to_send()) == [amqp.LinkDetached(receiver, None, closed=True)]


def test_a_requested_link_may_be_detached(rude: amqp.Connection) -> None:
    (requested,) = rude.receive_data(amqp.encode_frame(0, amqp.Attach("l", 0, False, initial_delivery_count=0)))
    assert isinstance(requested, amqp.LinkRequested)
    requested.link.detach()
    assert [type(performative) for performative in sent(rude)] == [amqp.Attach, amqp.Detach]
    (detached,) = rude.receive_data(amqp.encode_frame(0, amqp.Detach(0, True)))
    assert isinstance(detached, amqp.LinkDetached)


def test_names_tell_links_apart_by_direction(session: amqp.Session) -> None:
    session.attach_sender("l")
    session.attach_receiver("l")
    with pytest.raises(ValueError, match="named 'l'"):
        session.attach_sender("l")


def test_handles_have_a_bound(client: amqp.Connection) -> None:
    client.open()
    session = client.begin()
    begin = amqp.Begin(0, 0, 10, 10, handle_max=1)
    client.receive_data(HEADER + amqp.encode_frame(0, amqp.Open("s")) + amqp.encode_frame(0, begin))
    assert [session.attach_sender("a").handle, session.attach_sender("b").handle] == [0, 1]
    with pytest.raises(amqp.LinkClosedError):
        session.attach_sender("c")


def test_a_link_says_what_it_is(upstream: Links) -> None:
    sender, receiver = upstream
    assert repr(sender) == "<SenderLink 'up' attached>"
    assert repr(receiver) == "<ReceiverLink 'up' attached>"
