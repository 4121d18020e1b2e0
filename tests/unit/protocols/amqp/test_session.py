"""Begin, end, and the windows of both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

    Pump = Callable[[], None]
    Links = tuple[amqp.SenderLink, amqp.ReceiverLink]

HEADER = b"AMQP\x00\x01\x00\x00"


def sent(connection: amqp.Connection) -> list[object]:
    data = connection.data_to_send().removeprefix(HEADER)
    return [frame.performative for frame in amqp.FrameDecoder(1 << 20).feed(data)]


def frames(*performatives: amqp.Performative) -> bytes:
    return b"".join(amqp.encode_frame(0, performative) for performative in performatives)


def test_begin_is_answered(
    session: amqp.Session, client_events: list[amqp.Event], server_events: list[amqp.Event]
) -> None:
    assert client_events[-1] == amqp.SessionBegun(session)
    begun = server_events[-1]
    assert isinstance(begun, amqp.SessionBegun)
    assert begun.session.remote_channel == session.channel
    assert session.remote_channel == begun.session.channel
    assert repr(session) == "<Session 0 open>"


def test_end_by_us(
    session: amqp.Session,
    upstream: Links,
    pump: Pump,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
) -> None:
    sender, receiver = upstream
    client_events.clear()
    error = amqp.AmqpError("amqp:internal-error")
    session.end(error)
    session.end()
    assert not session.is_open
    assert not sender.attached
    pump()
    assert server_events == [
        amqp.LinkDetached(receiver, error, closed=False),
        amqp.SessionEnded(receiver.session, error),
    ]
    assert client_events == [amqp.SessionEnded(session, None)]
    assert not receiver.attached
    assert repr(session) == "<Session 0 ended>"


def test_frames_for_a_session_that_we_have_ended_are_discarded(rude: amqp.Connection) -> None:
    attach = amqp.Attach("l", 0, False, initial_delivery_count=0)
    (requested,) = rude.receive_data(frames(attach))
    assert isinstance(requested, amqp.LinkRequested)
    requested.link.session.end()
    flow = amqp.Flow(0, 10, 0, 10, echo=True)
    assert rude.receive_data(frames(amqp.Transfer(0, 0, b"t"), amqp.Attach("m", 1, True), flow)) == []
    assert sent(rude) == [amqp.End()]
    assert rude.receive_data(frames(amqp.End())) == [amqp.SessionEnded(requested.link.session, None)]
    assert sent(rude) == []


def test_nothing_of_a_session_follows_its_end(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    rude.receive_data(frames(amqp.Flow(0, 10, 0, 10, echo=True)))
    rude_receiver.flow(5)
    rude_receiver.session.end()
    assert sent(rude) == [amqp.End()]


def test_end_before_the_peer_has_begun(client: amqp.Connection) -> None:
    client.open()
    session = client.begin()
    session.end()
    assert [type(performative) for performative in sent(client)] == [amqp.Open, amqp.Begin, amqp.End]
    answers = frames(amqp.Open("s"), amqp.Begin(0, 0, 10, 10), amqp.End())
    assert client.receive_data(HEADER + answers) == [amqp.Opened(client), amqp.SessionEnded(session, None)]


def test_a_refused_link_is_not_told_of_again_when_the_session_ends(rude: amqp.Connection) -> None:
    (requested,) = rude.receive_data(frames(amqp.Attach("l", 0, True)))
    assert isinstance(requested, amqp.LinkRequested)
    requested.link.refuse(amqp.AmqpError("amqp:not-found"))
    assert [type(event) for event in rude.receive_data(frames(amqp.End()))] == [amqp.SessionEnded]


def test_echo_is_answered_once_for_many(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    echo = amqp.Flow(0, 100, 7, 100, echo=True)
    echo_link = amqp.Flow(0, 100, 7, 100, handle=1, delivery_count=0, link_credit=9, echo=True)
    rude.receive_data(frames(echo, echo_link, echo, echo_link))
    assert sent(rude) == [
        amqp.Flow(7, 2048, 0, 0x7FFFFFFF),
        amqp.Flow(7, 2048, 0, 0x7FFFFFFF, handle=0, delivery_count=0, link_credit=9),
    ]


def test_transfers_wait_for_the_peers_window(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    rude.receive_data(frames(amqp.Flow(0, 2, 0, 100)))
    for number in range(4):
        rude_sender.send(b"x", tag=bytes([number]))
    ids = [transfer.delivery_id for transfer in sent(rude) if isinstance(transfer, amqp.Transfer)]
    assert ids == [0, 1]
    rude.receive_data(frames(amqp.Flow(2, 1, 0, 100)))
    rude_sender.send(b"x", tag=b"4")
    ids = [transfer.delivery_id for transfer in sent(rude) if isinstance(transfer, amqp.Transfer)]
    assert ids == [2]
    rude.receive_data(frames(amqp.Flow(3, 100, 0, 100)))
    ids = [transfer.delivery_id for transfer in sent(rude) if isinstance(transfer, amqp.Transfer)]
    assert ids == [3, 4]


def test_what_is_under_way_counts_against_the_peers_window(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    rude_sender.send(b"x", tag=b"0")
    rude_sender.send(b"x", tag=b"1")
    rude.data_to_send()
    # The peer had seen the first transfer only: of its window of 1 nothing is left.
    rude.receive_data(frames(amqp.Flow(1, 1, 0, 100)))
    rude_sender.send(b"x", tag=b"2")
    assert sent(rude) == []
    # A smaller window than what is under way is no window, not a huge one.
    rude.receive_data(frames(amqp.Flow(0, 1, 0, 100)))
    assert sent(rude) == []
    # A peer that has not seen our BEGIN names no id: then it is the initial one.
    rude.receive_data(frames(amqp.Flow(None, 2, 0, 100)))
    assert sent(rude) == []
    rude.receive_data(frames(amqp.Flow(None, 3, 0, 100)))
    assert [type(performative) for performative in sent(rude)] == [amqp.Transfer]


def test_nothing_overtakes_the_transfers_of_a_link_but_outcomes(
    rude: amqp.Connection, rude_sender: amqp.SenderLink, rude_receiver: amqp.ReceiverLink
) -> None:
    rude.receive_data(frames(amqp.Transfer(0, 0, b"t"), amqp.Flow(0, 0, 1, 100)))
    rude_sender.send(b"x", tag=b"0")
    echo = amqp.Flow(0, 0, 1, 100, handle=1, delivery_count=0, link_credit=9, echo=True)
    rude.receive_data(frames(echo))
    rude_receiver.settle(0, amqp.Accepted())
    assert sent(rude) == [amqp.Disposition(True, 0, None, True, amqp.Accepted())]
    rude_sender.detach()
    rude_sender.session.attach_sender("other")
    assert sent(rude) == []
    rude.receive_data(frames(amqp.Flow(0, 100, 1, 100)))
    assert [type(performative) for performative in sent(rude)] == [amqp.Transfer, amqp.Detach, amqp.Attach]


def test_a_count_is_told_when_the_transfers_have_left(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    rude.receive_data(frames(amqp.Flow(0, 0, 0, 100)))
    rude_sender.send(b"x", tag=b"0")
    rude.receive_data(frames(amqp.Flow(0, 0, 0, 100, handle=1, delivery_count=0, link_credit=9, echo=True)))
    assert sent(rude) == []
    rude.receive_data(frames(amqp.Flow(0, 10, 0, 100)))
    transfer, flow = sent(rude)
    assert isinstance(transfer, amqp.Transfer)
    assert isinstance(flow, amqp.Flow)
    assert (flow.delivery_count, flow.link_credit) == (1, 8)


def test_the_peer_gets_more_window_when_half_is_used() -> None:
    server = amqp.Connection(container_id="s", server=True, incoming_window=4)
    server.receive_data(HEADER + frames(amqp.Open("c"), amqp.Begin(None, 50, 10, 10)))
    server.open()
    (requested,) = server.receive_data(frames(amqp.Attach("l", 0, False, initial_delivery_count=0)))
    assert isinstance(requested, amqp.LinkRequested)
    link = requested.link
    assert isinstance(link, amqp.ReceiverLink)
    link.accept(source=amqp.Source(), target=amqp.Target())
    link.flow(100)
    _, begin, *_ = sent(server)
    assert isinstance(begin, amqp.Begin)
    assert begin.incoming_window == 4
    server.receive_data(frames(amqp.Transfer(0, 0, b"t", settled=True)))
    assert sent(server) == []
    server.receive_data(frames(amqp.Transfer(0, 1, b"t", settled=True)))
    assert sent(server) == [amqp.Flow(52, 4, 0, 0x7FFFFFFF)]


def receiving(server: amqp.Connection) -> amqp.ReceiverLink:
    """Have a client attach a link on which it may send a hundred messages."""
    server.receive_data(HEADER + frames(amqp.Open("c"), amqp.Begin(None, 0, 10, 10)))
    server.open()
    (requested,) = server.receive_data(frames(amqp.Attach("l", 0, False, initial_delivery_count=0)))
    assert isinstance(requested, amqp.LinkRequested)
    link = requested.link
    assert isinstance(link, amqp.ReceiverLink)
    link.accept(source=amqp.Source(), target=amqp.Target())
    link.flow(100)
    server.data_to_send()
    return link


def test_unsettled_deliveries_close_the_window() -> None:
    server = amqp.Connection(container_id="s", server=True, incoming_window=4, max_unsettled=5)
    link = receiving(server)
    for delivery_id in range(5):
        server.receive_data(frames(amqp.Transfer(0, delivery_id, b"t")))
    (flow,) = sent(server)
    assert isinstance(flow, amqp.Flow)
    # It never takes back what it has given: a window of 4 for the first, 3 in front of what came.
    assert (flow.next_incoming_id, flow.incoming_window) == (5, 0)
    link.settle(0, amqp.Accepted())
    _, flow = sent(server)
    assert isinstance(flow, amqp.Flow)
    assert flow.incoming_window == 1
    link.settle(1, amqp.Accepted(), settled=False)
    server.receive_data(frames(amqp.Disposition(False, 1, None, True, amqp.Accepted())))
    _, flow = sent(server)
    assert isinstance(flow, amqp.Flow)
    assert flow.incoming_window == 2
    server.receive_data(frames(amqp.Transfer(0, 5, b"t"), amqp.Transfer(0, 6, b"t")))
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        server.receive_data(frames(amqp.Transfer(0, 7, b"t")))
    assert caught.value.condition == "amqp:session:window-violation"


def test_a_detached_link_gives_its_window_back() -> None:
    server = amqp.Connection(container_id="s", server=True, incoming_window=2, max_unsettled=2)
    receiving(server)
    server.receive_data(frames(amqp.Transfer(0, 0, b"t"), amqp.Transfer(0, 1, b"t")))
    server.data_to_send()
    server.receive_data(frames(amqp.Detach(0, True)))
    detach, flow = sent(server)
    assert isinstance(detach, amqp.Detach)
    assert isinstance(flow, amqp.Flow)
    assert flow.incoming_window == 2


def test_serial_numbers_wrap(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    session = rude_sender.session
    session.deliveries._next_id = 0xFFFFFFFF
    session._outgoing.next_id = 0xFFFFFFFE
    ids = [rude_sender.send(b"x", tag=bytes([number])) for number in range(3)]
    assert ids == [0xFFFFFFFF, 0, 1]
    rude.data_to_send()
    rude.receive_data(frames(amqp.Flow(0xFFFFFFFF, 3, 0, 100, echo=True)))
    rude_sender.send(b"x", tag=b"w")
    rude_sender.send(b"x", tag=b"w")
    # next-incoming-id + window - next-outgoing-id, across the end of the numbers: 0xFFFFFFFF + 3 - 1 = 1.
    transfer, flow = sent(rude)
    assert isinstance(transfer, amqp.Transfer)
    assert isinstance(flow, amqp.Flow)
    assert flow.next_outgoing_id == 2
    events = rude.receive_data(frames(amqp.Disposition(True, 0xFFFFFFFF, 1, True, amqp.Accepted())))
    assert [event.delivery_id for event in events if isinstance(event, amqp.DeliveryUpdated)] == [0xFFFFFFFF, 0, 1]
