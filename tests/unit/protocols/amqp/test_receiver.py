"""Receiving: credit, messages in many frames, messages that are too large or not wanted."""

from __future__ import annotations

import pytest

from c2dkit._protocols import amqp


def sent(connection: amqp.Connection) -> list[object]:
    return [frame.performative for frame in amqp.FrameDecoder(1 << 20).feed(connection.data_to_send())]


def transfer(
    payload: bytes = b"x",
    *,
    handle: int = 0,
    delivery_id: int | None = None,
    tag: bytes | None = None,
    settled: bool | None = None,
    more: bool = False,
    aborted: bool = False,
) -> bytes:
    performative = amqp.Transfer(handle, delivery_id, tag, 0, settled, more, aborted=aborted)
    return amqp.encode_frame(0, performative, payload)


def first(
    delivery_id: int,
    payload: bytes = b"x",
    *,
    handle: int = 0,
    settled: bool | None = None,
    more: bool = False,
    aborted: bool = False,
) -> bytes:
    return transfer(
        payload, handle=handle, delivery_id=delivery_id, tag=b"t", settled=settled, more=more, aborted=aborted
    )


def detached(events: list[amqp.Event]) -> amqp.LinkDetached:
    (event,) = events
    assert isinstance(event, amqp.LinkDetached)
    return event


def test_many_frames_make_one_message(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    assert rude.receive_data(first(5, b"one ", more=True)) == []
    assert rude.receive_data(transfer(b"two ", more=True, delivery_id=5)) == []
    events = rude.receive_data(transfer(b"three", settled=True))
    assert events == [amqp.TransferReceived(rude_receiver, 5, b"t", b"one two three", settled=True)]
    assert rude_receiver.credit == 1
    # A payload can be a token.
    assert "three" not in repr(events)


def test_settled_on_one_frame_is_settled(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    (event,) = rude.receive_data(first(0, more=True, settled=True) + transfer())
    assert event == amqp.TransferReceived(rude_receiver, 0, b"t", b"xx", settled=True)
    rude_receiver.settle(0, amqp.Accepted())
    assert sent(rude) == []


def test_an_aborted_message_is_none(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    assert rude.receive_data(first(0, b"half", more=True) + transfer(b"", aborted=True)) == []
    (event,) = rude.receive_data(first(1, b"whole"))
    assert event == amqp.TransferReceived(rude_receiver, 1, b"t", b"whole", settled=False)
    assert rude._partial_bytes == 0


def test_an_aborted_single_frame_uses_credit(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    assert rude.receive_data(first(0, aborted=True)) == []
    assert rude_receiver.credit == 1


def test_messages_of_two_links_may_come_in_turns(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    attach = amqp.Attach("other", 7, False, initial_delivery_count=0)
    (requested,) = rude.receive_data(amqp.encode_frame(0, attach))
    assert isinstance(requested, amqp.LinkRequested)
    other = requested.link
    assert isinstance(other, amqp.ReceiverLink)
    other.accept(source=amqp.Source(), target=amqp.Target())
    other.flow(1)
    events = rude.receive_data(
        first(0, b"a", more=True)
        + first(1, b"b", handle=7, more=True)
        + transfer(b"a")
        + transfer(b"b", handle=7, delivery_id=1)
    )
    assert events == [
        amqp.TransferReceived(rude_receiver, 0, b"t", b"aa", settled=False),
        amqp.TransferReceived(other, 1, b"t", b"bb", settled=False),
    ]


@pytest.mark.parametrize("cut", [1001, 600])
def test_a_message_that_is_too_large_costs_the_link_only(
    rude: amqp.Connection, rude_receiver: amqp.ReceiverLink, cut: int
) -> None:
    data = first(0, bytes(cut), more=cut < 1001) + (transfer(bytes(cut), more=True) if cut < 1001 else b"")
    event = detached(rude.receive_data(data))
    assert event.link is rude_receiver
    assert event.closed
    assert event.error is not None
    assert event.error.condition == "amqp:link:message-size-exceeded"
    assert sent(rude) == [amqp.Detach(0, True, event.error)]
    # The rest of it, and what was under way behind it, is discarded; the peer's detach ends the matter.
    rest = transfer(bytes(600)) if cut < 1001 else b""
    assert rude.receive_data(rest + first(1) + first(2, more=True) + transfer()) == []
    assert rude.receive_data(amqp.encode_frame(0, amqp.Detach(0, True))) == []
    assert sent(rude) == []
    assert not rude.closed
    assert rude._partial_bytes == 0


def test_a_message_of_just_the_size_is_taken(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    events = rude.receive_data(first(0, bytes(1000)) + first(1, bytes(600), more=True) + transfer(bytes(400)))
    assert [type(event) for event in events] == [amqp.TransferReceived] * 2


def test_messages_that_have_come_in_part_have_a_bound() -> None:
    server = amqp.Connection(container_id="s", server=True, max_message_size=1000)
    server.receive_data(b"AMQP\x00\x01\x00\x00" + amqp.encode_frame(0, amqp.Open("c")))
    server.open()
    server.receive_data(amqp.encode_frame(0, amqp.Begin(None, 0, 10, 10)))
    events: list[amqp.Event] = []
    for handle in range(5):
        attach = amqp.Attach(f"l{handle}", handle, False, initial_delivery_count=0)
        (requested,) = server.receive_data(amqp.encode_frame(0, attach))
        assert isinstance(requested, amqp.LinkRequested)
        link = requested.link
        assert isinstance(link, amqp.ReceiverLink)
        link.accept(source=amqp.Source(), target=amqp.Target())
        link.flow(1)
        events += server.receive_data(first(handle, bytes(900), handle=handle, more=True))
    event = detached(events)
    assert event.link.name == "l4"
    assert event.error is not None
    assert event.error.condition == "amqp:resource-limit-exceeded"
    # One message less on its way, and there is room again.
    server.receive_data(transfer(b"", handle=0))
    assert server._partial_bytes == 2700


def test_transfer_without_credit_costs_the_link(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    events = rude.receive_data(first(0) + first(1) + first(2) + first(3))
    assert [type(event) for event in events] == [amqp.TransferReceived, amqp.TransferReceived, amqp.LinkDetached]
    error = amqp.AmqpError("amqp:link:transfer-limit-exceeded", "there is no credit left")
    assert events[2] == amqp.LinkDetached(rude_receiver, error, closed=True)
    assert sent(rude) == [amqp.Detach(0, True, error)]
    assert not rude.closed


def test_transfer_on_a_link_that_was_not_answered_yet_ends_it(rude: amqp.Connection) -> None:
    attach = amqp.encode_frame(0, amqp.Attach("l", 0, False, initial_delivery_count=0))
    requested, event = rude.receive_data(attach + first(0))
    assert isinstance(requested, amqp.LinkRequested)
    assert isinstance(event, amqp.LinkDetached)
    assert [type(performative) for performative in sent(rude)] == [amqp.Attach, amqp.Detach]


def test_messages_under_way_when_the_credit_is_lowered_are_taken(
    rude: amqp.Connection, rude_receiver: amqp.ReceiverLink
) -> None:
    rude_receiver.flow(0)
    assert [type(event) for event in rude.receive_data(first(0) + first(1))] == [amqp.TransferReceived] * 2
    assert rude_receiver.credit == 0
    rude_receiver.flow(1)
    assert [type(event) for event in rude.receive_data(first(2) + first(3))] == [
        amqp.TransferReceived,
        amqp.LinkDetached,
    ]


def test_counting_begins_where_the_sender_says(rude: amqp.Connection) -> None:
    attach = amqp.Attach("l", 0, False, initial_delivery_count=0xFFFFFFFF)
    (requested,) = rude.receive_data(amqp.encode_frame(0, attach))
    assert isinstance(requested, amqp.LinkRequested)
    link = requested.link
    assert isinstance(link, amqp.ReceiverLink)
    link.accept(source=amqp.Source(), target=amqp.Target())
    link.flow(5)
    flow = sent(rude)[-1]
    assert isinstance(flow, amqp.Flow)
    assert (flow.delivery_count, flow.link_credit) == (0xFFFFFFFF, 5)
    rude.receive_data(first(0))
    link.flow(5)
    (flow,) = sent(rude)
    assert isinstance(flow, amqp.Flow)
    assert (flow.delivery_count, flow.link_credit) == (0, 5)


def test_only_the_last_credit_of_a_turn_is_told(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    rude.receive_data(first(0))
    rude_receiver.flow(7)
    rude_receiver.flow(9)
    (flow,) = sent(rude)
    assert isinstance(flow, amqp.Flow)
    assert (flow.handle, flow.delivery_count, flow.link_credit, flow.drain) == (0, 1, 9, False)


def test_credit_has_to_fit(rude_receiver: amqp.ReceiverLink) -> None:
    for credit in (-1, 1 << 32):
        with pytest.raises(ValueError, match="credit"):
            rude_receiver.flow(credit)


def test_credit_may_be_given_before_the_attach_is_answered(client: amqp.Connection) -> None:
    client.open()
    link = client.begin().attach_receiver("l", source=amqp.Source("s"))
    link.flow(5)
    data = client.data_to_send()[8:]
    flow = amqp.FrameDecoder(65536).feed(data)[-1].performative
    # Neither the peer's next transfer nor its delivery count is known yet (part 2, 2.7.4).
    assert flow == amqp.Flow(None, 2048, 0, 0x7FFFFFFF, handle=0, link_credit=5)


def test_a_senders_flow_moves_the_count_but_not_the_credit(
    rude: amqp.Connection, rude_receiver: amqp.ReceiverLink
) -> None:
    rude_receiver.flow(10)
    rude.data_to_send()
    # uamqp puts a credit into the flow of a sender; it means nothing.
    flow = amqp.Flow(0, 100, 0, 100, handle=0, delivery_count=0, link_credit=10_000, echo=True)
    assert rude.receive_data(amqp.encode_frame(0, flow)) == []
    assert rude_receiver.credit == 10
    answer = amqp.Flow(0, 2048, 0, 0x7FFFFFFF, handle=0, delivery_count=0, link_credit=10)
    assert sent(rude) == [answer]
    # Three given up.
    rude.receive_data(amqp.encode_frame(0, flow._replace(delivery_count=3)))
    assert rude_receiver.credit == 7
    # Backwards, or further than the credit reaches, is nonsense and is ignored.
    for count in (1, 50, None):
        rude.receive_data(amqp.encode_frame(0, flow._replace(delivery_count=count)))
        assert rude_receiver.credit == 7


def test_a_delivery_is_settled_once_and_on_its_own_link(
    rude: amqp.Connection, rude_receiver: amqp.ReceiverLink
) -> None:
    rude.receive_data(first(0))
    rude_receiver.settle(5, amqp.Accepted())
    rude_receiver.settle(0, amqp.Released(), settled=False)
    rude_receiver.settle(0, amqp.Accepted())
    rude_receiver.settle(0, amqp.Rejected())
    assert sent(rude) == [
        amqp.Disposition(True, 0, None, False, amqp.Released()),
        amqp.Disposition(True, 0, None, True, amqp.Accepted()),
    ]
