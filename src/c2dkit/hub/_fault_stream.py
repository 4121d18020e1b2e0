"""The byte stream under every door, through which faults reach the bytes of one connection."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from anyio import BrokenResourceError, TypedAttributeSet, typed_attribute
from anyio.abc import SocketAttribute

from c2dkit.hub._wrapped_stream import WrappedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import ByteStream

    from c2dkit.hub._timers import Timers

__all__ = ["FaultyStream", "Wire", "wire_of"]

RESET: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER on, for no time: closing the socket then resets the connection."""


class Wire:
    """What faults do to one connection.

    Attributes:
        delay: How long what is sent waits first. What comes meanwhile waits behind it, and then as long itself. What
            waits already leaves sooner where this grows less, and no later where it grows.
        is_reset: Whether it ends with a TCP reset.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.delay: timedelta = timedelta(0)
        self.is_reset: bool = False
        self._stream = stream
        self._holds = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._relieved = asyncio.Event()

    def burden(self, by: timedelta | None) -> None:
        """Send later by so much; None: let no byte through, either way, and lose none."""
        if by is not None:
            self.delay += by
            return
        self._holds += 1
        self._flows.clear()

    def relieve(self, by: timedelta | None) -> None:
        """Undo one `burden`."""
        if by is not None:
            self.delay -= by
            self._relieved.set()
            return
        self._holds -= 1
        if not self._holds:
            self._flows.set()

    async def delayed(self, timers: Timers) -> None:
        """Wait for the delay, or until it is over."""
        begun, longest = timers.time(), self.delay
        while (due := begun + min(longest, self.delay)) > timers.time():
            self._relieved.clear()
            timer = timers.call_at(due, self._relieved.set)
            try:
                await self._relieved.wait()
            finally:
                timer.cancel()

    async def flowing(self) -> None:
        """Wait until bytes may go through."""
        await self._flows.wait()

    def reset_at_end(self) -> None:
        """Have the connection end with a TCP reset, which loses what is on its way."""
        self.is_reset = True
        self._stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)  # noqa: S610 - anyio's, not Django's


class _WireAttribute(TypedAttributeSet):
    wire: Wire = typed_attribute()


def wire_of(stream: ByteStream) -> Wire:
    """Return the wire that is under a stream, through a WebSocket too."""
    return stream.extra(_WireAttribute.wire)  # noqa: S610 - anyio's, not Django's


class FaultyStream(WrappedStream):
    """A stream on whose wire there may be faults."""

    def __init__(self, stream: ByteStream, timers: Timers) -> None:
        super().__init__(stream)
        self._timers = timers
        self._wire = Wire(stream)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream under it, and the wire."""
        return {**self._stream.extra_attributes, _WireAttribute.wire: lambda: self._wire}  # pyright: ignore[reportUnknownMemberType] - so in anyio

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next bytes, once they may come through."""
        data = await super().receive(max_bytes)
        await self._wire.flowing()
        return data

    async def send(self, item: bytes) -> None:
        """Send bytes, once they may go through."""
        if self._wire.delay:
            await self._wire.delayed(self._timers)
        await self._wire.flowing()
        if self._wire.is_reset:
            raise BrokenResourceError
        await super().send(item)
