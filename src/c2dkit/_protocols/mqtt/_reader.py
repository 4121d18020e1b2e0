"""Cuts a byte stream into packets (MQTT 3.1.1, 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit._protocols.mqtt._errors import MqttProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PacketReader"]


class PacketReader:
    """Keeps what is not a whole packet yet, which is never more than ``max_packet_size`` bytes and one read.

    An unfinished packet is only appended to until its last byte has come, so small reads cost no more than large ones.
    """

    def __init__(self, max_packet_size: int) -> None:
        self._max_packet_size = max_packet_size
        self._unfinished = bytearray()
        self._needed = 0

    def packets(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the first byte and the body of each packet that ``data`` completes; to be run to its end."""
        if self._unfinished:
            self._unfinished += data
            if len(self._unfinished) < self._needed:
                return
            data = bytes(self._unfinished)
        start, size = 0, len(data)
        while True:
            body, end = self._measure(data, start, size)
            if end > size:
                break
            yield data[start], data[body:end]
            start = end
        self._unfinished = bytearray(data[start:])
        self._needed = end - start

    def _measure(self, data: bytes, start: int, size: int) -> tuple[int, int]:
        """Return where a packet's body begins and ends, or an end one past the data to ask for another byte."""
        length = shift = 0
        at = start + 1
        while at < size:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            if byte < 128:
                if at + length - start > self._max_packet_size:
                    raise MqttProtocolError(f"a packet is larger than {self._max_packet_size} bytes")
                return at, at + length
            shift += 7
            if shift == 28:
                raise MqttProtocolError("a remaining length has more than four bytes (2.2.3)")
        return at, size + 1
