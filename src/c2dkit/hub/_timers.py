"""Calls back at moments of the hub's clock, be they reached by waiting or by moving the clock."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from c2dkit.hub._clock import HubClock

__all__ = ["PatienceTimers", "Timer", "Timers"]

LONGEST_SLEEP_SECONDS: Final = 3600.0
"""An event loop's timer may not be arbitrarily far ahead; a moment that is gets looked at again."""

MomentT = TypeVar("MomentT", datetime, float)


class Timer(Generic[MomentT]):
    """One callback to come."""

    def __init__(self, timers: _Timers[MomentT], moment: MomentT, callback: Callable[[], None]) -> None:
        self._timers: _Timers[MomentT] = timers
        self._callback = callback
        self._sleep: asyncio.TimerHandle | None = None
        self._moment: MomentT = moment

    def when(self) -> MomentT:
        """Return the moment of the callback."""
        return self._moment

    def cancel(self) -> None:
        """Never call back. Idempotent."""
        self._wake()
        self._timers.forget(self)

    def look(self) -> None:
        """Call back if it is time, otherwise sleep until it is."""
        if self._moment > self._timers.time():
            self.sleep()
            return
        self.cancel()
        self._callback()

    def sleep(self) -> None:
        """Have the time looked at again when it should have come."""
        self._wake()
        seconds = max(0.0, min(self._timers.seconds_until(self._moment), LONGEST_SLEEP_SECONDS))
        self._sleep = asyncio.get_running_loop().call_later(seconds, self.look)

    def _wake(self) -> None:
        if self._sleep is not None:
            self._sleep.cancel()
            self._sleep = None


class _Timers(ABC, Generic[MomentT]):
    """The callbacks to come of one running hub, by one reading of its clock."""

    def __init__(self, clock: HubClock) -> None:
        self._clock = clock
        self._timers: dict[Timer[MomentT], None] = {}
        clock.subscribe(self._look_at_all)

    @abstractmethod
    def time(self) -> MomentT:
        """Return what the clock shows."""

    @abstractmethod
    def seconds_until(self, moment: MomentT) -> float:
        """Return how far a moment is ahead."""

    def call_at(self, moment: MomentT, callback: Callable[[], None], /) -> Timer[MomentT]:
        """Call back once the clock shows ``moment``; never before this call has returned."""
        timer = Timer(self, moment, callback)
        self._timers[timer] = None
        timer.sleep()
        return timer

    def stop(self) -> None:
        """Call back no more; the clock may outlive this."""
        self._clock.unsubscribe(self._look_at_all)
        for timer in tuple(self._timers):
            timer.cancel()

    def forget(self, timer: Timer[MomentT]) -> None:
        """Drop a timer that is done."""
        self._timers.pop(timer, None)

    def _look_at_all(self) -> None:
        for timer in sorted(self._timers, key=lambda timer: timer.when()):
            if timer in self._timers:  # what came before may have cancelled it
                timer.look()


class Timers(_Timers[datetime]):
    """By the hub's time: locks, expiry, tokens, faults."""

    def time(self) -> datetime:
        """Return the hub's time."""
        return self._clock.now()

    def seconds_until(self, moment: datetime) -> float:
        """Return how far a moment is ahead."""
        return (moment - self._clock.now()).total_seconds()


class PatienceTimers(_Timers[float]):
    """By how long peers have been silent: real time, and what was advanced ``silence=True``.

    Drivers keep their engines' time by it, in the place of the event loop's.
    """

    def time(self) -> float:
        """Return seconds that never go back."""
        return asyncio.get_running_loop().time() + self._clock.silence.total_seconds()

    def seconds_until(self, moment: float) -> float:
        """Return how far a moment is ahead."""
        return moment - self.time()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer[float]:
        """Call back after so many seconds."""
        return self.call_at(self.time() + seconds, callback)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncGenerator[None]:
        """End the block with TimeoutError when it takes longer than that."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as scope:
            timer = self.call_later(seconds, lambda: scope.reschedule(loop.time()))
            try:
                yield
            finally:
                timer.cancel()
