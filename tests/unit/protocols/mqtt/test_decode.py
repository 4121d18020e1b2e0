from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.mqtt import MqttProtocolError, Will
from c2dkit._protocols.mqtt import _decode as decode

if TYPE_CHECKING:
    from collections.abc import Callable


def connect(flags: int, payload: bytes, *, head: bytes = b"\x00\x04MQTT\x04") -> bytes:
    return head + bytes((flags,)) + b"\x00\x3c" + payload


def test_a_will_is_read() -> None:
    body = connect(0xEE, b"\x00\x01c\x00\x03w/t\x00\x02\x00\xff\x00\x01u\x00\x02pw")
    assert tuple(decode.decode_connect(body)) == ("c", True, 60, "u", b"pw", Will("w/t", b"\x00\xff", 1, True))


def test_text_keeps_a_byte_order_mark() -> None:
    body = connect(2, b"\x00\x04\xef\xbb\xbfc")
    assert decode.decode_connect(body).client_id == "\ufeffc"


@pytest.mark.parametrize(
    ("body", "why", "connack"),
    [
        (connect(2, b"\x00\x00", head=b"\x00\x06MQIsdp\x03"), "MQTT-3.1.2-1", None),
        (connect(2, b"\x00\x00", head=b"\x00\x04mqtt\x04"), "MQTT-3.1.2-1", None),
        (connect(2, b"\x00\x00", head=b"\x00\x04MQTT\x05"), "MQTT-3.1.2-2", 1),
        (connect(3, b"\x00\x00"), "MQTT-3.1.2-3", None),
        (connect(0x0A, b"\x00\x00"), "MQTT-3.1.2-13", None),
        (connect(0x22, b"\x00\x00"), "MQTT-3.1.2-15", None),
        (connect(0x1E, b"\x00\x00"), "MQTT-3.1.2-14", None),
        (connect(0x42, b"\x00\x00\x00\x00"), "MQTT-3.1.2-22", None),
        (connect(0, b"\x00\x00"), "MQTT-3.1.3-8", 2),
        (connect(6, b"\x00\x00\x00\x01#\x00\x00"), "MQTT-3.3.2-2", None),
        (connect(2, b"\x00\x02c\x00"), "MQTT-1.5.3-2", None),
        (connect(2, b"\x00\x03\xed\xa0\x80"), "MQTT-1.5.3-1", None),
        (connect(2, b"\x00\x05c"), "within a field", None),
        (connect(2, b"\x00\x01cx"), "after its last field", None),
        (b"", "within a field", None),
    ],
)
def test_a_bad_connect_is_refused(body: bytes, why: str, connack: int | None) -> None:
    with pytest.raises(MqttProtocolError, match=why) as caught:
        decode.decode_connect(body)
    assert caught.value.connack == connack


@pytest.mark.parametrize(
    ("first", "body", "why"),
    [
        (0x30, b"", "too short"),
        (0x30, b"\x00", "too short"),
        (0x30, b"\x00\x02a", "too short"),
        (0x32, b"\x00\x01a\x00", "too short"),
        (0x32, b"\x00\x01a\x00\x00", "MQTT-2.3.1-1"),
        (0x36, b"\x00\x01a\x00\x01", "MQTT-3.3.1-4"),
        (0x38, b"\x00\x01a", "MQTT-3.3.1-2"),
        (0x30, b"\x00\x01+", "MQTT-3.3.2-2"),
        (0x30, b"\x00\x01#", "MQTT-3.3.2-2"),
        (0x30, b"\x00\x00", "MQTT-4.7.3-1"),
        (0x30, b"\x00\x01\x00", "MQTT-4.7.3-2"),
        (0x30, b"\x00\x01\xff", "MQTT-1.5.3-1"),
    ],
)
def test_a_bad_publish_is_refused(first: int, body: bytes, why: str) -> None:
    with pytest.raises(MqttProtocolError, match=why):
        decode.decode_publish(first, body)


def test_a_publish_of_qos_2_is_read() -> None:
    assert decode.decode_publish(0x34, b"\x00\x01a\x00\x07x") == ("a", b"x", 2, False, False, 7)


def test_a_long_topic_is_read() -> None:
    event = decode.decode_publish(0x32, b"\x01\x02" + b"a" * 0x102 + b"\x01\x02x")
    assert event == ("a" * 0x102, b"x", 1, False, False, 0x102)


MANY = b"\x00\x01" + b"\x00\x01a\x01" * (decode.MAX_FILTERS + 1)
MANY_NAMES = b"\x00\x01" + b"\x00\x01a" * (decode.MAX_FILTERS + 1)


@pytest.mark.parametrize(
    ("read", "body", "why"),
    [
        (decode.decode_connack, b"\x02\x00", "reserved flags"),
        (decode.decode_connack, b"\x00\x06", "reserved return code"),
        (decode.decode_connack, b"\x01\x05", "MQTT-3.2.2-4"),
        (decode.decode_connack, b"\x00", "within a field"),
        (decode.decode_connack, b"\x00\x00\x00", "after its last field"),
        (decode.decode_packet_id, b"\x00\x00", "MQTT-2.3.1-1"),
        (decode.decode_packet_id, b"\x01", "3.4.1"),
        (decode.decode_packet_id, b"\x00\x01\x00", "3.4.1"),
        (decode.check_empty, b"x", "after its last field"),
        (decode.decode_subscribe, b"\x00\x01", "MQTT-3.8.3-3"),
        (decode.decode_subscribe, b"\x00\x00\x00\x01a\x00", "MQTT-2.3.1-1"),
        (decode.decode_subscribe, b"\x00\x01\x00\x01a\x03", "MQTT-3-8.3-4"),
        (decode.decode_subscribe, b"\x00\x01\x00\x01a\x81", "MQTT-3-8.3-4"),
        (decode.decode_subscribe, b"\x00\x01\x00\x01a", "within a field"),
        (decode.decode_subscribe, b"\x00\x01\x00\x02a#\x01", "MQTT-4.7.1-2"),
        (decode.decode_subscribe, MANY, "more than 256"),
        (decode.decode_suback, b"\x00\x01\x03", "MQTT-3.9.3-2"),
        (decode.decode_suback, b"\x00", "within a field"),
        (decode.decode_unsubscribe, b"\x00\x01", "MQTT-3.10.3-2"),
        (decode.decode_unsubscribe, b"\x00\x01\x00\x00", "MQTT-4.7.3-1"),
        (decode.decode_unsubscribe, MANY_NAMES, "more than 256"),
    ],
)
def test_a_bad_packet_is_refused(read: Callable[[bytes], object], body: bytes, why: str) -> None:
    with pytest.raises(MqttProtocolError, match=why):
        read(body)


def test_as_many_topic_filters_as_allowed_are_read() -> None:
    assert len(decode.decode_subscribe(MANY[:-4]).filters) == decode.MAX_FILTERS
    assert len(decode.decode_unsubscribe(MANY_NAMES[:-3]).filters) == decode.MAX_FILTERS


READERS: list[Callable[[bytes], object]] = [
    decode.decode_connect,
    decode.decode_connack,
    decode.decode_packet_id,
    decode.decode_subscribe,
    decode.decode_suback,
    decode.decode_unsubscribe,
    lambda body: decode.decode_publish(0x30, body),
    lambda body: decode.decode_publish(0x3B, body),
]


@given(read=st.sampled_from(READERS), body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], object], body: bytes) -> None:
    try:
        event = read(body)
    except MqttProtocolError:
        return
    assert event is not None
