"""Takes messages and has each handled in a task of its own; ends with none of these tasks left."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import anyio

from c2dkit._errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

__all__ = ["DEFAULT_DRAIN", "Run"]

log = logging.getLogger("c2dkit")

DEFAULT_DRAIN: Final = timedelta(seconds=8)
"""Less than the ten seconds that Docker lets pass between SIGTERM and SIGKILL (docker stop, ``--time``)."""
MAX_DRAIN: Final = timedelta(minutes=10)

ItemT = TypeVar("ItemT")
ItemT_contra = TypeVar("ItemT_contra", contravariant=True)


class Handling(Protocol[ItemT_contra]):
    """What is done with one item."""

    async def handle(self, message: ItemT_contra, /) -> None: ...
    def stop(self) -> None: ...


class Run(Generic[ItemT]):
    """One call of ``DeviceReceiver.run``.

    Args:
        items: Where the items come from.
        handling: What to do with each; an error that it raises ends the run.
        room: How many items may be taken and not handled yet, at least 1.
        drain: How long the handlers under way have at the end.

    Raises:
        InvalidInputError: ``drain`` is out of its range.
    """

    def __init__(self, items: AsyncIterator[ItemT], handling: Handling[ItemT], *, room: int, drain: timedelta) -> None:
        if not timedelta(0) <= drain <= MAX_DRAIN:
            raise InvalidInputError(f"drain must be 0 to {MAX_DRAIN}, not {drain}")
        self._items = items
        self._handling = handling
        self._room = asyncio.Semaphore(room)
        self._drain_seconds = drain.total_seconds()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Go on until there are no more items, or until something fails, or this is cancelled."""
        taking = self._start(self._take())
        taking.add_done_callback(lambda _: self._over.set())
        try:
            await self._over.wait()
        finally:
            taking.cancel()
            self._handling.stop()
            # A scope of anyio cancels again and again; that is still the first time.
            with anyio.CancelScope(shield=True):
                await self._drain()
        if self._error is not None:
            raise self._error

    async def _take(self) -> None:
        while await self._room.acquire():
            try:
                item = await anext(self._items)
            except StopAsyncIteration:
                return
            self._start(self._handling.handle(item)).add_done_callback(lambda _: self._room.release())

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        log.error("a run ends with %r", error)
        self._error = self._error or error
        self._over.set()

    async def _drain(self) -> None:
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._drain_seconds)
        finally:
            await self._cancel()

    async def _cancel(self) -> None:
        """Cancel what is left and wait for its end, and cancel it again whenever this is cancelled."""
        again: asyncio.CancelledError | None = None
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            try:
                await asyncio.wait(self._tasks)
            except asyncio.CancelledError as error:
                again = error
        if again is not None:
            raise again
