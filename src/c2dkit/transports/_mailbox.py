"""Hands items from an event handler to the coroutines that wait for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Mailbox"]

ItemT = TypeVar("ItemT")


class Mailbox(Generic[ItemT]):
    """First in, first out, for any number of waiting coroutines, until it is closed with an error.

    It has no bound of its own: the transport bounds what it lets the peer send.
    """

    def __init__(self) -> None:
        self._items: deque[ItemT] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: ItemT) -> None:
        """Add an item; ignored once closed."""
        if self._error is None:
            self._items.append(item)
            self._wake_one()

    async def get(self) -> ItemT:
        """Return the oldest item, waiting for one; raises the closing error.

        Cancellation: safe, no item is lost.
        """
        while not self._items:
            if self._error is not None:
                raise self._error.with_traceback(None)
            await self._wait()
        return self._items.popleft()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.cancelled():
                with contextlib.suppress(ValueError):  # a put in between has removed it
                    self._waiters.remove(waiter)
            elif self._items:
                self._wake_one()  # cancelled after being woken: the item is somebody else's to take
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def fail(self, error: Exception) -> None:
        """Raise an error in every ``get`` that waits, and in none to come."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()

    def close(self, error: Exception) -> None:
        """Drop what nobody has taken and fail every ``get`` from now on. The first error stays."""
        if self._error is not None:
            return
        self._error = error
        self._items.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
