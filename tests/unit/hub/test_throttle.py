from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit._errors import InvalidInputError, QuotaExceededError, ThrottledError
from c2dkit.hub import HubOptions
from c2dkit.hub._throttle import BLOCK_BYTES, Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit.hub._options import Tier

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


AT_MOST = 20_000


def taken(operation: Callable[[], None]) -> int:
    for count in range(AT_MOST):
        try:
            operation()
        except ThrottledError:
            return count
    return AT_MOST


@pytest.mark.parametrize(
    ("tier", "units", "sends", "polls", "connections", "registry"),
    [
        ("S1", 1, 100, 1000, 100, 100),
        ("S1", 10, 1000, 10_000, 120, 1000),
        ("S2", 1, 100, 1000, 120, 100),
        ("S3", 1, 5000, 20_000, 6000, 5000),  # of 50,000 polls
    ],
)
def test_what_a_hub_takes_at_once(
    tier: Tier, units: int, sends: int, polls: int, connections: int, registry: int
) -> None:
    throttle = Throttle(HubOptions(tier=tier, units=units), Clock())
    assert taken(lambda: throttle.send(1)) == sends
    assert taken(throttle.poll) == polls
    assert taken(throttle.connect) == connections
    assert taken(throttle.registry) == registry


def test_there_is_room_again_as_time_passes() -> None:
    clock = Clock()
    throttle = Throttle(HubOptions(tier="S1"), clock)
    assert taken(throttle.registry) == 100
    with pytest.raises(ThrottledError) as caught:
        throttle.registry()
    assert caught.value.hub_code == 429001
    assert caught.value.retry_after == timedelta(seconds=0.6)
    clock.now += timedelta(seconds=0.59)
    assert taken(throttle.registry) == 0
    clock.now += timedelta(seconds=0.02)
    assert taken(throttle.registry) == 1
    clock.now += timedelta(seconds=30)
    assert taken(throttle.registry) == 50
    clock.now += timedelta(hours=1)
    assert taken(throttle.registry) == 100


def test_without_a_tier_nothing_is_refused() -> None:
    throttle = Throttle(HubOptions(), Clock())
    assert taken(lambda: throttle.send(1)) == 20_000
    assert taken(throttle.connect) == 20_000


def test_the_quota_counts_blocks_until_the_day_ends() -> None:
    clock = Clock()
    throttle = Throttle(HubOptions(daily_messages=4), clock)

    def send(size: int) -> None:
        throttle.send(size)
        throttle.sent(size)

    send(0)
    send(BLOCK_BYTES)
    with pytest.raises(QuotaExceededError) as caught:
        send(2 * BLOCK_BYTES + 1)
    assert caught.value.hub_code == 403002
    send(BLOCK_BYTES + 1)
    clock.now = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(QuotaExceededError):
        send(1)
    clock.now = datetime(2026, 3, 2, tzinfo=UTC)
    send(4 * BLOCK_BYTES)


@pytest.mark.parametrize("options", [{"tier": "B1"}, {"units": 0}, {"units": 201}, {"daily_messages": -1}])
def test_options_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        HubOptions(**options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
