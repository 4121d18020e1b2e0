"""Polls while somebody waits, and hands over what comes without losing it to a cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from c2dkit.transports._ending import Ending
from c2dkit.transports._mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from c2dkit._errors import ClosedError
    from c2dkit.transports._https_polling import PollingInterval

__all__ = ["Poller"]

LINGER_SECONDS: Final = 1.0
"""How long ``close`` waits for the poll under way: what it brings is locked, and has to be given back."""

ItemT = TypeVar("ItemT")


class Poller(Generic[ItemT]):
    """Calls ``poll`` in a task of its own, one call at a time and only while somebody waits for an item.

    An item that comes after its waiter was cancelled is kept for the next one; there is at most one such. An error of
    ``poll`` goes to whoever waits; the next ``receive`` polls again, at once.

    Args:
        poll: Asks once; None means that there is nothing.
        interval: How long to wait after that.
    """

    def __init__(self, poll: Callable[[], Awaitable[ItemT | None]], interval: PollingInterval) -> None:
        self._poll = poll
        self._interval = interval
        self.ending = Ending()
        self._mailbox: Mailbox[ItemT] = Mailbox()
        self._waiting = 0
        self._empty_polls = 0
        self._due = 0.0
        self._polling = False
        self._task: asyncio.Task[None] | None = None

    async def receive(self) -> ItemT:
        """Return the next item; raises the error of a poll that failed, or of ``close``.

        Cancellation: safe, no item is lost.
        """
        self._waiting += 1
        try:
            if self._task is None and self._wanted():
                self._task = asyncio.create_task(self._run())
            return await self._mailbox.get()
        finally:
            self._waiting -= 1

    def _wanted(self) -> bool:
        return self.ending.error is None and self._waiting > len(self._mailbox)

    async def _run(self) -> None:
        try:
            while self._wanted():
                await asyncio.sleep(self._due - asyncio.get_running_loop().time())
                if self._wanted():
                    await self._poll_once()
        except Exception as error:  # noqa: BLE001 - whoever waits must learn why nothing comes
            self._due = 0.0
            self._mailbox.fail(error)
        finally:
            self._task = None

    async def _poll_once(self) -> None:
        self._polling = True
        try:
            item = await self._poll()
        finally:
            self._polling = False
        self.ending.went_well()
        if item is not None:
            self._mailbox.put(item)
        self._empty_polls = self._empty_polls + 1 if item is None else 0
        self._due = asyncio.get_running_loop().time() + self._interval.after(self._empty_polls).total_seconds()

    async def close(self, error: ClosedError) -> None:
        """Stop polling; every ``receive`` fails with ``error`` from now on. Idempotent.

        Cancellation: polling still stops, without being waited for.
        """
        self.ending.come(error)
        self._mailbox.close(error)
        task = self._task
        if task is None:
            return
        try:
            if self._polling:
                await asyncio.wait([task], timeout=LINGER_SECONDS)
        finally:
            task.cancel()
        await asyncio.wait([task])
