"""Holds back what a hub says until what it says is on the disk: the one place for all protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio.abc import ByteStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from c2dkit.hub._listener import Door, Visit
    from c2dkit.hub._store import Store

__all__ = ["DurableStream", "durable"]


class DurableStream(ByteStream):
    """A client's connection to a hub with a store.

    Args:
        stream: The connection.
        store: Is waited for before anything is sent.
    """

    def __init__(self, stream: ByteStream, store: Store) -> None:
        self._stream = stream
        self._store = store

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the connection."""
        return self._stream.extra_attributes  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - so in anyio

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next bytes."""
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send bytes once all that the hub has done by now is on the disk.

        Raises:
            HubDataError: It is not; nothing was sent.
        """
        await self._store.committed()
        await self._stream.send(item)

    async def send_eof(self) -> None:
        """Send no more."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


def durable(door: Door, store: Store) -> Door:
    """Return a door whose clients are told nothing that is not on the disk."""

    def lead(stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None], /) -> Visit:
        return door(DurableStream(stream, store), initial, on_closed)

    return lead
