from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

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
