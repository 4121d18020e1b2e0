from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._wire.http_times import format_http_time, parse_http_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (NOON, "1/31/2026 12:00:00 PM"),
        (NOON.replace(hour=0, minute=5, second=9), "1/31/2026 12:05:09 AM"),
        (NOON.replace(hour=13), "1/31/2026 1:00:00 PM"),
        (NOON.replace(month=12, day=9, hour=11), "12/9/2026 11:00:00 AM"),
        (NOON.astimezone(timezone(timedelta(hours=9))), "1/31/2026 12:00:00 PM"),
    ],
)
def test_times_are_written_the_us_way_in_utc(time: datetime, text: str) -> None:
    assert format_http_time(time) == text
    assert parse_http_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "01/31/2026 12:00:00 PM",
        "1/31/2026 12:00:00 pm",
        "1/31/2026 12:00:00",
        "2026-01-31T12:00:00.0000000Z",
        "2026-01-31T21:00:00+09:00",
        "Sat, 31 Jan 2026 12:00:00 GMT",
        "Sat, 31 Jan 2026 21:00:00 +0900",
        "Sat, 31 Jan 2026 12:00:00 -0000",
    ],
)
def test_every_way_is_read(text: str) -> None:
    time = parse_http_time(text)
    assert time == NOON
    assert time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Sat, soon",
        "Sat, 99 Jan 2026 12:00:00 GMT",
        "Fri, 31 Dec 9999 23:00:00 -2300",
        "A" * 65,
        "13/31/2026 12:00:00 PM",
        "1/31/2026 13:00:00 PM",
        "1/31/2026 0:00:00 AM",
        "1/31/2026 24:00:00",
        "1/31/0000 12:00:00 PM",
        "\u0661/31/2026 12:00:00 PM",
        "1" * 100,
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_http_time(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_second(time: datetime) -> None:
    assert parse_http_time(format_http_time(time)) == time.replace(microsecond=0)


@given(st.text(max_size=100))
def test_nothing_but_a_value_error_comes_of_nonsense(text: str) -> None:
    with suppress(ValueError):
        assert parse_http_time(text).tzinfo is not None
