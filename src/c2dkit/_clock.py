"""What time it is, for tokens; silence is measured by the event loop's clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, Protocol

__all__ = ["SYSTEM_CLOCK", "Clock"]

LOOK_SECONDS: Final = 60.0
"""How long to sleep at most: the clock may be set meanwhile, and does not stand still while the machine sleeps."""


class Clock(Protocol):
    """Coordinated universal time. ``LocalHub.clock`` is one, so that a test can let hours pass at both ends at once."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    async def until(self, moment: datetime) -> None:
        """Wait until the clock shows ``moment``.

        Cancellation: safe.
        """
        ...


class _SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    async def until(self, moment: datetime) -> None:
        """Wait until the clock shows ``moment``."""
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - nobody sets a clock's event
            await asyncio.sleep(min(left, LOOK_SECONDS))


SYSTEM_CLOCK: Final[Clock] = _SystemClock()
