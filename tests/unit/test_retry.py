from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit import ConnectionLostError, InvalidInputError, RetryPolicy, ThrottledError, UnauthorizedError
from c2dkit._retry import Backoff

LOST = ConnectionLostError("gone")


def delays(policy: RetryPolicy, *, fraction: float, count: int) -> list[float | None]:
    backoff = Backoff(policy, fraction=lambda: fraction)
    return [backoff.delay(LOST, 0) for _ in range(count)]


def test_delays_double_up_to_the_longest() -> None:
    policy = RetryPolicy(first_delay=timedelta(seconds=1), max_delay=timedelta(seconds=5), deadline=None)

    assert delays(policy, fraction=1, count=5) == [1, 2, 4, 5, 5]
    assert delays(policy, fraction=0.5, count=3) == [0.5, 1, 2]


@given(fraction=st.floats(0, 1), tries=st.integers(0, 2000))
def test_a_delay_is_never_longer_than_the_longest(fraction: float, tries: int) -> None:
    backoff = Backoff(RetryPolicy(deadline=None), fraction=lambda: fraction)
    for _ in range(tries):
        backoff.delay(LOST, 0)
    delay = backoff.delay(LOST, 0)
    assert delay is not None
    assert 0 <= delay <= 30


def test_the_deadline_counts_from_the_first_error() -> None:
    policy = RetryPolicy(
        first_delay=timedelta(seconds=1), max_delay=timedelta(seconds=1), deadline=timedelta(seconds=10)
    )
    backoff = Backoff(policy, fraction=lambda: 1)

    last = ConnectionLostError("gone")

    assert backoff.delay(LOST, 100) == 1
    assert backoff.delay(LOST, 108) == 1
    assert backoff.delay(last, 109) is None  # the try would come when it is over
    assert last.__notes__ == ["given up at try 2: RetryPolicy(deadline=0:00:10) allows no later one"]


def test_a_reset_begins_anew() -> None:
    policy = RetryPolicy(first_delay=timedelta(seconds=1), deadline=timedelta(seconds=10))
    backoff = Backoff(policy, fraction=lambda: 1)
    backoff.delay(LOST, 0)
    backoff.delay(LOST, 1)
    assert backoff.tries == 2

    backoff.reset()

    assert backoff.tries == 0
    assert backoff.delay(LOST, 1000) == 1


def test_the_hub_says_how_long_to_wait() -> None:
    backoff = Backoff(RetryPolicy(first_delay=timedelta(seconds=1)), fraction=lambda: 0.5)

    assert backoff.delay(ThrottledError("slowly", retry_after=timedelta(seconds=20)), 0) == 20.5


def test_no_try_comes_after_the_deadline_even_where_the_hub_says_so() -> None:
    backoff = Backoff(RetryPolicy(), fraction=lambda: 0)

    assert backoff.delay(ThrottledError("slowly", retry_after=timedelta(minutes=5)), 0) is None


def test_what_does_not_pass_is_not_tried_again() -> None:
    assert Backoff(RetryPolicy()).delay(UnauthorizedError("no"), 0) is None


def test_the_caller_may_say_what_passes() -> None:
    policy = RetryPolicy(retries=lambda error: isinstance(error, UnauthorizedError))

    assert Backoff(policy).delay(UnauthorizedError("no"), 0) is not None
    assert Backoff(policy).delay(LOST, 0) is None


def test_none_never_tries_again() -> None:
    error = ConnectionLostError("gone")
    assert Backoff(RetryPolicy.none(), fraction=lambda: 0).delay(error, 0) is None
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize(
    ("first", "longest", "deadline"), [(-1, 30, 240), (31, 30, 240), (1, 30, -1)], ids=["first", "order", "deadline"]
)
def test_nonsense_is_refused(first: int, longest: int, deadline: int) -> None:
    with pytest.raises(InvalidInputError):
        RetryPolicy(
            first_delay=timedelta(seconds=first),
            max_delay=timedelta(seconds=longest),
            deadline=timedelta(seconds=deadline),
        )
