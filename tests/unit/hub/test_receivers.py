from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from c2dkit.hub._presence import Presence
from c2dkit.hub._receivers import Receivers

PRESENCE = Presence(lambda: datetime.now(UTC))


class Taker:
    """A receiver that counts."""

    def __init__(self) -> None:
        self.pulls = 0
        self.displaced = 0

    def pull(self) -> None:
        self.pulls += 1

    def displace(self) -> None:
        self.displaced += 1


async def turn() -> None:
    await asyncio.sleep(0)


async def test_news_pulls_once_a_turn_and_not_within_the_call() -> None:
    receivers, taker = Receivers(PRESENCE), Taker()
    receivers.claim("d", taker)
    receivers.ready("d")
    receivers.ready("d")
    receivers.ready("other")
    assert taker.pulls == 0
    await turn()
    assert taker.pulls == 1


async def test_the_newest_receiver_of_a_device_wins() -> None:
    receivers, old, new = Receivers(PRESENCE), Taker(), Taker()
    receivers.claim("d", old)
    receivers.claim("d", new)
    receivers.claim("d", new)
    receivers.release("d", old)  # as the old one does when its connection ends
    receivers.ready("d")
    await turn()
    assert (old.displaced, old.pulls, new.displaced, new.pulls) == (1, 0, 0, 1)


async def test_all_receivers_of_feedback_pull_until_they_are_gone() -> None:
    receivers, one, two = Receivers(PRESENCE), Taker(), Taker()
    receivers.add_feedback(one)
    receivers.add_feedback(two)
    receivers.ready(None)
    await turn()
    receivers.remove_feedback(one)
    receivers.ready(None)
    await turn()
    assert (one.pulls, two.pulls) == (1, 2)
