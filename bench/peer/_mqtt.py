"""MQTT 3.1.1: a real CONNECT and SUBSCRIBE, then PUBLISH packets that were encoded beforehand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench.peer._traffic import BODY, DEVICE_ADDRESS, DEVICE_ID, message_id

if TYPE_CHECKING:
    from bench.peer._score import Score

__all__ = ["MqttFlood"]

CONNECT, PUBACK, SUBSCRIBE, PINGREQ = 1, 4, 8, 12
CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"

LAP = 60_000
"""Packets encoded beforehand, with the packet identifiers 1 to LAP; far more than are ever in flight."""


def _remaining_length(length: int) -> bytes:
    out = bytearray()
    while True:
        length, digit = divmod(length, 128)
        if not length:
            out.append(digit)
            return bytes(out)
        out.append(digit | 0x80)


def _topic(index: int) -> bytes:
    bag = (
        f"%24.mid={message_id(index)}&%24.to={quote(DEVICE_ADDRESS, safe='')}"
        "&%24.ct=application%2Fjson&%24.ce=utf-8&iothub-ack=full&led=green&level=7"
    )
    return f"devices/{DEVICE_ID}/messages/devicebound/{bag}".encode()


def _publish(packet_id: int) -> bytes:
    topic = _topic(packet_id)
    content = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + BODY
    return b"\x32" + _remaining_length(len(content)) + content


class MqttFlood(asyncio.Protocol):
    """Keeps ``window`` messages unacknowledged. PUBACKs must come in the order of the PUBLISHes (MQTT-4.6.0-2)."""

    _publishes = memoryview(b"")
    _pubacks = memoryview(b"")
    _size = 0

    def __init__(self, score: Score, window: int) -> None:
        self._score = score
        self._window = window
        self._unread = b""
        self._sent = 0
        self._acknowledged = 0
        self._subscribed = False
        self._transport: asyncio.Transport

    @classmethod
    def prepare(cls) -> None:
        """Encode a lap of messages and, twice over so that no slice of it wraps, the acknowledgements expected."""
        packet_ids = range(1, LAP + 1)
        cls._publishes = memoryview(b"".join(map(_publish, packet_ids)))
        cls._pubacks = memoryview(b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in packet_ids) * 2)
        cls._size = len(cls._publishes) // LAP

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._score.fail(f"the client closed the connection: {exc or 'end of stream'}")

    def data_received(self, data: bytes) -> None:
        if self._unread:
            data = self._unread + data
        self._unread = data[self._take_pubacks(data) :]
        while (packet := self._next_packet()) is not None:
            self._answer(packet)
        self._flood()

    def _take_pubacks(self, data: bytes) -> int:
        size = len(data) & ~3
        start = self._acknowledged % LAP * 4
        count = size // 4
        if count > self._sent - self._acknowledged or data[:size] != self._pubacks[start : start + size]:
            return 0
        self._acknowledged += count
        self._score.add(count)
        return size

    def _next_packet(self) -> bytes | None:
        data = self._unread
        length = shift = 0
        for position in range(1, min(5, len(data))):
            length |= (data[position] & 0x7F) << shift
            shift += 7
            if data[position] < 0x80:
                end = position + 1 + length
                if len(data) < end:
                    return None
                self._unread = data[end:]
                return data[:end]
        return None

    def _answer(self, packet: bytes) -> None:
        kind = packet[0] >> 4
        if kind == PUBACK:
            if self._take_pubacks(packet) == 0:
                self._score.fail(f"a PUBACK out of order or for no message: {packet.hex()}")
        elif kind == CONNECT:
            self._transport.write(CONNACK)
        elif kind == SUBSCRIBE:
            self._subscribed = True
            self._transport.write(b"\x90\x03" + packet[2:4] + b"\x01")
        elif kind == PINGREQ:
            self._transport.write(PINGRESP)
        else:
            self._score.fail(f"packet type {kind}")

    def _flood(self) -> None:
        if not self._subscribed:
            return
        while free := self._window - (self._sent - self._acknowledged):
            start = self._sent % LAP
            count = min(free, LAP - start)
            self._transport.write(self._publishes[start * self._size : (start + count) * self._size])
            self._sent += count
