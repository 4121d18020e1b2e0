"""Reads packet bodies. Whatever is not MQTT 3.1.1 raises MqttProtocolError."""

from __future__ import annotations

from typing import NamedTuple

from c2dkit._protocols.mqtt._errors import MqttProtocolError
from c2dkit._protocols.mqtt._events import (
    ConnackReceived,
    ConnectReceived,
    PublishReceived,
    SubackReceived,
    SubscribeReceived,
    UnsubscribeReceived,
    Will,
)
from c2dkit._protocols.mqtt._topics import check_filter, check_topic

__all__ = [
    "MAX_FILTERS",
    "check_empty",
    "decode_connack",
    "decode_connect",
    "decode_packet_id",
    "decode_publish",
    "decode_suback",
    "decode_subscribe",
    "decode_unsubscribe",
]

MAX_FILTERS = 256
"""Topic filters in one SUBSCRIBE or UNSUBSCRIBE; the specification knows no limit, memory does."""


def decode_publish(first: int, body: bytes) -> PublishReceived:
    """Read a PUBLISH of any QoS; this is the hot path."""
    qos = first >> 1 & 3
    if len(body) < 2:
        raise MqttProtocolError("PUBLISH is too short")
    end = 2 + (body[0] << 8 | body[1])
    start = end + 2 if qos else end
    if len(body) < start:
        raise MqttProtocolError("PUBLISH is too short")
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError:
        raise MqttProtocolError("a topic is not UTF-8 (MQTT-1.5.3-1)") from None
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise MqttProtocolError("PUBLISH has a bad topic (MQTT-3.3.2-2, MQTT-4.7.3-1, MQTT-4.7.3-2)")
    packet_id = None
    if qos:
        packet_id = body[end] << 8 | body[end + 1]
        if qos == 3:
            raise MqttProtocolError("PUBLISH has QoS 3 (MQTT-3.3.1-4)")
        if not packet_id:
            raise MqttProtocolError("PUBLISH has packet id 0 (MQTT-2.3.1-1)")
    elif first & 8:
        raise MqttProtocolError("PUBLISH of QoS 0 has DUP set (MQTT-3.3.1-2)")
    return PublishReceived(topic, body[start:], qos, first & 1 == 1, first & 8 == 8, packet_id)


def decode_connect(body: bytes) -> ConnectReceived:
    """Read a CONNECT; the error's ``connack`` is set where the client must be told why."""
    fields = _Fields(body)
    if fields.text() != "MQTT":
        raise MqttProtocolError("CONNECT does not begin with the protocol name (MQTT-3.1.2-1)")
    if fields.uint8() != 4:
        raise MqttProtocolError("CONNECT has another protocol level than 4 (MQTT-3.1.2-2)", connack=1)
    flags = _ConnectFlags.parse(fields.uint8())
    keep_alive = fields.uint16()
    client_id = fields.text()
    will = _decode_will(fields, flags) if flags.will else None
    username = fields.text() if flags.username else None
    password = fields.binary() if flags.password else None
    fields.end()
    if not client_id and not flags.clean_session:
        raise MqttProtocolError("an empty client id needs a clean session (MQTT-3.1.3-8)", connack=2)
    return ConnectReceived(client_id, flags.clean_session, keep_alive, username, password, will)


class _ConnectFlags(NamedTuple):
    clean_session: bool
    will: bool
    will_qos: int
    will_retain: bool
    password: bool
    username: bool

    @classmethod
    def parse(cls, byte: int) -> _ConnectFlags:
        if byte & 1:
            raise MqttProtocolError("CONNECT has its reserved flag set (MQTT-3.1.2-3)")
        flags = cls(
            clean_session=bool(byte & 2),
            will=bool(byte & 4),
            will_qos=byte >> 3 & 3,
            will_retain=bool(byte & 32),
            password=bool(byte & 64),
            username=bool(byte & 128),
        )
        if flags.will_qos == 3:
            raise MqttProtocolError("a will has QoS 3 (MQTT-3.1.2-14)")
        if not flags.will and (flags.will_qos or flags.will_retain):
            raise MqttProtocolError("CONNECT has flags of a will but no will (MQTT-3.1.2-13, MQTT-3.1.2-15)")
        if flags.password and not flags.username:
            raise MqttProtocolError("CONNECT has a password without a username (MQTT-3.1.2-22)")
        return flags


def _decode_will(fields: _Fields, flags: _ConnectFlags) -> Will:
    return Will(_topic(fields.text()), fields.binary(), flags.will_qos, flags.will_retain)


def decode_connack(body: bytes) -> ConnackReceived:
    """Read a CONNACK."""
    fields = _Fields(body)
    flags, return_code = fields.uint8(), fields.uint8()
    fields.end()
    if flags > 1:
        raise MqttProtocolError("CONNACK has reserved flags set (3.2.2.1)")
    if return_code > 5:
        raise MqttProtocolError(f"CONNACK has the reserved return code {return_code} (3.2.2.3)")
    if return_code and flags:
        raise MqttProtocolError("CONNACK refuses the connection and has a session (MQTT-3.2.2-4)")
    return ConnackReceived(bool(flags), return_code)


def decode_packet_id(body: bytes) -> int:
    """Read a packet that is nothing but a packet id: PUBACK, UNSUBACK."""
    if len(body) != 2:
        raise MqttProtocolError("an acknowledgement is not just a packet id (3.4.1)")
    packet_id = body[0] << 8 | body[1]
    if not packet_id:
        raise MqttProtocolError("a packet id is 0 (MQTT-2.3.1-1)")
    return packet_id


def check_empty(body: bytes) -> None:
    """Read a packet that has no body: PINGREQ, PINGRESP, DISCONNECT."""
    _Fields(body).end()


def decode_subscribe(body: bytes) -> SubscribeReceived:
    """Read a SUBSCRIBE."""
    fields = _Fields(body)
    packet_id = fields.packet_id()
    filters: list[tuple[str, int]] = []
    while not fields.at_end:
        _check_filter_count(len(filters))
        filters.append((_filter(fields.text()), _requested_qos(fields.uint8())))
    if not filters:
        raise MqttProtocolError("SUBSCRIBE has no topic filter (MQTT-3.8.3-3)")
    return SubscribeReceived(packet_id, tuple(filters))


def decode_suback(body: bytes) -> SubackReceived:
    """Read a SUBACK."""
    fields = _Fields(body)
    packet_id = fields.packet_id()
    return_codes = tuple(fields.rest())
    if any(code not in (0, 1, 2, 0x80) for code in return_codes):
        raise MqttProtocolError("SUBACK has a reserved return code (MQTT-3.9.3-2)")
    return SubackReceived(packet_id, return_codes)


def decode_unsubscribe(body: bytes) -> UnsubscribeReceived:
    """Read an UNSUBSCRIBE."""
    fields = _Fields(body)
    packet_id = fields.packet_id()
    filters: list[str] = []
    while not fields.at_end:
        _check_filter_count(len(filters))
        filters.append(_filter(fields.text()))
    if not filters:
        raise MqttProtocolError("UNSUBSCRIBE has no topic filter (MQTT-3.10.3-2)")
    return UnsubscribeReceived(packet_id, tuple(filters))


def _check_filter_count(count: int) -> None:
    if count == MAX_FILTERS:
        raise MqttProtocolError(f"a packet has more than {MAX_FILTERS} topic filters")


def _requested_qos(byte: int) -> int:
    if byte > 2:
        raise MqttProtocolError("SUBSCRIBE has a bad requested QoS (MQTT-3-8.3-4)")
    return byte


def _topic(topic: str) -> str:
    try:
        check_topic(topic)
    except ValueError as error:
        raise MqttProtocolError(str(error)) from None
    return topic


def _filter(topic_filter: str) -> str:
    try:
        check_filter(topic_filter)
    except ValueError as error:
        raise MqttProtocolError(str(error)) from None
    return topic_filter


class _Fields:
    """Reads a body's fields from front to back."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._body)

    def uint8(self) -> int:
        return self._take(1)[0]

    def uint16(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def packet_id(self) -> int:
        packet_id = self.uint16()
        if not packet_id:
            raise MqttProtocolError("a packet id is 0 (MQTT-2.3.1-1)")
        return packet_id

    def binary(self) -> bytes:
        return self._take(self.uint16())

    def text(self) -> str:
        try:
            # Strict UTF-8 knows no surrogates, and U+FEFF stays (MQTT-1.5.3-1, MQTT-1.5.3-3).
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise MqttProtocolError("text is not UTF-8 (MQTT-1.5.3-1)") from None
        if "\0" in text:
            raise MqttProtocolError("text has U+0000 (MQTT-1.5.3-2)")
        return text

    def rest(self) -> bytes:
        return self._take(len(self._body) - self._at)

    def end(self) -> None:
        if not self.at_end:
            raise MqttProtocolError("a packet has bytes after its last field")

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._body):
            raise MqttProtocolError("a packet ends within a field")
        return self._body[start : self._at]
