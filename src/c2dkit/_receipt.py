"""The hub's word that it has queued a message, and the way to learn what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from c2dkit._feedback_ledger import Expected
    from c2dkit._models import Ack, FeedbackRecord
    from c2dkit._outcomes import Outcomes

__all__ = ["Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The hub's word that it has queued a message; made by ``CloudSender.send``.

    Attributes:
        message_id: The message's id, made by c2dkit where the caller gave none. Feedback names it.
        device_id: The device that the message is for.
        ack: The feedback that was asked for.
        expires_at: When the message expires if the device has not settled it, in UTC; None for the hub's default.
    """

    message_id: str
    device_id: str
    ack: Ack
    expires_at: datetime | None
    _expected: Expected = field(repr=False, compare=False)
    _outcomes: Outcomes = field(repr=False, compare=False)

    async def outcome(self, *, timeout: timedelta | None = None) -> FeedbackRecord:  # noqa: ASYNC109 - raises more
        """Wait for the record that says what became of the message, and return it.

        It may be asked at any time while the sender is open, and by several tasks; the answer stays. With ``ack``
        positive only ``Success`` is ever told, with negative only what is none: the other end shows as an
        OutcomeOverdueError. Feedback knows a message by device and message id alone, so give no id twice.

        Args:
            timeout: How long to wait at most; by default until the record is overdue.

        Cancellation: safe, the outcome can be asked for again.

        Raises:
            InvalidMessageError: ``ack`` is none, so that no record ever comes.
            UnsupportedOperationError: The transport cannot receive feedback.
            OutcomeTimeoutError: ``timeout`` is over; the outcome can be asked for again.
            OutcomeOverdueError: The message has expired, and the record should have come; see ``OutcomePolicy``.
            ClosedError: The sender is closed, or was closed meanwhile.
            C2dError: There was no connection for feedback for as long as the retry policy tries, or the hub refused.
        """
        return await self._outcomes.of(self, self._expected, timeout)
