from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit import InvalidInputError
from c2dkit.transports import PollingInterval

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


def waits(interval: PollingInterval, polls: int) -> list[timedelta]:
    return [interval.after(empty) for empty in range(polls)]


def test_polite_is_what_the_service_advises() -> None:
    assert waits(PollingInterval.polite(), 3) == [timedelta(0), timedelta(minutes=25), timedelta(minutes=25)]


def test_every_is_always_the_same() -> None:
    assert waits(PollingInterval.every(7 * SECOND), 3) == [timedelta(0), 7 * SECOND, 7 * SECOND]


def test_adaptive_doubles_up_to_its_maximum() -> None:
    interval = PollingInterval.adaptive(SECOND, 5 * SECOND)
    assert waits(interval, 6) == [timedelta(0), SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]
    assert PollingInterval.adaptive().after(1) == SECOND
    assert PollingInterval.adaptive().after(10**9) == timedelta(minutes=1)


@given(st.integers(min_value=1), st.timedeltas(MILLISECOND, timedelta.max))
def test_no_wait_is_below_the_minimum_or_above_the_maximum(empty_polls: int, maximum: timedelta) -> None:
    interval = PollingInterval(minimum=MILLISECOND, maximum=maximum)
    assert interval.minimum <= interval.after(empty_polls) <= interval.maximum


@pytest.mark.parametrize(
    ("minimum", "maximum"), [(timedelta(0), SECOND), (-SECOND, SECOND), (2 * SECOND, SECOND), (MILLISECOND / 2, SECOND)]
)
def test_what_is_no_interval(minimum: timedelta, maximum: timedelta) -> None:
    with pytest.raises(InvalidInputError, match="interval"):
        PollingInterval(minimum=minimum, maximum=maximum)
