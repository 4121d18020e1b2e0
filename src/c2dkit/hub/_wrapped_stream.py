"""A client's connection with something of the hub's around it; what a subclass does not change goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio.abc import ByteStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["WrappedStream"]


class WrappedStream(ByteStream):
    """All that the stream within does.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the connection."""
        return self._stream.extra_attributes  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - so in anyio

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return the next bytes."""
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send bytes."""
        await self._stream.send(item)

    async def send_eof(self) -> None:
        """Send no more."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()
