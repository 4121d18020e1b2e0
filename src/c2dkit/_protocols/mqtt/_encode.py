"""Makes packets. Whatever cannot be said in MQTT 3.1.1 raises ValueError."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from c2dkit._protocols.mqtt._topics import check_filter, check_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DISCONNECT",
    "PINGREQ",
    "PINGRESP",
    "encode_connack",
    "encode_connect",
    "encode_puback",
    "encode_publish",
    "encode_suback",
    "encode_subscribe",
    "encode_unsuback",
    "encode_unsubscribe",
]

PINGREQ: Final = b"\xc0\x00"
PINGRESP: Final = b"\xd0\x00"
DISCONNECT: Final = b"\xe0\x00"

MAX_REMAINING_LENGTH = 268_435_455
_FIELD_MAX = 65_535
_PROTOCOL = b"\x00\x04MQTT\x04"
_UINT16 = struct.Struct(">H")
_ACKNOWLEDGEMENT = struct.Struct(">BBH")


def encode_connect(
    *, client_id: str, username: str | None, password: bytes | None, keep_alive: int, clean_session: bool
) -> bytes:
    """Make a CONNECT without a will."""
    if password is not None and username is None:
        raise ValueError("a password needs a username (MQTT-3.1.2-22)")
    if not client_id and not clean_session:
        raise ValueError("an empty client id needs a clean session (MQTT-3.1.3-7)")
    if not 0 <= keep_alive <= _FIELD_MAX:
        raise ValueError(f"keep_alive is 0 to {_FIELD_MAX} seconds")
    flags = clean_session << 1 | (username is not None) << 7 | (password is not None) << 6
    fields = [_PROTOCOL, bytes((flags,)), _UINT16.pack(keep_alive), _text(client_id)]
    if username is not None:
        fields.append(_text(username))
    if password is not None:
        fields.append(_binary(password))
    return _packet(0x10, b"".join(fields))


def encode_connack(return_code: int, *, session_present: bool) -> bytes:
    """Make a CONNACK."""
    if not 0 <= return_code <= 5:
        raise ValueError("a CONNACK return code is 0 to 5")
    if return_code and session_present:
        raise ValueError("a refused connection has no session (MQTT-3.2.2-4)")
    return bytes((0x20, 2, session_present, return_code))


def encode_publish(
    topic: str, payload: bytes, *, packet_id: int | None, dup: bool = False, retain: bool = False
) -> bytes:
    """Make a PUBLISH, of QoS 1 with a packet id and of QoS 0 without."""
    check_topic(topic)
    if packet_id is None:
        if dup:
            raise ValueError("a message of QoS 0 is never a duplicate (MQTT-3.3.1-2)")
        return _packet(0x30 | retain, _text(topic) + payload)
    return _packet(0x32 | dup << 3 | retain, _text(topic) + _UINT16.pack(packet_id) + payload)


def encode_puback(packet_id: int) -> bytes:
    """Make a PUBACK."""
    return _ACKNOWLEDGEMENT.pack(0x40, 2, packet_id)


def encode_subscribe(packet_id: int, filters: Sequence[tuple[str, int]]) -> bytes:
    """Make a SUBSCRIBE for QoS 0 or 1."""
    if not filters:
        raise ValueError("SUBSCRIBE needs at least one topic filter (MQTT-3.8.3-3)")
    if any(qos not in (0, 1) for _, qos in filters):
        raise ValueError("only QoS 0 and 1 are supported")
    wanted = b"".join(_filter(topic_filter) + bytes((qos,)) for topic_filter, qos in filters)
    return _packet(0x82, _UINT16.pack(packet_id) + wanted)


def encode_suback(packet_id: int, return_codes: Sequence[int]) -> bytes:
    """Make a SUBACK."""
    if any(code not in (0, 1, 2, 0x80) for code in return_codes):
        raise ValueError("a SUBACK return code is 0, 1, 2 or 0x80 (MQTT-3.9.3-2)")
    return _packet(0x90, _UINT16.pack(packet_id) + bytes(return_codes))


def encode_unsubscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    """Make an UNSUBSCRIBE."""
    if not filters:
        raise ValueError("UNSUBSCRIBE needs at least one topic filter (MQTT-3.10.3-2)")
    return _packet(0xA2, _UINT16.pack(packet_id) + b"".join(map(_filter, filters)))


def encode_unsuback(packet_id: int) -> bytes:
    """Make an UNSUBACK."""
    return _ACKNOWLEDGEMENT.pack(0xB0, 2, packet_id)


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    if length > MAX_REMAINING_LENGTH:
        raise ValueError(f"a packet has at most {MAX_REMAINING_LENGTH} bytes after its fixed header")
    header = bytearray((first,))
    while length > 127:
        header.append(length & 127 | 128)
        length >>= 7
    header.append(length)
    return bytes(header) + body


def _filter(topic_filter: str) -> bytes:
    check_filter(topic_filter)
    return _text(topic_filter)


def _text(text: str) -> bytes:
    if "\0" in text:
        raise ValueError("text has no U+0000 (MQTT-1.5.3-2)")
    # A surrogate raises UnicodeEncodeError, which is a ValueError (MQTT-1.5.3-1).
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    if len(data) > _FIELD_MAX:
        raise ValueError(f"a field has at most {_FIELD_MAX} bytes")
    return _UINT16.pack(len(data)) + data
