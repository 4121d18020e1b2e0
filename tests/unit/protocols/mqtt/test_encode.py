from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.mqtt import (
    ConnackReceived,
    ConnectReceived,
    PublishReceived,
    SubackReceived,
    SubscribeReceived,
    UnsubscribeReceived,
)
from c2dkit._protocols.mqtt import _decode as decode
from c2dkit._protocols.mqtt import _encode as encode
from c2dkit._protocols.mqtt._reader import PacketReader

if TYPE_CHECKING:
    from collections.abc import Callable

PACKET_IDS = st.integers(1, 65_535)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)
TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=300)
QOS = st.integers(0, 1)


def body(packet: bytes, first: int) -> bytes:
    [(found, body)] = PacketReader(1_000_000).packets(packet)
    assert found == first
    return body


@given(
    client_id=TEXTS.filter(bool),
    username=TEXTS,
    password=st.none() | st.binary(max_size=300),
    keep_alive=st.integers(0, 65_535),
    clean=st.booleans(),
)
def test_connect_round_trip(
    client_id: str, username: str, password: bytes | None, keep_alive: int, clean: bool
) -> None:
    packet = encode.encode_connect(
        client_id=client_id, username=username, password=password, keep_alive=keep_alive, clean_session=clean
    )
    expected = ConnectReceived(client_id, clean, keep_alive, username, password, None)
    assert tuple(decode.decode_connect(body(packet, 0x10))) == tuple(expected)


def test_connect_without_credentials() -> None:
    packet = encode.encode_connect(client_id="", username=None, password=None, keep_alive=10, clean_session=True)
    assert packet == b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"


@given(topic=TOPICS, payload=st.binary(max_size=300), packet_id=PACKET_IDS, dup=st.booleans(), retain=st.booleans())
def test_publish_qos_1_round_trip(topic: str, payload: bytes, packet_id: int, dup: bool, retain: bool) -> None:
    first = 0x32 | dup << 3 | retain
    packet = encode.encode_publish(topic, payload, packet_id=packet_id, dup=dup, retain=retain)
    expected = PublishReceived(topic, payload, 1, retain, dup, packet_id)
    assert decode.decode_publish(first, body(packet, first)) == expected


@given(topic=TOPICS, payload=st.binary(max_size=300), retain=st.booleans())
def test_publish_qos_0_round_trip(topic: str, payload: bytes, retain: bool) -> None:
    packet = encode.encode_publish(topic, payload, packet_id=None, retain=retain)
    assert decode.decode_publish(0x30 | retain, body(packet, 0x30 | retain)) == (topic, payload, 0, retain, False, None)


@given(packet_id=PACKET_IDS, filters=st.lists(st.tuples(TOPICS, QOS), min_size=1, max_size=5))
def test_subscribe_round_trip(packet_id: int, filters: list[tuple[str, int]]) -> None:
    packet = encode.encode_subscribe(packet_id, filters)
    assert decode.decode_subscribe(body(packet, 0x82)) == SubscribeReceived(packet_id, tuple(filters))


@given(packet_id=PACKET_IDS, filters=st.lists(TOPICS, min_size=1, max_size=5))
def test_unsubscribe_round_trip(packet_id: int, filters: list[str]) -> None:
    packet = encode.encode_unsubscribe(packet_id, filters)
    assert decode.decode_unsubscribe(body(packet, 0xA2)) == UnsubscribeReceived(packet_id, tuple(filters))


@given(packet_id=PACKET_IDS, return_codes=st.lists(st.sampled_from([0, 1, 2, 0x80]), max_size=5))
def test_suback_round_trip(packet_id: int, return_codes: list[int]) -> None:
    packet = encode.encode_suback(packet_id, return_codes)
    assert decode.decode_suback(body(packet, 0x90)) == SubackReceived(packet_id, tuple(return_codes))


@given(packet_id=PACKET_IDS)
def test_packet_id_round_trip(packet_id: int) -> None:
    assert decode.decode_packet_id(body(encode.encode_puback(packet_id), 0x40)) == packet_id
    assert decode.decode_packet_id(body(encode.encode_unsuback(packet_id), 0xB0)) == packet_id


@pytest.mark.parametrize(("return_code", "session_present"), [(0, True), (0, False), (5, False)])
def test_connack_round_trip(return_code: int, session_present: bool) -> None:
    packet = encode.encode_connack(return_code, session_present=session_present)
    assert decode.decode_connack(body(packet, 0x20)) == ConnackReceived(session_present, return_code)


def test_golden_bytes() -> None:
    assert encode.encode_publish("a/b", b"hi", packet_id=0x102, dup=True) == b"\x3a\x09\x00\x03a/b\x01\x02hi"
    assert encode.encode_publish("a", b"", packet_id=None, retain=True) == b"\x31\x03\x00\x01a"
    assert encode.encode_subscribe(10, [("a/#", 1), ("b", 0)]) == b"\x82\x0c\x00\x0a\x00\x03a/#\x01\x00\x01b\x00"
    assert encode.encode_suback(10, [1, 0x80]) == b"\x90\x04\x00\x0a\x01\x80"
    assert encode.encode_unsubscribe(11, ["a"]) == b"\xa2\x05\x00\x0b\x00\x01a"
    assert encode.encode_unsuback(11) == b"\xb0\x02\x00\x0b"
    assert encode.encode_puback(0x102) == b"\x40\x02\x01\x02"


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (127, b"\x30\x7f"),
        (128, b"\x30\x80\x01"),
        (16_383, b"\x30\xff\x7f"),
        (16_384, b"\x30\x80\x80\x01"),
        (2_097_152, b"\x30\x80\x80\x80\x01"),
    ],
)
def test_remaining_length(size: int, header: bytes) -> None:
    packet = encode.encode_publish("a", bytes(size - 3), packet_id=None)
    assert packet.startswith(header + b"\x00\x01a")
    assert len(packet) == len(header) + size


REFUSED: list[tuple[str, Callable[[], bytes]]] = [
    ("3.1.2-22", lambda: connect(password=b"x")),
    ("3.1.3-7", lambda: connect(client_id="")),
    ("keep_alive", lambda: connect(keep_alive=65_536)),
    ("keep_alive", lambda: connect(keep_alive=-1)),
    ("1.5.3-2", lambda: connect(username="a\0")),
    ("65535", lambda: connect(username="x" * 65_536)),
    ("surrogates", lambda: connect(client_id="\ud800")),
    ("0 to 5", lambda: encode.encode_connack(6, session_present=False)),
    ("3.2.2-4", lambda: encode.encode_connack(5, session_present=True)),
    ("3.3.1-2", lambda: encode.encode_publish("a", b"", packet_id=None, dup=True)),
    ("3.3.2-2", lambda: encode.encode_publish("a/#", b"", packet_id=None)),
    ("65535", lambda: encode.encode_publish("a" * 65_536, b"", packet_id=None)),
    ("3.8.3-3", lambda: encode.encode_subscribe(1, [])),
    ("QoS 0 and 1", lambda: encode.encode_subscribe(1, [("a", 2)])),
    ("4.7.1-2", lambda: encode.encode_subscribe(1, [("#/a", 1)])),
    ("3.9.3-2", lambda: encode.encode_suback(1, [3])),
    ("3.10.3-2", lambda: encode.encode_unsubscribe(1, [])),
    ("4.7.3-1", lambda: encode.encode_unsubscribe(1, [""])),
]


@pytest.mark.parametrize(("why", "make"), REFUSED)
def test_what_mqtt_cannot_say_is_refused(why: str, make: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match=why):
        make()


def test_a_packet_has_a_largest_size() -> None:
    with pytest.raises(ValueError, match="at most 268435455 bytes"):
        encode._packet(0x30, bytes(268_435_456))


def connect(
    *, client_id: str = "dev", username: str | None = None, password: bytes | None = None, keep_alive: int = 60
) -> bytes:
    return encode.encode_connect(
        client_id=client_id, username=username, password=password, keep_alive=keep_alive, clean_session=False
    )
