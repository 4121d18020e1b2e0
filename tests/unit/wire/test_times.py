from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._wire.times import format_time, parse_time, read_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (NOON, "2026-01-31T12:00:00.0000000Z"),
        (NOON.replace(microsecond=123456), "2026-01-31T12:00:00.1234560Z"),
        (NOON.astimezone(EAST), "2026-01-31T12:00:00.0000000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.0000000Z"),
    ],
)
def test_times_are_written_in_utc_with_seven_digits(time: datetime, text: str) -> None:
    assert format_time(time) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00.0000000Z",
        "2026-01-31T12:00:00.0000009Z",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00",
        "2026-01-31T21:00:00+09:00",
    ],
)
def test_any_iso_8601_time_is_read(text: str) -> None:
    time = parse_time(text)
    assert time == NOON
    assert time.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+09:00", "1" * 65, "01/31/2026 12:00:00 PM"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 time"):
        parse_time(text)
    assert read_time(text) is None


def test_a_message_may_have_no_time() -> None:
    assert read_time(None) is None
    assert read_time("2026-01-31T12:00:00Z") == NOON


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back(time: datetime) -> None:
    assert parse_time(format_time(time)) == time
