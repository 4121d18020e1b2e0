"""A lap of TRANSFER frames, encoded once per process and patched for each link and each lap."""

from __future__ import annotations

from bench.peer._traffic import BODY, DEVICE_ADDRESS, message_id
from c2dkit._protocols import amqp

__all__ = ["LAP", "TransferLap"]

LAP = 65_536
"""Frames in a lap: the low two bytes of a delivery-id say which frame it is, so only the high two are patched."""

# Part 2, 2.7.5: a described list8 of handle, delivery-id, delivery-tag (16 bytes, the lock token), message-format 0,
# settled false, more false, behind a frame header of 8 bytes with the channel in its last two.
CHANNEL_AT = 6
HANDLE_AT = 15
DELIVERY_ID_AT = 17


def _payloads() -> list[bytes]:
    marker = message_id(0)
    encoded = amqp.encode_message(
        amqp.AmqpMessage(
            message_annotations={
                amqp.Symbol("x-opt-sequence-number"): amqp.ULong(1 << 40),
                amqp.Symbol("iothub-enqueuedtime"): amqp.Timestamp(1_767_225_600_000),
                amqp.Symbol("iothub-deliverycount"): amqp.UByte(0),
            },
            properties=amqp.Properties(
                message_id=marker,
                to=DEVICE_ADDRESS,
                content_type=amqp.Symbol("application/json"),
                content_encoding=amqp.Symbol("utf-8"),
            ),
            application_properties={"iothub-ack": "full", "led": "green", "level": "7"},
            data=BODY,
        )
    )
    before, after = encoded.split(marker.encode())
    return [before + message_id(index).encode() + after for index in range(LAP)]


def _frame(index: int, payload: bytes) -> bytes:
    tag = index.to_bytes(4, "big") * 4
    content = b"\x06\x52\x00\x70" + index.to_bytes(4, "big") + b"\xa0\x10" + tag + b"\x43\x42\x42"
    performative = b"\x00\x53\x14\xc0" + len(content).to_bytes(1, "big") + content
    size = 8 + len(performative) + len(payload)
    return size.to_bytes(4, "big") + b"\x02\x00\x00\x00" + performative + payload


class TransferLap:
    """The frames of one link, given out in the order of their delivery-ids."""

    _template = b""

    def __init__(self, channel: int, handle: int, delivery_id: int) -> None:
        self._frames = bytearray(self._template)
        self._size = len(self._frames) // LAP
        self._next = delivery_id
        for place, value in enumerate(channel.to_bytes(2, "big")):
            self._patch(CHANNEL_AT + place, value)
        self._patch(HANDLE_AT, handle)
        self._start_lap()

    @classmethod
    def prepare(cls) -> None:
        """Encode the messages."""
        cls._template = b"".join(_frame(index, payload) for index, payload in enumerate(_payloads()))

    def take(self, count: int) -> list[bytes]:
        """Return the next ``count`` frames, joined, in one piece or more."""
        pieces = []
        while count:
            start = self._next % LAP
            run = min(count, LAP - start)
            pieces.append(bytes(memoryview(self._frames)[start * self._size : (start + run) * self._size]))
            self._next += run
            count -= run
            if self._next % LAP == 0:
                self._start_lap()
        return pieces

    def _start_lap(self) -> None:
        for place, value in enumerate(self._next.to_bytes(4, "big")[:2]):
            self._patch(DELIVERY_ID_AT + place, value)

    def _patch(self, place: int, value: int) -> None:
        self._frames[place :: self._size] = bytes([value]) * LAP
