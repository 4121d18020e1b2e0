"""Calls back at moments of the hub's clock, be they reached by waiting or by moving the clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from c2dkit.hub._clock import HubClock

__all__ = ["Timer", "Timers"]

LONGEST_SLEEP_SECONDS: Final = 3600.0
"""An event loop's timer may not be arbitrarily far ahead; a moment that is gets looked at again."""


class Timer:
    """One callback to come."""

    def __init__(self, timers: Timers, moment: datetime, callback: Callable[[], None]) -> None:
        self._timers = timers
        self._callback = callback
        self._sleep: asyncio.TimerHandle | None = None
        self.moment = moment

    def cancel(self) -> None:
        """Never call back. Idempotent."""
        self._wake()
        self._timers.forget(self)

    def look(self, now: datetime) -> None:
        """Call back if it is time, otherwise sleep until it is."""
        if self.moment > now:
            self.sleep(now)
            return
        self.cancel()
        self._callback()

    def sleep(self, now: datetime) -> None:
        """Have the time looked at again when it should have come."""
        self._wake()
        seconds = max(0.0, min((self.moment - now).total_seconds(), LONGEST_SLEEP_SECONDS))
        self._sleep = asyncio.get_running_loop().call_later(seconds, self._timers.look, self)

    def _wake(self) -> None:
        if self._sleep is not None:
            self._sleep.cancel()
            self._sleep = None


class Timers:
    """The callbacks to come of one running hub."""

    def __init__(self, clock: HubClock) -> None:
        self._clock = clock
        self._timers: dict[Timer, None] = {}
        clock.subscribe(self._look_at_all)

    def call_at(self, moment: datetime, callback: Callable[[], None]) -> Timer:
        """Call back once the hub's clock shows ``moment``; never before this call has returned."""
        timer = Timer(self, moment, callback)
        self._timers[timer] = None
        timer.sleep(self._clock.now())
        return timer

    def stop(self) -> None:
        """Call back no more."""
        for timer in tuple(self._timers):
            timer.cancel()

    def forget(self, timer: Timer) -> None:
        """Drop a timer that is done."""
        self._timers.pop(timer, None)

    def look(self, timer: Timer) -> None:
        """See whether it is time for ``timer``."""
        timer.look(self._clock.now())

    def _look_at_all(self) -> None:
        for timer in sorted(self._timers, key=lambda timer: timer.moment):
            if timer in self._timers:  # what came before may have cancelled it
                self.look(timer)
