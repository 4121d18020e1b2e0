from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from anyio import to_thread

from c2dkit._errors import InvalidInputError
from c2dkit.hub._clock import HubClock


def test_it_shows_utc() -> None:
    before = datetime.now(UTC)
    shown = HubClock().now()

    assert before <= shown <= datetime.now(UTC)
    assert shown.utcoffset() == timedelta(0)


def test_advance_moves_it() -> None:
    clock = HubClock()

    clock.advance(timedelta(hours=1))
    clock.advance(timedelta(minutes=30))

    assert timedelta(minutes=90) <= clock.now() - datetime.now(UTC) + timedelta(seconds=1) < timedelta(minutes=91)


def test_subscribers_see_the_new_time() -> None:
    clock = HubClock()
    seen: list[datetime] = []
    clock.subscribe(lambda: seen.append(clock.now()))

    clock.advance(timedelta(days=1))

    assert len(seen) == 1
    assert seen[0] > datetime.now(UTC) + timedelta(hours=23)


def test_it_never_goes_back() -> None:
    clock = HubClock()
    calls: list[None] = []
    clock.subscribe(lambda: calls.append(None))

    with pytest.raises(InvalidInputError, match="forward only"):
        clock.advance(timedelta(microseconds=-1))

    assert calls == []


@pytest.mark.parametrize("delta", [timedelta(days=3_000_000), timedelta.max])
def test_it_stays_within_the_calendar(delta: timedelta) -> None:
    clock = HubClock()

    with pytest.raises(InvalidInputError, match="9998"):
        clock.advance(delta)

    assert clock.offset == timedelta(0)
    clock.advance(timedelta(days=365))


async def test_a_moment_is_reached_by_waiting_and_by_advancing_in_whatever_thread() -> None:
    clock = HubClock()
    with anyio.fail_after(20):
        await clock.until(clock.now() + timedelta(milliseconds=20))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.until, clock.now() + timedelta(hours=2))
            await anyio.wait_all_tasks_blocked()
            clock.advance(timedelta(hours=1))
            await to_thread.run_sync(clock.advance, timedelta(hours=1))
    assert clock._callbacks == []


async def test_waiting_for_a_moment_can_be_cancelled() -> None:
    clock = HubClock()
    with anyio.move_on_after(0.01):
        await clock.until(clock.now() + timedelta(hours=1))
    assert clock._callbacks == []
