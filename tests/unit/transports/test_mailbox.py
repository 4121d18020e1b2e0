from __future__ import annotations

import asyncio

import anyio
import pytest

from c2dkit._errors import ConnectionLostError
from c2dkit.transports._mailbox import Mailbox


async def test_items_come_out_in_the_order_in_which_they_went_in() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for item in range(3):
        mailbox.put(item)
    assert len(mailbox) == 3
    assert [await mailbox.get() for _ in range(3)] == [0, 1, 2]


async def test_waiting_tasks_are_served_in_turn() -> None:
    mailbox: Mailbox[str] = Mailbox()
    first, second = asyncio.ensure_future(mailbox.get()), asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put("a")
    mailbox.put("b")
    with anyio.fail_after(20):
        assert (await first, await second) == ("a", "b")


async def test_a_cancelled_get_loses_no_item() -> None:
    mailbox: Mailbox[str] = Mailbox()
    first, second = asyncio.ensure_future(mailbox.get()), asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put("a")  # wakes the first ...
    first.cancel()  # ... which is cancelled before it could take the item
    with anyio.fail_after(20):
        assert await second == "a"
    assert first.cancelled()


async def test_a_get_cancelled_while_it_waits_leaves_no_trace() -> None:
    mailbox: Mailbox[str] = Mailbox()
    waiting = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    waiting.cancel()
    mailbox.put("a")
    with anyio.fail_after(20):
        assert await mailbox.get() == "a"


async def test_closing_fails_every_get_and_drops_what_nobody_took() -> None:
    mailbox: Mailbox[str] = Mailbox()
    waiting = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    lost = ConnectionLostError("gone")
    mailbox.close(lost)
    mailbox.put("late")
    mailbox.close(ConnectionLostError("a second error does not count"))
    for get in (waiting, mailbox.get()):
        with anyio.fail_after(20), pytest.raises(ConnectionLostError) as caught:
            await get
        assert caught.value is lost
    assert len(mailbox) == 0
