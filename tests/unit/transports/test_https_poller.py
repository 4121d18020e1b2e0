from __future__ import annotations

import asyncio
from datetime import timedelta

import anyio
import pytest

from c2dkit._errors import ClosedError, ConnectionLostError
from c2dkit.transports._https_poller import Poller
from c2dkit.transports._https_polling import PollingInterval

QUICK = PollingInterval.every(timedelta(milliseconds=1))
NEVER = PollingInterval.every(timedelta(days=1))


class Queue:
    """What is polled: gives its items in turn, then nothing, and can be told to keep a poll waiting."""

    def __init__(self, *items: str | Exception | None) -> None:
        self.items = list(items)
        self.polls = 0
        self.under_way = 0
        self.most_under_way = 0
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def poll(self) -> str | None:
        self.polls += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.asked.set()
        try:
            await self.answer.wait()
        finally:
            self.under_way -= 1
        if not self.items:
            return None
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


async def at_rest(poller: Poller[str]) -> None:
    if poller._task is not None:
        await asyncio.wait([poller._task])


async def test_the_first_poll_is_at_once_and_so_is_the_one_after_an_item() -> None:
    queue = Queue("a", "b", "c")
    poller = Poller(queue.poll, NEVER)
    with anyio.fail_after(20):
        assert [await poller.receive() for _ in range(3)] == ["a", "b", "c"]
    assert queue.polls == 3


async def test_a_poll_that_brought_nothing_is_followed_by_another() -> None:
    queue = Queue(None, None, "late")
    poller = Poller(queue.poll, QUICK)
    with anyio.fail_after(20):
        assert await poller.receive() == "late"
    assert queue.polls == 3


async def test_nothing_is_polled_while_nobody_waits() -> None:
    queue = Queue()
    poller = Poller(queue.poll, QUICK)
    assert queue.polls == 0
    receiving = asyncio.ensure_future(poller.receive())
    with anyio.fail_after(20):
        await queue.asked.wait()
        receiving.cancel()
        await at_rest(poller)
    polls = queue.polls
    queue.items.append("for the next")
    assert queue.polls == polls
    with anyio.fail_after(20):
        assert await poller.receive() == "for the next"


async def test_a_wait_between_two_polls_ends_in_no_poll_when_nobody_waits_any_more() -> None:
    queue = Queue()
    poller = Poller(queue.poll, PollingInterval.every(timedelta(milliseconds=10)))
    receiving = asyncio.ensure_future(poller.receive())
    with anyio.fail_after(20):
        await queue.asked.wait()
        receiving.cancel()
        await asyncio.wait([receiving])
        await at_rest(poller)
    assert queue.polls == 1


async def test_asking_again_and_again_does_not_shorten_the_wait() -> None:
    queue = Queue()
    poller = Poller(queue.poll, NEVER)
    for _ in range(3):
        with anyio.move_on_after(0.01):
            await poller.receive()
    assert queue.polls == 1
    await poller.close(ClosedError("enough"))


async def test_an_item_whose_waiter_was_cancelled_is_kept_for_the_next() -> None:
    queue = Queue("kept")
    queue.answer.clear()
    poller = Poller(queue.poll, NEVER)
    receiving = asyncio.ensure_future(poller.receive())
    with anyio.fail_after(20):
        await queue.asked.wait()
        receiving.cancel()
        queue.answer.set()
        await at_rest(poller)
        assert await poller.receive() == "kept"
    assert receiving.cancelled()
    assert queue.polls == 1


async def test_several_that_wait_share_one_poll_at_a_time() -> None:
    queue = Queue("a", "b", "c")
    poller = Poller(queue.poll, QUICK)
    with anyio.fail_after(20):
        items = await asyncio.gather(*(poller.receive() for _ in range(3)))
    assert sorted(items) == ["a", "b", "c"]
    assert (queue.polls, queue.most_under_way) == (3, 1)


async def test_an_error_goes_to_everybody_who_waits_and_the_next_polls_at_once() -> None:
    lost = ConnectionLostError("gone")
    queue = Queue(lost, "later")
    poller = Poller(queue.poll, NEVER)
    with anyio.fail_after(20):
        results = await asyncio.gather(poller.receive(), poller.receive(), return_exceptions=True)
        assert set(results) == {lost}
        assert await poller.receive() == "later"
    assert queue.polls == 2


async def test_closing_ends_the_wait_between_two_polls() -> None:
    queue = Queue()
    poller = Poller(queue.poll, NEVER)
    receiving = asyncio.ensure_future(poller.receive())
    with anyio.fail_after(20):
        await queue.asked.wait()
        await poller.close(ClosedError("closed"))
        with pytest.raises(ClosedError):
            await receiving
        with pytest.raises(ClosedError):
            await poller.receive()
    assert queue.polls == 1
    assert poller._task is None


async def test_closing_waits_for_the_poll_under_way() -> None:
    queue = Queue("too late")
    queue.answer.clear()
    poller = Poller(queue.poll, NEVER)
    receiving = asyncio.ensure_future(poller.receive())
    with anyio.fail_after(20):
        await queue.asked.wait()
        closing = asyncio.ensure_future(poller.close(ClosedError("closed")))
        with pytest.raises(ClosedError):
            await receiving
        assert not closing.done()
        queue.answer.set()
        await closing
    assert queue.items == []  # it was taken off the queue, not cut off


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c2dkit.transports._https_poller.LINGER_SECONDS", 0.01)
    queue = Queue()
    queue.answer.clear()
    poller = Poller(queue.poll, NEVER)
    receiving = asyncio.ensure_future(poller.receive())
    with anyio.fail_after(20):
        await queue.asked.wait()
        await poller.close(ClosedError("closed"))
        with pytest.raises(ClosedError):
            await receiving
    assert queue.under_way == 0
