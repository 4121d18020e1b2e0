from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.mqtt import MqttProtocolError
from c2dkit._protocols.mqtt._encode import encode_publish
from c2dkit._protocols.mqtt._reader import PacketReader


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(
    bodies=st.lists(st.binary(max_size=400), max_size=8),
    places=st.lists(st.integers(0, 5000), max_size=20),
)
def test_any_cut_gives_the_same_packets(bodies: list[bytes], places: list[int]) -> None:
    data = b"".join(encode_publish("a", body, packet_id=None) for body in bodies)
    reader = PacketReader(1000)
    found = [packet for piece in cut(data, places) for packet in reader.packets(piece)]
    assert found == [(0x30, b"\x00\x01a" + body) for body in bodies]


@pytest.mark.timeout(20)
def test_a_large_packet_byte_by_byte_takes_linear_time() -> None:
    # Copying what has come with each byte would be half a terabyte, far more than the time-out allows.
    packet = encode_publish("a", bytes(1_000_000), packet_id=None)
    reader = PacketReader(2_000_000)
    found = [found for at in range(len(packet)) for found in reader.packets(packet[at : at + 1])]
    assert [len(body) for _, body in found] == [1_000_003]


def test_the_largest_packet_counts_its_header() -> None:
    reader = PacketReader(10)
    assert list(reader.packets(b"\x30\x08" + bytes(8))) == [(0x30, bytes(8))]
    with pytest.raises(MqttProtocolError, match="larger than 10 bytes"):
        list(reader.packets(b"\x30\x09"))


def test_a_long_remaining_length_is_refused_at_its_fourth_byte() -> None:
    reader = PacketReader(1000)
    assert list(reader.packets(b"\x30\x80\x80\x80")) == []
    with pytest.raises(MqttProtocolError, match="four bytes"):
        list(reader.packets(b"\x80"))


def test_a_remaining_length_may_be_padded() -> None:
    assert list(PacketReader(1000).packets(b"\x30\x81\x80\x80\x00x")) == [(0x30, b"x")]
