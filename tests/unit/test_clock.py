from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio

from c2dkit._clock import SYSTEM_CLOCK


async def test_the_machines_clock_shows_utc_and_waits_for_a_moment_of_it() -> None:
    before = datetime.now(UTC)
    assert before <= SYSTEM_CLOCK.now() <= datetime.now(UTC)
    moment = before + timedelta(milliseconds=50)
    with anyio.fail_after(20):
        await SYSTEM_CLOCK.until(moment)
        assert datetime.now(UTC) >= moment
        await SYSTEM_CLOCK.until(moment)
