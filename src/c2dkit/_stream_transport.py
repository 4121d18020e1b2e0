"""Runs a protocol of asyncio's, such as aiohttp's, over a byte stream that is open already.

asyncio's own TLS keeps 256 KiB for each connection; the byte streams of ``_net`` a fifth of that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from c2dkit._driver import Driver

if TYPE_CHECKING:
    from anyio.abc import ByteStream

__all__ = ["StreamTransport"]

HIGH_WATER: Final = 65_536
"""Bytes that may wait to be sent before the protocol is told to pause."""


class StreamTransport(asyncio.Transport):
    """A transport for the protocol, and its engine for the driver: what comes goes to the one, what waits to the other.

    Args:
        stream: The connection; the transport closes it.
        protocol: Reads and writes.

    Attributes:
        cause: What broke the connection, once it is over; None for an end in order.
    """

    def __init__(self, stream: ByteStream, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.cause: Exception | None = None
        self._protocol = protocol
        self._unsent = bytearray()
        self._writing_paused = False
        self._closing = False
        self._driver: Driver[None] = Driver(stream, self, handle=lambda _: None, on_closed=self._closed)

    def start(self, initial: bytes = b"") -> None:
        """Begin; ``initial`` is what had been read from the stream before."""
        self._protocol.connection_made(self)
        self._driver.start(initial)

    async def aclose(self) -> None:
        """End the connection once everything is sent, or cannot be within a second, and wait for it. Idempotent."""
        self._closing = True
        await self._driver.aclose()

    def receive_data(self, data: bytes) -> list[None]:
        """Hand the protocol what came in."""
        self._protocol.data_received(data)
        return []

    def data_to_send(self) -> bytes:
        """Return what waits; all before it has been sent."""
        data = bytes(self._unsent)
        self._unsent.clear()
        if self._writing_paused:
            self._writing_paused = False
            self._protocol.resume_writing()
        return data

    def tick(self, now: float) -> None:
        """Nothing is due: what runs over a transport keeps its own time."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Have bytes sent; nothing happens on a transport that is closing."""
        if self._closing:
            return
        self._unsent += data
        self._driver.wake()
        if len(self._unsent) > HIGH_WATER and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def is_closing(self) -> bool:
        """Say whether nothing more can be sent."""
        return self._closing

    def close(self) -> None:
        """End the connection once everything is sent."""
        self._closing = True
        self._driver.finish()

    def abort(self) -> None:
        """End the connection; what waits is not sent."""
        self._unsent.clear()
        self.close()

    def pause_reading(self) -> None:
        """Hand the protocol no more than what is being read now."""
        self._driver.pause_reading()

    def resume_reading(self) -> None:
        """Undo ``pause_reading``."""
        self._driver.resume_reading()

    def _closed(self, cause: Exception | None) -> None:
        self._closing = True
        self.cause = cause
        self._protocol.connection_lost(cause)
