from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio

from c2dkit.hub import _timers as timers_module
from c2dkit.hub._clock import HubClock
from c2dkit.hub._timers import Timers

if TYPE_CHECKING:
    import pytest


async def test_a_moment_that_comes_by_waiting() -> None:
    clock = HubClock()
    timers = Timers(clock)
    called = asyncio.Event()
    timers.call_at(clock.now() + timedelta(milliseconds=10), called.set)
    assert not called.is_set()
    with anyio.fail_after(5):
        await called.wait()


async def test_a_moment_that_has_come_is_not_called_back_within_the_call() -> None:
    clock = HubClock()
    called = asyncio.Event()
    Timers(clock).call_at(clock.now() - timedelta(seconds=1), called.set)
    assert not called.is_set()
    with anyio.fail_after(5):
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
    with anyio.fail_after(5):
        await called.wait()


async def test_nothing_is_called_back_after_stop() -> None:
    clock = HubClock()
    timers = Timers(clock)
    calls: list[str] = []
    timers.call_at(clock.now() + timedelta(minutes=1), lambda: calls.append("late"))
    timers.stop()
    clock.advance(timedelta(minutes=2))
    assert calls == []
