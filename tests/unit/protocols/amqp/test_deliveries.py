"""Which deliveries a disposition is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols import amqp
from c2dkit._protocols.amqp._deliveries import _covered

if TYPE_CHECKING:
    from collections.abc import Callable

    Pump = Callable[[], None]

MASK = 0xFFFFFFFF
serial = st.one_of(st.integers(0, 12), st.integers(MASK - 12, MASK))


def updated(events: list[amqp.Event]) -> list[int]:
    return [event.delivery_id for event in events if isinstance(event, amqp.DeliveryUpdated)]


@given(ids=st.sets(serial), first=serial, length=st.integers(0, 30) | st.just(0x7FFFFFFF))
def test_a_range_covers_what_lies_in_it(ids: set[int], first: int, length: int) -> None:
    deliveries = dict.fromkeys(ids, "link")
    disposition = amqp.Disposition(True, first, (first + length) & MASK)
    assert sorted(_covered(deliveries, disposition)) == sorted(
        delivery_id for delivery_id in ids if (delivery_id - first) % (1 << 32) <= length
    )


@given(ids=st.sets(serial), first=serial)
def test_without_a_last_it_is_about_one(ids: set[int], first: int) -> None:
    deliveries = dict.fromkeys(ids, "link")
    assert _covered(deliveries, amqp.Disposition(True, first)) == [first] * (first in ids)


def test_a_range_cannot_end_before_it_begins() -> None:
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        _covered({1: "link"}, amqp.Disposition(True, 5, 4))
    assert caught.value.condition == "amqp:invalid-field"


def test_a_range_is_told_one_by_one(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    ids = [rude_sender.send(b"x", tag=bytes([number])) for number in range(5)]
    rude_sender.send(b"x", tag=b"t", settled=True)
    disposition = amqp.Disposition(True, 1, 100, True, amqp.Released())
    events = rude.receive_data(amqp.encode_frame(0, disposition))
    assert events == [
        amqp.DeliveryUpdated(rude_sender, delivery_id, amqp.Released(), settled=True) for delivery_id in ids[1:]
    ]
    assert updated(rude.receive_data(amqp.encode_frame(0, disposition._replace(first=0)))) == [0]


def test_an_outcome_is_told_once_and_the_settlement_once(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    rude_sender.send(b"x", tag=b"t")

    def say(*, settled: bool, state: amqp.DeliveryState | None) -> list[amqp.Event]:
        return rude.receive_data(amqp.encode_frame(0, amqp.Disposition(True, 0, None, settled, state)))

    assert say(settled=False, state=None) == []
    assert say(settled=False, state=amqp.Received(0, 0)) == []
    assert updated(say(settled=False, state=amqp.Accepted())) == [0]
    assert say(settled=False, state=amqp.Released()) == []
    assert say(settled=True, state=None) == [amqp.DeliveryUpdated(rude_sender, 0, None, settled=True)]
    assert say(settled=True, state=amqp.Accepted()) == []


def test_a_delivery_is_settled_on_its_own_link(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    rude_sender.send(b"x", tag=b"t")
    other = rude_sender.session.attach_sender("other")
    rude.data_to_send()
    other.settle(0, amqp.Accepted())
    assert rude.data_to_send() == b""
    rude_sender.settle(0, amqp.Accepted())
    assert rude.data_to_send() == amqp.encode_frame(0, amqp.Disposition(False, 0, None, True, amqp.Accepted()))


def test_the_two_directions_have_ids_of_their_own(
    rude: amqp.Connection, rude_sender: amqp.SenderLink, rude_receiver: amqp.ReceiverLink
) -> None:
    rude_sender.send(b"x", tag=b"t")
    rude.receive_data(amqp.encode_frame(0, amqp.Transfer(0, 0, b"t"), b"x"))
    settled = amqp.Disposition(False, 0, None, True, amqp.Accepted())
    # An outcome of the sender that is not settled changes nothing for the receiver.
    assert rude.receive_data(amqp.encode_frame(0, settled._replace(settled=False))) == []
    (event,) = rude.receive_data(amqp.encode_frame(0, settled))
    assert event == amqp.DeliveryUpdated(rude_receiver, 0, amqp.Accepted(), settled=True)
    (event,) = rude.receive_data(amqp.encode_frame(0, settled._replace(role=True)))
    assert event == amqp.DeliveryUpdated(rude_sender, 0, amqp.Accepted(), settled=True)
