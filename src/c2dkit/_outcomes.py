"""Waits for what becomes of the messages of one sender."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from c2dkit._connection import Connection
from c2dkit._errors import (
    ClosedError,
    InvalidMessageError,
    OutcomeOverdueError,
    OutcomeTimeoutError,
    UnsupportedOperationError,
)
from c2dkit._feedback_ledger import Expected
from c2dkit._models import Ack, FeedbackRecord
from c2dkit._outcome_policy import UnclaimedFeedback
from c2dkit._receipt import Receipt
from c2dkit._rules.settlement import Settlement
from c2dkit._shared_feedback import shared_feedback
from c2dkit.transports._ports import ServiceOperation

if TYPE_CHECKING:
    from datetime import timedelta

    from c2dkit._feedback_reader import FeedbackReader, HeldBatch
    from c2dkit._outcome_policy import OutcomePolicy
    from c2dkit._retry import RetryPolicy
    from c2dkit.transports._ports import ServiceTransport

__all__ = ["Outcomes"]


class Outcomes:
    """One sender's part of the shared feedback: it takes part while somebody waits for an outcome, and no longer.

    An idle link would lock a batch that others wait for, because a hub sends as soon as it may.

    Make it in the event loop that the sender runs in.
    """

    def __init__(self, transport: ServiceTransport, retry: RetryPolicy, policy: OutcomePolicy) -> None:
        self.connection = Connection()
        self._transport = transport
        self._retry = retry
        self._policy = policy
        self._shared = shared_feedback(transport)
        self._reader: FeedbackReader | None = None
        self._waiting: set[asyncio.Future[FeedbackRecord | Exception]] = set()
        self._closed = False

    def check(self, ack: Ack) -> None:
        """Raise where no outcome will ever be told."""
        if ack is Ack.NONE:
            raise InvalidMessageError(
                "without feedback there is no outcome to wait for; send with ack='full'",
                field="ack",
                limit="positive, negative or full",
                actual=ack,
            )
        supported = self._transport.operations
        if ServiceOperation.FEEDBACK not in supported:
            raise UnsupportedOperationError(
                ServiceOperation.FEEDBACK, transport=self._transport.name, supported=supported
            )

    def expect(self, device_id: str, message_id: str, ack: Ack) -> Expected:
        """Look out for the record of a message that is about to be sent."""
        return Expected() if ack is Ack.NONE else self._shared.ledger.expect(device_id, message_id)

    def receipt(
        self, expected: Expected, *, device_id: str, message_id: str, ack: Ack, expires_at: datetime | None
    ) -> Receipt:
        """Return the receipt of a message that the hub has queued just now."""
        left = self._policy.default_ttl if expires_at is None else expires_at - datetime.now(UTC)
        # In seconds, whose sum has no bound: the message is queued, so nothing may be raised here.
        expected.due = asyncio.get_running_loop().time() + left.total_seconds() + self._policy.grace.total_seconds()
        return Receipt(
            message_id=message_id,
            device_id=device_id,
            ack=ack,
            expires_at=expires_at,
            _expected=expected,
            _outcomes=self,
        )

    async def of(self, receipt: Receipt, expected: Expected, timeout: timedelta | None) -> FeedbackRecord:  # noqa: ASYNC109
        """Wait for a message's record; as ``Receipt.outcome``."""
        if expected.record is not None:
            return expected.record
        self.check(receipt.ack)
        if self._closed:
            raise ClosedError("the sender is closed")
        arrival: asyncio.Future[FeedbackRecord | Exception] = asyncio.get_running_loop().create_future()
        expected.waiters.add(arrival)
        self._waiting.add(arrival)
        try:
            with self._joined().wanted():
                found = await self._patiently(receipt, expected, arrival, timeout)
        finally:
            expected.waiters.discard(arrival)
            self._waiting.discard(arrival)
            if not self._waiting:
                await self._leave()
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    async def _patiently(
        self,
        receipt: Receipt,
        expected: Expected,
        arrival: asyncio.Future[FeedbackRecord | Exception],
        timeout: timedelta | None,  # noqa: ASYNC109
    ) -> FeedbackRecord | Exception:
        # Asked late, the record may still be on its way from the hub, which keeps it for a time.
        overdue_in = max(expected.due - asyncio.get_running_loop().time(), self._policy.grace.total_seconds())
        patience = overdue_in if timeout is None else min(timeout.total_seconds(), overdue_in)
        try:
            async with asyncio.timeout(patience):
                return await arrival
        except TimeoutError:
            if patience < overdue_in:
                raise OutcomeTimeoutError(receipt) from None
            raise OutcomeOverdueError(receipt) from self.connection.status.cause

    def _joined(self) -> FeedbackReader:
        if self._reader is None:
            self.connection = Connection()
            self._reader = self._shared.join(self, self._transport, self._retry, patient=True)
        return self._reader

    def take(self, batch: HeldBatch) -> Settlement | None:
        """See ``FeedbackMember``; the ledger has given the receipts their records."""
        complete = batch.claimed or self._policy.unclaimed is UnclaimedFeedback.COMPLETE
        return Settlement.COMPLETE if complete else Settlement.ABANDON

    def end(self, error: Exception) -> None:
        """See ``FeedbackMember``; whoever asks from now on has another link opened."""
        self._reader = None
        self._tell(error)

    async def close(self) -> None:
        """End every wait with ClosedError, and take no part any more."""
        self._closed = True
        self._tell(ClosedError("the sender is closed"))
        await self._leave()

    async def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.leave(self)

    def _tell(self, error: Exception) -> None:
        for arrival in self._waiting:
            if not arrival.done():
                arrival.set_result(error)
