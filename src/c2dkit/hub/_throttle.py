"""What a hub of some tier and size takes in a while, as meters. Pure, with the time passed in.

Source: IoT Hub developer guide, "Reference - IoT Hub quotas and throttling". IoT Hub delays what is above a throttle
first and refuses only after a while; here it is refused at once.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from c2dkit._errors import QuotaExceededError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    from c2dkit.hub._options import HubOptions, Tier

__all__ = ["BLOCK_BYTES", "Meter", "Throttle"]

BLOCK_BYTES: Final = 4096
"""What counts as one message of the daily quota."""

MINUTE: Final = timedelta(minutes=1)
SECOND: Final = timedelta(seconds=1)

CONNECTIONS_OF_S1: Final = 100
"""New connections a second that the smallest hub takes."""


class Rates(NamedTuple):
    """What one unit takes: each minute, but for connections, each second."""

    sends: int
    polls: int
    connections: int
    registry: int


RATES: Final[Mapping[Tier, Rates]] = {
    "S1": Rates(100, 1000, 12, 100),
    "S2": Rates(100, 1000, 120, 100),
    "S3": Rates(5000, 50_000, 6000, 5000),
}


class Meter:
    """A bucket that holds what may be done in one period and fills evenly (that it is one is inferred).

    Args:
        amount: How much may be done in a period.
        period: The period.
        what: Names it, for the refusal.
    """

    def __init__(self, amount: int, period: timedelta, what: str) -> None:
        self._amount = amount
        self._period = period
        self._what = what
        self._left = float(amount)
        self._at: datetime | None = None

    def take(self, now: datetime) -> None:
        """Count one.

        Raises:
            ThrottledError: It is one too many; ``retry_after`` says when there is room for one more.
        """
        if self._at is not None:
            self._left = min(self._amount, self._left + self._amount * ((now - self._at) / self._period))
        self._at = now
        if self._left < 1:
            raise ThrottledError(
                f"the hub takes {self._amount} {self._what} in {self._period.total_seconds():g} s; send more slowly",
                retry_after=(1 - self._left) * self._period / self._amount,
            )
        self._left -= 1


class Throttle:
    """The meters of one hub; none refuses anything where the options have no tier and no quota."""

    def __init__(self, options: HubOptions, now: Callable[[], datetime]) -> None:
        self._now = now
        self._quota = options.daily_messages
        self._blocks = 0
        self._day: date | None = None
        self._meters: Mapping[str, Meter] = {}
        if options.tier is not None:
            self._meters = _meters(options.tier, options.units)

    def send(self, size: int) -> None:
        """Count a message for a device, which may be refused yet and counts on this day only once it has been `sent`.

        Raises:
            ThrottledError: There have been too many of late.
            QuotaExceededError: There have been too many on this day (UTC).
        """
        self._take("sends")
        today = self._now().date()
        if today != self._day:
            self._day, self._blocks = today, 0
        if self._quota is not None and self._blocks + _blocks(size) > self._quota:
            raise QuotaExceededError(f"the quota of {self._quota} messages a day is used up until the next day (UTC)")

    def sent(self, size: int) -> None:
        """Count a message that `send` let through and that a queue has taken."""
        self._blocks += _blocks(size)

    def poll(self) -> None:
        """Count a request for a message over HTTPS; raises ThrottledError."""
        self._take("polls")

    def connect(self) -> None:
        """Count a new connection of a device; raises ThrottledError."""
        self._take("connections")

    def registry(self) -> None:
        """Count an operation of the registry; raises ThrottledError."""
        self._take("registry")

    def _take(self, name: str) -> None:
        meter = self._meters.get(name)
        if meter is not None:
            meter.take(self._now())


def _blocks(size: int) -> int:
    return max(1, math.ceil(size / BLOCK_BYTES))


def _meters(tier: Tier, units: int) -> Mapping[str, Meter]:
    rates = RATES[tier]
    connections = rates.connections * units
    if tier == "S1":
        connections = max(CONNECTIONS_OF_S1, connections)
    return {
        "sends": Meter(rates.sends * units, MINUTE, "messages to devices"),
        "polls": Meter(rates.polls * units, MINUTE, "requests for messages"),
        "connections": Meter(connections, SECOND, "new connections of devices"),
        "registry": Meter(rates.registry * units, MINUTE, "operations of the registry"),
    }
