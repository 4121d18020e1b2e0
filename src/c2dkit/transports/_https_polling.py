"""How often to ask a hub that has nothing to give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from c2dkit._errors import InvalidInputError

__all__ = ["PollingInterval"]

ADVISED: Final = timedelta(minutes=25)
"""IoT Hub developer guide, "Cloud-to-device communications guidance": poll every 25 minutes or less often."""
SHORTEST: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingInterval:
    """How long to wait between two polls of an empty queue.

    The first poll is at once, and so is the one after each message, so a queue is drained without waiting. Only a
    poll that brought nothing is followed by a wait: ``minimum`` after the first such poll, then twice as long after
    each, up to ``maximum``.

    ``polite``, ``adaptive`` and ``every`` make the usual ones. A hub takes 1000 polls a minute for each unit of S1 or
    S2 (IoT Hub quotas and throttling), all its devices together, and slows down or refuses what is beyond that: 1000
    idle devices that poll every minute use up one unit.

    Attributes:
        minimum: The wait after the first empty poll, at least a millisecond.
        maximum: The longest wait, not below ``minimum``.

    Raises:
        InvalidInputError: The two do not make an interval.
    """

    minimum: timedelta
    maximum: timedelta

    def __post_init__(self) -> None:
        if not SHORTEST <= self.minimum <= self.maximum:
            raise InvalidInputError(
                f"an interval from {self.minimum} to {self.maximum} is none; it starts at 1 ms at least"
            )

    @classmethod
    def polite(cls) -> PollingInterval:
        """Every 25 minutes, as the service advises for devices that are not in a hurry."""
        return cls.every(ADVISED)

    @classmethod
    def adaptive(
        cls, minimum: timedelta = timedelta(seconds=1), maximum: timedelta = timedelta(minutes=1)
    ) -> PollingInterval:
        """Soon after a message, then ever less often: for a device whose messages come in bursts."""
        return cls(minimum=minimum, maximum=maximum)

    @classmethod
    def every(cls, interval: timedelta) -> PollingInterval:
        """Always the same."""
        return cls(minimum=interval, maximum=interval)

    def after(self, empty_polls: int) -> timedelta:
        """Return how long to wait when the last ``empty_polls`` polls brought nothing."""
        if empty_polls == 0:
            return timedelta(0)
        wait = self.minimum
        for _ in range(1, empty_polls):
            if wait > self.maximum / 2:
                return self.maximum
            wait *= 2
        return wait
