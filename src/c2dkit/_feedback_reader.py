"""Reads a hub's one feedback queue for everybody in this process who needs a record of it."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from c2dkit._connection import ConnectionState
from c2dkit._errors import C2dError, ClosedError
from c2dkit._keeper import Keeper
from c2dkit._rules.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Generator

    from c2dkit._connection import Connection
    from c2dkit._feedback_ledger import FeedbackLedger
    from c2dkit._models import FeedbackRecord
    from c2dkit._retry import RetryPolicy
    from c2dkit.transports._ports import FeedbackBatch, FeedbackLink, ServiceTransport

__all__ = ["HELD_BATCHES", "FeedbackMember", "FeedbackReader", "HeldBatch"]

HELD_BATCHES: Final = 16
"""How many batches may be in the hands of members, of at most 64 records each, before reading stops."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 4.0
"""How long, in seconds, a batch for others is kept that comes again: less than the shortest lock of feedback, 5 s."""
REMEMBERED: Final = 64
"""How many batches that were given back are known again."""


class HeldBatch:
    """A batch of feedback that is not settled yet.

    Attributes:
        records: Its records, in the hub's order.
        claimed: Whether there is somebody for each of its records among those who wait for one.
        holders: The members that have it in hand.
        settlement: How it will be settled when the last of them lets go.
    """

    def __init__(self, link: FeedbackLink, batch: FeedbackBatch, *, claimed: bool) -> None:
        self.records: tuple[FeedbackRecord, ...] = tuple(batch.records)
        self.claimed = claimed
        self.holders: set[FeedbackMember] = set()
        self.settlement = Settlement.COMPLETE
        self._lock = link, batch

    def renew(self, link: FeedbackLink, batch: FeedbackBatch) -> None:
        """Take the lock of a later delivery of the same batch: the one before is void."""
        self._lock = link, batch

    async def settle(self) -> None:
        """Say what became of the batch. Where that fails the hub delivers it again, so nothing is lost."""
        link, batch = self._lock
        with contextlib.suppress(C2dError):
            await link.settle(batch, self.settlement)


class FeedbackMember(Protocol):
    """Somebody for whom feedback is read."""

    @property
    def connection(self) -> Connection:
        """Follows the reader's connection."""
        ...

    def take(self, batch: HeldBatch) -> Settlement | None:
        """Take a batch in hand, to ``let_go`` of it later (None); or say at once how to settle it."""
        ...

    def end(self, error: Exception) -> None:
        """Learn that nothing more will come; this is no member any more."""
        ...


class FeedbackReader:
    """One feedback link and its members, from the first to the last; every member sees every batch.

    It reads while a member wants something. A batch is settled once all who took it have let go of it. One that comes
    again while it is in their hands is not handed out again: it only brings a fresh lock.

    Args:
        transport: How to connect.
        retry: When to connect again.
        ledger: Gets every record.
        patient: Whether the first opening goes by ``retry`` as well, or is tried once.
    """

    def __init__(
        self, transport: ServiceTransport, retry: RetryPolicy, ledger: FeedbackLedger, *, patient: bool
    ) -> None:
        self._keeper: Keeper[FeedbackLink] = Keeper(f"feedback over {transport.name}", transport.open_feedback, retry)
        self._ledger = ledger
        self._members: set[FeedbackMember] = set()
        self._held: dict[tuple[FeedbackRecord, ...], HeldBatch] = {}
        self._given_back: dict[tuple[FeedbackRecord, ...], int] = {}
        self._giving_back: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._error: Exception | None = None
        self._wanted = 0
        self._receiving = False
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.create_task(self._open(patient=patient))

    @property
    def over(self) -> bool:
        """Whether nobody can join any more."""
        return self._error is not None or self._keeper.connection.state is ConnectionState.CLOSED

    def join(self, member: FeedbackMember) -> None:
        """Read for one more, until it leaves or is told of the end."""
        self._members.add(member)
        member.connection.follow(self._keeper.connection)

    async def opened(self) -> None:
        """Wait for the first connection.

        Cancellation: safe.

        Raises:
            C2dError: There is none.
        """
        await asyncio.wait([self._opening])
        if self._error is not None:
            raise self._error.with_traceback(None)

    @contextmanager
    def wanted(self) -> Generator[None]:
        """Read while the body runs, unless this is over."""
        self._wanted += 1
        if self._reading is None and self._error is None:
            self._reading = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self._wanted -= 1
            if not self._wanted:
                self._stop_receiving()

    async def let_go(self, member: FeedbackMember, batch: HeldBatch, *, handled: bool) -> None:
        """Have a member's batch settled, once nobody else has it in hand either.

        Cancellation: the hub may or may not have been told.
        """
        batch.holders.discard(member)
        if not handled:
            batch.settlement = Settlement.ABANDON
        if not batch.holders:
            del self._held[batch.records]
            self._room.set()
            await batch.settle()

    async def leave(self, member: FeedbackMember) -> None:
        """Give back what a member has in hand; the last one closes the link. Idempotent."""
        self._members.discard(member)
        try:
            for batch in [each for each in self._held.values() if member in each.holders]:
                await self.let_go(member, batch, handled=False)
        finally:
            if not self._members:
                await self._close()

    async def _open(self, *, patient: bool) -> None:
        try:
            await self._keeper.start(patient=patient)
        except Exception as error:  # noqa: BLE001 - whoever waits must learn why nothing comes
            self._end(error)

    async def _read(self) -> None:
        await asyncio.wait([self._opening])
        try:
            while self._wanted and self._error is None:
                self._receiving = True
                link, batch = await self._receive()
                self._receiving = False
                held = self._hand_out(link, batch)
                if held is not None:
                    await self._settle(held)
        except Exception as error:  # noqa: BLE001 - as in _open
            self._end(error)
            await self._keeper.close(_closed())
        self._reading = None

    async def _receive(self) -> tuple[FeedbackLink, FeedbackBatch]:
        while len(self._held) >= HELD_BATCHES:
            self._room.clear()
            await self._room.wait()
        link = await self._keeper.link()
        while True:
            try:
                return link, await link.receive()
            except C2dError as error:
                link = await self._keeper.recover(link, error)

    def _hand_out(self, link: FeedbackLink, batch: FeedbackBatch) -> HeldBatch | None:
        """Show a batch to everybody; return it where nobody has it in hand now."""
        claims = [self._ledger.enter(record) for record in batch.records]
        held = HeldBatch(link, batch, claimed=all(claims))
        if held.records in self._held:
            self._held[held.records].renew(link, batch)
            return None
        said = {member: member.take(held) for member in self._members}
        held.holders.update(member for member, settlement in said.items() if settlement is None)
        if held.holders:
            self._held[held.records] = held
            return None
        if Settlement.ABANDON in said.values():
            held.settlement = Settlement.ABANDON
        return held

    async def _settle(self, batch: HeldBatch) -> None:
        """Settle a batch that nobody has in hand, in a while where it is for others and comes again."""
        pause = self._pause(batch) if batch.settlement is Settlement.ABANDON else 0.0
        if pause and len(self._giving_back) < HELD_BATCHES:
            giving_back = asyncio.create_task(_settle_after(pause, batch))
            self._giving_back.add(giving_back)
            giving_back.add_done_callback(self._giving_back.discard)
        else:
            await batch.settle()

    def _pause(self, batch: HeldBatch) -> float:
        """Count that a batch is given back, and return how long to keep it first.

        A hub hands out at once what is given back, here again while no other reader is there, and drops it after ten
        times (its default): given back at once each time, it would be gone in some milliseconds.
        """
        times = self._given_back.pop(batch.records, 0)
        self._given_back[batch.records] = times + 1
        if len(self._given_back) > REMEMBERED:
            del self._given_back[next(iter(self._given_back))]
        return min(FIRST_PAUSE * 2 ** (times - 1), LONGEST_PAUSE) if times else 0.0

    def _give_back_now(self) -> None:
        for giving_back in self._giving_back:
            giving_back.cancel()

    def _stop_receiving(self) -> None:
        # What has been received is settled first: only the wait for more ends.
        if self._receiving and self._reading is not None:
            self._reading.cancel()
            self._reading = None
            self._receiving = False

    def _end(self, error: Exception) -> None:
        self._error = error
        self._give_back_now()
        members, self._members = self._members, set()
        for member in members:
            member.end(error)

    async def _close(self) -> None:
        self._error = self._error or _closed()
        self._stop_receiving()
        self._opening.cancel()
        self._give_back_now()
        reading = [self._reading] if self._reading else []
        try:
            await asyncio.wait([self._opening, *self._giving_back, *reading])
        finally:
            await self._keeper.close(_closed())


async def _settle_after(seconds: float, batch: HeldBatch) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        await batch.settle()


def _closed() -> ClosedError:
    return ClosedError("nobody here waits for feedback any more")
