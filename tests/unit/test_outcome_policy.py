from __future__ import annotations

from datetime import timedelta

import pytest

from c2dkit import InvalidInputError, OutcomePolicy, UnclaimedFeedback


def test_the_defaults() -> None:
    policy = OutcomePolicy()
    assert (policy.default_ttl, policy.grace) == (timedelta(hours=1), timedelta(minutes=3))
    assert policy.unclaimed is UnclaimedFeedback.ABANDON


@pytest.mark.parametrize("name", ["default_ttl", "grace"])
def test_times_are_not_negative(name: str) -> None:
    with pytest.raises(InvalidInputError, match=name):
        OutcomePolicy(**{name: timedelta(seconds=-1)})  # type: ignore[arg-type]
