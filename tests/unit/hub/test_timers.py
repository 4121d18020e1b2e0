from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import anyio
import pytest

from c2dkit.hub import _timers as timers_module
from c2dkit.hub._clock import HubClock
from c2dkit.hub._timers import PatienceTimers, Timers


async def test_a_moment_that_comes_by_waiting() -> None:
    clock = HubClock()
    timers = Timers(clock)
    called = asyncio.Event()
    timers.call_at(clock.now() + timedelta(milliseconds=10), called.set)
    assert not called.is_set()
    with anyio.fail_after(20):
        await called.wait()


async def test_a_moment_that_has_come_is_not_called_back_within_the_call() -> None:
    clock = HubClock()
    called = asyncio.Event()
    Timers(clock).call_at(clock.now() - timedelta(seconds=1), called.set)
    assert not called.is_set()
    with anyio.fail_after(20):
        await called.wait()


async def test_moving_the_clock_calls_back_in_the_order_of_the_moments() -> None:
    clock = HubClock()
    timers = Timers(clock)
    calls: list[int] = []
    for minutes in (3, 1, 2, 60):
        timers.call_at(clock.now() + timedelta(minutes=minutes), partial(calls.append, minutes))
    clock.advance(timedelta(minutes=5))
    assert calls == [1, 2, 3]
    clock.advance(timedelta(minutes=5))
    assert calls == [1, 2, 3]
    timers.stop()


async def test_a_callback_may_cancel_the_next() -> None:
    clock = HubClock()
    timers = Timers(clock)
    calls: list[str] = []
    second = timers.call_at(clock.now() + timedelta(minutes=2), lambda: calls.append("second"))
    timers.call_at(clock.now() + timedelta(minutes=1), second.cancel)
    clock.advance(timedelta(minutes=5))
    assert calls == []


async def test_a_moment_far_ahead_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers_module, "LONGEST_SLEEP_SECONDS", 0.001)
    clock = HubClock()
    called = asyncio.Event()
    Timers(clock).call_at(clock.now() + timedelta(milliseconds=50), called.set)
    with anyio.fail_after(20):
        await called.wait()


async def test_nothing_is_called_back_after_stop() -> None:
    clock = HubClock()
    timers = Timers(clock)
    calls: list[str] = []
    timers.call_at(clock.now() + timedelta(minutes=1), lambda: calls.append("late"))
    timers.stop()
    clock.advance(timedelta(minutes=2))
    assert calls == []
    assert clock._callbacks == []  # a hub may begin and end many times, with one clock


async def test_patience_lasts_through_an_hour_that_did_not_pass() -> None:
    clock = HubClock()
    patience = PatienceTimers(clock)
    called = asyncio.Event()
    timer = patience.call_later(60, called.set)
    assert timer.when() - patience.time() == pytest.approx(60, abs=1)
    clock.advance(timedelta(hours=1))
    assert not called.is_set()
    clock.advance(timedelta(seconds=59), silence=True)
    assert not called.is_set()
    clock.advance(timedelta(seconds=1), silence=True)
    assert called.is_set()


async def test_a_block_that_takes_too_long_by_the_clock() -> None:
    clock = HubClock()
    patience = PatienceTimers(clock)
    async with patience.timeout(60):
        clock.advance(timedelta(seconds=59), silence=True)
    clock.advance(timedelta(minutes=2), silence=True)  # of the block that is over nothing is left
    with pytest.raises(TimeoutError):
        await too_long(clock, patience)


async def too_long(clock: HubClock, patience: PatienceTimers) -> None:
    async with patience.timeout(60):
        clock.advance(timedelta(minutes=1), silence=True)
        await anyio.sleep_forever()
