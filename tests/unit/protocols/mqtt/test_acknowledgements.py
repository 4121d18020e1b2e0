from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.mqtt import MqttProtocolError
from c2dkit._protocols.mqtt._acknowledgements import Acknowledgements


def holding(*packet_ids: int) -> Acknowledgements:
    acknowledgements = Acknowledgements(1024)
    for packet_id in packet_ids:
        assert acknowledgements.add(packet_id, dup=False)
    return acknowledgements


def test_out_of_order_ones_wait() -> None:
    held = holding(5, 3, 9)
    assert held.acknowledge(9) == []
    assert held.acknowledge(3) == []
    assert held.acknowledge(5) == [5, 3, 9]


@given(st.permutations(range(1, 20)))
def test_any_order_leaves_in_order(order: list[int]) -> None:
    held = holding(*range(1, 20))
    left = [packet_id for done in order for packet_id in held.acknowledge(done)]
    assert left == list(range(1, 20))


@pytest.mark.parametrize("packet_id", [1, 2, 4])
def test_only_an_unacknowledged_one_can_be_acknowledged(packet_id: int) -> None:
    held = holding(1, 2, 3)
    held.acknowledge(1)  # left
    held.acknowledge(3)
    if packet_id == 2:
        packet_id = 3  # done, and waits for 2
    with pytest.raises(ValueError, match=f"packet id {packet_id}"):
        held.acknowledge(packet_id)


def test_a_redelivery_of_what_is_held_is_the_same_message() -> None:
    held = holding(1, 2)
    assert not held.add(2, dup=True)
    assert held.acknowledge(2) == []
    assert not held.add(2, dup=True)
    assert held.acknowledge(1) == [1, 2]


def test_an_id_is_free_once_its_acknowledgement_left() -> None:
    held = holding(1)
    held.acknowledge(1)
    assert held.add(1, dup=True)


def test_another_message_under_an_id_in_use_is_refused() -> None:
    with pytest.raises(MqttProtocolError, match=r"MQTT-2\.3\.1-4"):
        holding(1).add(1, dup=False)


def test_the_number_of_held_messages_is_bounded() -> None:
    held = Acknowledgements(2)
    held.add(1, dup=False)
    held.add(2, dup=False)
    held.acknowledge(2)  # waits for 1, so it still counts
    with pytest.raises(MqttProtocolError, match="more than 2 messages"):
        held.add(3, dup=False)
    held.acknowledge(1)
    assert held.add(3, dup=False)
