"""Holds back what a hub says until what it says is on the disk: the one place for all protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit.hub._wrapped_stream import WrappedStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteStream

    from c2dkit.hub._listener import Door, Visit
    from c2dkit.hub._store import Store

__all__ = ["DurableStream", "durable"]


class DurableStream(WrappedStream):
    """A client's connection to a hub with a store.

    Args:
        stream: The connection.
        store: Is waited for before anything is sent.
    """

    def __init__(self, stream: ByteStream, store: Store) -> None:
        super().__init__(stream)
        self._store = store

    async def send(self, item: bytes) -> None:
        """Send bytes once all that the hub has done by now is on the disk.

        Raises:
            HubDataError: It is not; nothing was sent.
        """
        await self._store.committed()
        await super().send(item)


def durable(door: Door, store: Store) -> Door:
    """Return a door whose clients are told nothing that is not on the disk."""

    def lead(stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None], /) -> Visit:
        return door(DurableStream(stream, store), initial, on_closed)

    return lead
