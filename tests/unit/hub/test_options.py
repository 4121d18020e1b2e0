from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit.hub._options import HubOptions


def test_the_defaults_are_those_of_iot_hub() -> None:
    assert HubOptions() == HubOptions(
        default_ttl=timedelta(hours=1),
        max_delivery_count=10,
        feedback_ttl=timedelta(hours=1),
        feedback_max_delivery_count=10,
        feedback_lock_duration=timedelta(seconds=60),
        feedback_interval=timedelta(seconds=15),
        max_feedback_records=10_000,
        token_grace=timedelta(0),
        max_connections=10_000,
        lock_expiry_counts=False,
        omit_success_status=False,
    )


TIMES = [
    ("default_ttl", 60, 2 * 86_400),
    ("feedback_ttl", 60, 2 * 86_400),
    ("feedback_lock_duration", 5, 300),
    ("feedback_interval", 0, 15),
    ("token_grace", 0, 900),
]
NUMBERS = [
    ("max_delivery_count", 1, 100),
    ("feedback_max_delivery_count", 1, 100),
    ("max_feedback_records", 64, 1_000_000),
    ("max_connections", 1, 1_000_000),
]


@pytest.mark.parametrize(("name", "least", "most"), TIMES)
def test_times_have_ranges(name: str, least: int, most: int) -> None:
    check_range(name, *(timedelta(seconds=seconds) for seconds in (least - 1, least, most, most + 1)))


@pytest.mark.parametrize(("name", "least", "most"), NUMBERS)
def test_numbers_have_ranges(name: str, least: int, most: int) -> None:
    check_range(name, least - 1, least, most, most + 1)


def check_range(name: str, below: Any, least: Any, most: Any, above: Any) -> None:
    for value in (least, most):
        assert getattr(replace(HubOptions(), **{name: value}), name) == value
    for value in (below, above):
        with pytest.raises(InvalidInputError, match=name):
            replace(HubOptions(), **{name: value})
