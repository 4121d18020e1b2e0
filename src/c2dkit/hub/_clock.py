"""The hub's clock: real time, which a test may move forward."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HubClock"]

LOOK_SECONDS: Final = 3600.0
"""An event loop's timer may not be arbitrarily far ahead; a moment that is gets looked at again."""

LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""No date is later than the end of that year, and what is counted from the hub's time needs room."""


class HubClock:
    """Coordinated universal time plus an offset that only grows.

    Attributes:
        silence: The part of the offset in which the peers are taken to have been silent.
    """

    def __init__(self) -> None:
        self.silence: timedelta = timedelta(0)
        self._offset = timedelta(0)
        self._callbacks: list[Callable[[], None]] = []

    @property
    def offset(self) -> timedelta:
        """How far the hub's time is ahead of the real one."""
        return self._offset

    def now(self) -> datetime:
        """Return the hub's time, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, delta: timedelta, *, silence: bool = False) -> None:
        """Move the hub's time forward: what falls due on the way happens at once, at the new time.

        Args:
            delta: How far.
            silence: Whether every client is taken to have said nothing meanwhile, so that the keep-alive of MQTT, the
                idle time-out of AMQP and the hub's other limits of patience count it too. A client that lives cannot
                have sent its pings in an hour that did not pass, so by default it is not held against it.

        Raises:
            InvalidInputError: ``delta`` is negative, or leads beyond the year 9998.
        """
        if delta < timedelta(0):
            raise InvalidInputError(f"the hub's clock moves forward only, not by {delta}")
        if delta > LATEST - self.now():
            raise InvalidInputError(f"the hub's clock goes to the end of the year 9998, which {delta} leads beyond")
        self._offset += delta
        if silence:
            self.silence += delta
        for callback in tuple(self._callbacks):
            callback()

    async def until(self, moment: datetime) -> None:
        """Wait until the clock shows ``moment``, be it reached by waiting or by `advance`, in whatever thread.

        Cancellation: safe.
        """
        loop, moved = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(moved.set)

        self._callbacks.append(wake)
        try:
            while (left := (moment - self.now()).total_seconds()) > 0:
                moved.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await moved.wait()
        finally:
            self._callbacks.remove(wake)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after every `advance`, in the caller's thread."""
        self._callbacks.append(callback)

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Undo `subscribe`."""
        self._callbacks.remove(callback)
