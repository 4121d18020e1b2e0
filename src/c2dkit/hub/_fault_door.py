"""A door that faults may shut, and behind which they reach every connection's bytes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio

from c2dkit.hub._fault_stream import FaultyStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteStream

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._listener import Door, Visit

__all__ = ["FaultyDoor"]

log = logging.getLogger("c2dkit.hub")


class FaultyDoor:
    """Leads to another door, or nowhere while every new connection is refused."""

    def __init__(self, core: HubCore, door: Door) -> None:
        self._core = core
        self._door = door

    def __call__(self, stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None]) -> Visit:
        """Serve one connection."""
        if self._core.faults.refuses(None):
            log.info("a fault closed a new connection")
            return _Refused(stream, on_closed)
        return self._door(FaultyStream(stream, self._core.timers), initial, on_closed)


class _Refused:
    """A connection that ends as it comes."""

    def __init__(self, stream: ByteStream, on_closed: Callable[[Visit], None]) -> None:
        self._stream = stream
        self._on_closed = on_closed
        self._closing = asyncio.create_task(self._close())

    @property
    def is_known(self) -> bool:
        return False

    async def aclose(self) -> None:
        await self._closing

    async def _close(self) -> None:
        await anyio.aclose_forcefully(self._stream)
        self._on_closed(self)
