"""Sending: credit, drain, frames, outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

    Pump = Callable[[], None]
    Links = tuple[amqp.SenderLink, amqp.ReceiverLink]

HEADER = b"AMQP\x00\x01\x00\x00"


def sent(connection: amqp.Connection) -> list[amqp.Frame]:
    return amqp.FrameDecoder(1 << 22).feed(connection.data_to_send())


def frames(*performatives: amqp.Performative) -> bytes:
    return b"".join(amqp.encode_frame(0, performative) for performative in performatives)


def test_a_message_arrives_with_its_tag(upstream: Links, pump: Pump, server_events: list[amqp.Event]) -> None:
    sender, receiver = upstream
    tag = bytes(range(16))
    delivery_id = sender.send(b"hello", tag=tag)
    settled_id = sender.send(b"and forget", tag=b"", settled=True)
    assert sender.credit == 8
    pump()
    assert server_events == [
        amqp.TransferReceived(receiver, delivery_id, tag, b"hello", settled=False),
        amqp.TransferReceived(receiver, settled_id, b"", b"and forget", settled=True),
    ]
    assert receiver.credit == 8


def test_without_credit_nothing_is_sent(upstream: Links) -> None:
    sender, _ = upstream
    for _ in range(10):
        sender.send(b"x", tag=b"t")
    assert sender.credit == 0
    with pytest.raises(ValueError, match="no credit"):
        sender.send(b"x", tag=b"t")


def test_what_the_peer_would_not_take_is_not_sent(upstream: Links, client: amqp.Connection) -> None:
    sender, _ = upstream
    with pytest.raises(ValueError, match="33"):
        sender.send(b"x", tag=bytes(33))
    with pytest.raises(ValueError, match="1048576"):
        sender.send(bytes(1_048_577), tag=b"t")
    assert sender.credit == 10
    assert client.data_to_send() == b""


def test_a_link_that_is_not_attached_cannot_send(session: amqp.Session) -> None:
    with pytest.raises(amqp.LinkClosedError):
        session.attach_sender("l").send(b"x", tag=b"t")


@pytest.mark.parametrize("size", [0, 1, 400, 401, 10_000])
def test_messages_are_cut_into_frames_that_the_peer_takes(size: int) -> None:
    client = amqp.Connection(container_id="c")
    client.open()
    session = client.begin()
    sender = session.attach_sender("l")
    client.receive_data(
        HEADER
        + frames(
            amqp.Open("s", max_frame_size=512),
            amqp.Begin(0, 0, 1000, 10),
            amqp.Attach("l", 0, True, target=amqp.Target()),
            amqp.Flow(0, 1000, 0, 10, handle=0, delivery_count=0, link_credit=2),
        )
    )
    client.data_to_send()
    payload = bytes(index % 251 for index in range(size))
    sender.send(payload, tag=bytes(16))
    cut = sent(client)
    assert b"".join(frame.payload for frame in cut) == payload
    assert all(len(amqp.encode_frame(*frame[:1], frame.performative, frame.payload)) <= 512 for frame in cut)
    transfers = [frame.performative for frame in cut]
    assert [transfer.more for transfer in transfers if isinstance(transfer, amqp.Transfer)] == [
        *[True] * (len(cut) - 1),
        False,
    ]
    assert len(cut) == max(1, -(-size // 400))


def test_long_messages_arrive_whole(upstream: Links, pump: Pump, server_events: list[amqp.Event]) -> None:
    sender, receiver = upstream
    payload = bytes(300_000)
    sender.send(payload, tag=b"1")
    sender.send(b"short", tag=b"2", settled=True)
    pump()
    assert [event.payload for event in server_events if isinstance(event, amqp.TransferReceived)] == [payload, b"short"]
    assert receiver.credit == 8


@pytest.mark.parametrize(
    "outcome",
    [
        amqp.Accepted(),
        amqp.Rejected(),
        amqp.Rejected(amqp.AmqpError("amqp:not-found", "gone", {"a": "b"})),
        amqp.Released(),
        amqp.Modified(delivery_failed=True, undeliverable_here=False),
    ],
)
def test_every_outcome_is_told(
    upstream: Links, pump: Pump, client_events: list[amqp.Event], outcome: amqp.Outcome
) -> None:
    sender, receiver = upstream
    delivery_id = sender.send(b"x", tag=b"t")
    pump()
    client_events.clear()
    receiver.settle(delivery_id, outcome)
    pump()
    assert client_events == [amqp.DeliveryUpdated(sender, delivery_id, outcome, settled=True)]


def test_receiver_settles_second(
    upstream: Links, pump: Pump, client_events: list[amqp.Event], server_events: list[amqp.Event]
) -> None:
    sender, receiver = upstream
    delivery_id = sender.send(b"x", tag=b"t")
    pump()
    client_events.clear()
    server_events.clear()
    receiver.settle(delivery_id, amqp.Accepted(), settled=False)
    pump()
    assert client_events == [amqp.DeliveryUpdated(sender, delivery_id, amqp.Accepted(), settled=False)]
    assert server_events == []
    sender.settle(delivery_id, amqp.Rejected())
    sender.settle(delivery_id, amqp.Accepted())
    pump()
    assert server_events == [amqp.DeliveryUpdated(receiver, delivery_id, amqp.Rejected(), settled=True)]


def test_an_outcome_stands_before_the_transfer_that_was_sent_after_it(
    rude: amqp.Connection, rude_sender: amqp.SenderLink, rude_receiver: amqp.ReceiverLink
) -> None:
    rude.receive_data(frames(amqp.Transfer(0, 0, b"t"), amqp.Transfer(0, 1, b"t")))
    rude_receiver.settle(0, amqp.Accepted())
    rude_sender.send(b"answer", tag=b"t")
    rude_receiver.settle(1, amqp.Accepted())
    kinds = [type(frame.performative) for frame in sent(rude)]
    assert kinds == [amqp.Disposition, amqp.Transfer, amqp.Disposition]


def test_drain(upstream: Links, pump: Pump, client_events: list[amqp.Event], server_events: list[amqp.Event]) -> None:
    sender, receiver = upstream
    client_events.clear()
    receiver.flow(5, drain=True)
    pump()
    assert client_events == [amqp.LinkFlowed(sender)]
    assert sender.drain_requested
    assert sender.credit == 5
    sender.send(b"last", tag=b"t", settled=True)
    sender.drained()
    sender.drained()
    assert sender.credit == 0
    assert not sender.drain_requested
    pump()
    assert [type(event) for event in server_events] == [amqp.TransferReceived, amqp.LinkFlowed]
    assert receiver.credit == 0
    receiver.flow(3)
    pump()
    assert sender.credit == 3
    assert not sender.drain_requested


def test_drain_that_uses_all_credit_is_over_with_the_last_message(
    upstream: Links, pump: Pump, server_events: list[amqp.Event]
) -> None:
    sender, receiver = upstream
    receiver.flow(1, drain=True)
    pump()
    sender.send(b"last", tag=b"t", settled=True)
    pump()
    assert [type(event) for event in server_events] == [amqp.TransferReceived, amqp.LinkFlowed]


def test_nothing_is_given_up_that_nobody_asked_for(upstream: Links, client: amqp.Connection) -> None:
    sender, _ = upstream
    sender.drained()
    assert sender.credit == 10
    assert client.data_to_send() == b""


def test_credit_counts_from_where_the_receiver_is(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    def flow(delivery_count: int | None, credit: int | None) -> int:
        rude.receive_data(
            frames(amqp.Flow(0, 100, 0, 100, handle=1, delivery_count=delivery_count, link_credit=credit))
        )
        return rude_sender.credit

    for number in range(5):
        rude_sender.send(b"x", tag=bytes([number]))
    assert flow(5, 10) == 10
    assert flow(3, 10) == 8  # two are under way
    assert flow(None, 10) == 5  # not seen our attach: all five are
    assert flow(0, 3) == 0  # what is under way is more than the credit
    assert flow(5, None) == 0  # says nothing of credit
    assert flow(9, 10) == 10  # ahead of us: nothing is under way


def test_an_event_comes_only_if_credit_or_drain_has_changed(
    rude: amqp.Connection, rude_sender: amqp.SenderLink
) -> None:
    same = frames(amqp.Flow(0, 100, 0, 100, handle=1, delivery_count=0, link_credit=1000))
    drain = frames(amqp.Flow(0, 100, 0, 100, handle=1, delivery_count=0, link_credit=1000, drain=True))
    assert rude.receive_data(same) == []
    assert rude.receive_data(drain + drain) == [amqp.LinkFlowed(rude_sender)]


def test_credit_for_a_link_that_we_have_detached_means_nothing(
    rude: amqp.Connection, rude_sender: amqp.SenderLink
) -> None:
    rude_sender.detach()
    assert rude.receive_data(frames(amqp.Flow(0, 100, 0, 100, handle=1, delivery_count=0, link_credit=5))) == []
    assert rude_sender.credit == 0


def test_unsettled_deliveries_have_a_bound() -> None:
    server = amqp.Connection(container_id="s", server=True, max_unsettled=2)
    server.receive_data(HEADER + frames(amqp.Open("c"), amqp.Begin(None, 0, 10, 10)))
    server.open()
    (requested,) = server.receive_data(frames(amqp.Attach("l", 0, True)))
    assert isinstance(requested, amqp.LinkRequested)
    sender = requested.link
    assert isinstance(sender, amqp.SenderLink)
    sender.accept(source=amqp.Source(), target=amqp.Target())
    server.receive_data(frames(amqp.Flow(0, 10, 0, 10, handle=0, delivery_count=0, link_credit=10)))
    sender.send(b"x", tag=b"0")
    sender.send(b"x", tag=b"1")
    assert sender.credit == 0
    # An outcome alone frees nothing: the delivery is still unsettled.
    undecided = server.receive_data(frames(amqp.Disposition(True, 0, state=amqp.Accepted())))
    assert [type(event) for event in undecided] == [amqp.DeliveryUpdated]
    assert sender.credit == 0
    settled = server.receive_data(frames(amqp.Disposition(True, 0, settled=True, state=amqp.Accepted())))
    assert [type(event) for event in settled] == [amqp.DeliveryUpdated, amqp.LinkFlowed]
    assert sender.credit == 8


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("credit"), st.integers(0, 5)),
            st.tuples(st.just("window"), st.integers(0, 5)),
            st.tuples(st.just("send"), st.integers(0, 1500)),
            st.tuples(st.just("read"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_neither_credit_nor_window_is_ever_exceeded(steps: list[tuple[str, int]]) -> None:
    """A peer that keeps the books: it takes what we send late, and never sees more than it has allowed."""
    client = amqp.Connection(container_id="c")
    client.open()
    sender = client.begin().attach_sender("l")
    opening = frames(
        amqp.Open("s", max_frame_size=512), amqp.Begin(0, 0, 3, 10), amqp.Attach("l", 0, True, target=amqp.Target())
    )
    client.receive_data(HEADER + opening)
    client.data_to_send()
    seen_frames = seen_messages = sent_messages = 0
    highest_frame, highest_message = 3, 0

    for step, number in steps:
        if step == "credit":
            highest_message = max(highest_message, seen_messages + number)
            client.receive_data(
                frames(amqp.Flow(seen_frames, max(0, highest_frame - seen_frames), 0, 10, 0, seen_messages, number))
            )
        elif step == "window":
            highest_frame = max(highest_frame, seen_frames + number)
            client.receive_data(frames(amqp.Flow(seen_frames, highest_frame - seen_frames, 0, 10)))
        elif step == "send":
            assert sender.credit >= 0
            if sender.credit:
                assert sender.send(bytes(number), tag=b"t", settled=True) == sent_messages
                sent_messages += 1
        for frame in sent(client):
            transfer = frame.performative
            assert isinstance(transfer, amqp.Transfer)
            seen_frames += 1
            seen_messages += not transfer.more
            assert seen_frames <= highest_frame
            assert seen_messages <= highest_message
        assert sent_messages <= highest_message

    client.receive_data(frames(amqp.Flow(seen_frames, 10_000, 0, 10)))
    seen_messages += sum(
        not frame.performative.more for frame in sent(client) if isinstance(frame.performative, amqp.Transfer)
    )
    assert seen_messages == sent_messages
