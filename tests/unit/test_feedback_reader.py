"""The reader with a link that gives what it is told to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import ClosedError, ConnectionState, FeedbackStatus, FeedbackStream, RetryPolicy, Settlement, ThrottledError
from c2dkit._connection import Connection
from c2dkit._feedback_ledger import FeedbackLedger
from c2dkit._feedback_reader import HELD_BATCHES, FeedbackReader, HeldBatch
from c2dkit._models import FeedbackRecord
from c2dkit.transports import Ending, FeedbackBatch, FeedbackLink, SenderLink, ServiceOperation, ServiceTransport
from c2dkit.transports._mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def record(name: str) -> FeedbackRecord:
    return FeedbackRecord(
        original_message_id=name,
        device_id="d1",
        device_generation_id="1",
        status=FeedbackStatus.SUCCESS,
        description="Success",
        enqueued_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )


class Link:
    """Gives batches and notes how they are settled, unless that fails."""

    def __init__(self) -> None:
        self.ending = Ending()
        self.batches: Mailbox[FeedbackBatch] = Mailbox()
        self.settled: list[tuple[str, Settlement]] = []
        self.fails = False
        self.opens = anyio.Event()
        self.opens.set()

    def give(self, lock_token: str, *names: str) -> None:
        self.batches.put(FeedbackBatch([record(name) for name in names], lock_token, lock_token))

    async def receive(self) -> FeedbackBatch:
        return await self.batches.get()

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        self.settled.append((batch.lock_token, settlement))
        if self.fails:
            raise ThrottledError("slow down")

    async def close(self) -> None:
        self.batches.close(ClosedError("closed"))
        self.ending.come(ClosedError("closed"))


class Transport:
    name = "fake"
    operations = frozenset({ServiceOperation.FEEDBACK})

    def __init__(self, link: Link) -> None:
        self.credential: object = self
        self._link = link

    async def open_sender(self) -> SenderLink:
        raise NotImplementedError

    async def open_feedback(self) -> FeedbackLink:
        await self._link.opens.wait()
        return self._link

    async def purge(self, device_id: str) -> int:
        raise NotImplementedError(device_id)

    async def queue_depth(self, device_id: str) -> int:
        raise NotImplementedError(device_id)


class Member:
    def __init__(self, settlement: Settlement | None = None) -> None:
        self.connection = Connection()
        self.settlement = settlement
        self.taken: list[HeldBatch] = []
        self.came = anyio.Event()
        self.error: Exception | None = None

    def take(self, batch: HeldBatch) -> Settlement | None:
        self.taken.append(batch)
        self.came.set()
        return self.settlement

    def end(self, error: Exception) -> None:
        self.error = error
        self.came.set()

    async def next(self, reader: FeedbackReader) -> HeldBatch:
        self.came = anyio.Event()
        with anyio.fail_after(20), reader.wanted():
            await self.came.wait()
        return self.taken[-1]


@asynccontextmanager
async def reading(link: Link, *members: Member) -> AsyncGenerator[FeedbackReader]:
    transport: ServiceTransport = Transport(link)
    reader = FeedbackReader(transport, RetryPolicy.none(), FeedbackLedger(), patient=False)
    for member in members:
        reader.join(member)
    try:
        yield reader
    finally:
        for member in members:
            await reader.leave(member)
    assert reader.over


async def test_no_more_is_read_while_as_many_batches_are_held_as_may_be() -> None:
    link, member = Link(), Member()
    for number in range(HELD_BATCHES + 1):
        link.give(f"lock-{number}", f"{number}")
    async with reading(link, member) as reader:
        with anyio.fail_after(20), reader.wanted():
            await anyio.wait_all_tasks_blocked()
            assert (len(member.taken), len(link.batches)) == (HELD_BATCHES, 1)
            await reader.let_go(member, member.taken[0], handled=True)
            await anyio.wait_all_tasks_blocked()
            assert (len(member.taken), len(link.batches)) == (HELD_BATCHES + 1, 0)


async def test_a_batch_is_settled_when_the_last_lets_go() -> None:
    link, one, other = Link(), Member(), Member()
    async with reading(link, one, other) as reader:
        link.give("lock", "a", "b")
        batch = await one.next(reader)
        await reader.let_go(one, batch, handled=True)
        assert link.settled == []
        await reader.let_go(other, batch, handled=True)
        assert link.settled == [("lock", Settlement.COMPLETE)]


async def test_one_that_has_not_handled_it_is_enough_to_abandon_it() -> None:
    link, one, other = Link(), Member(), Member()
    async with reading(link, one, other) as reader:
        link.give("lock", "a")
        batch = await one.next(reader)
        await reader.leave(one)
        await reader.let_go(other, batch, handled=True)
        assert link.settled == [("lock", Settlement.ABANDON)]


async def test_a_batch_that_comes_again_brings_a_lock_and_nothing_else() -> None:
    link, member = Link(), Member()
    async with reading(link, member) as reader:
        link.give("first", "a", "b")
        batch = await member.next(reader)
        link.give("second", "a", "b")
        link.give("other", "b")
        assert await member.next(reader) is not batch
        assert len(member.taken) == 2
        await reader.let_go(member, batch, handled=True)
        assert link.settled == [("second", Settlement.COMPLETE)]


@pytest.mark.parametrize("first", [Settlement.COMPLETE, Settlement.ABANDON])
async def test_what_nobody_takes_is_abandoned_where_one_says_so(first: Settlement) -> None:
    link, one, other = Link(), Member(first), Member(Settlement.COMPLETE)
    async with reading(link, one, other) as reader:
        link.give("lock", "a")
        await one.next(reader)
    assert link.settled == [("lock", first)]


async def test_who_takes_a_batch_decides_alone() -> None:
    link, stream, receipts = Link(), Member(), Member(Settlement.ABANDON)
    async with reading(link, stream, receipts) as reader:
        link.give("lock", "a")
        await reader.let_go(stream, await stream.next(reader), handled=True)
    assert link.settled == [("lock", Settlement.COMPLETE)]


async def test_a_settlement_that_fails_ends_nothing() -> None:
    link, member = Link(), Member()
    link.fails = True
    async with reading(link, member) as reader:
        for name in ("a", "b"):
            link.give(name, name)
            await reader.let_go(member, await member.next(reader), handled=True)
        assert member.error is None
    assert len(link.settled) == 2


async def test_it_reads_only_while_it_is_wanted() -> None:
    link, member = Link(), Member(Settlement.COMPLETE)
    async with reading(link, member) as reader:
        link.give("lock", "a")
        await member.next(reader)
        link.give("unwanted", "b")
        await anyio.wait_all_tasks_blocked()
        assert [batch.records[0].original_message_id for batch in member.taken] == ["a"]


async def test_who_gives_up_the_opening_leaves_it_to_the_others() -> None:
    link, one, other = Link(), Member(), Member()
    link.opens = anyio.Event()
    async with reading(link, one, other) as reader:
        await reader.leave(one)
        link.opens.set()
        with anyio.fail_after(20):
            await reader.opened()
        assert other.connection.state is ConnectionState.CONNECTED


async def test_the_last_to_give_up_the_opening_ends_it() -> None:
    link, member = Link(), Member()
    link.opens = anyio.Event()
    async with reading(link, member) as reader:
        await anyio.wait_all_tasks_blocked()
        await reader.leave(member)
        with pytest.raises(ClosedError):
            await reader.opened()


async def test_whoever_waits_learns_of_any_error() -> None:
    link, member = Link(), Member()
    async with reading(link, member) as reader:
        link.batches.close(ZeroDivisionError("a mistake of the transport"))
        with pytest.raises(IndexError):
            await member.next(reader)
        assert isinstance(member.error, ZeroDivisionError)
        with pytest.raises(ZeroDivisionError):
            await reader.opened()


async def test_a_stream_raises_what_the_transport_raises() -> None:
    link = Link()
    transport: ServiceTransport = Transport(link)
    async with FeedbackStream(transport, retry=RetryPolicy.none()) as stream:
        link.batches.close(ZeroDivisionError("a mistake of the transport"))
        with pytest.raises(ZeroDivisionError):
            await anext(stream)
