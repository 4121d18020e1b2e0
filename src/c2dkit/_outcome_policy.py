"""What a sender assumes of its hub, and does with other people's records, while it waits for outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from c2dkit._errors import InvalidInputError

__all__ = ["OutcomePolicy", "UnclaimedFeedback"]


class UnclaimedFeedback(StrEnum):
    """What to do with a batch of feedback that has a record for which nobody in this process waits.

    A batch is settled as a whole. What was for receipts of this process has reached them either way.
    """

    ABANDON = "abandon"
    """Give it back for other consumers: at once, and after a pause of up to 4 seconds when it comes again. Each time
    raises the batch's delivery count; the hub drops the batch at its ``feedback.maxDeliveryCount``, 10 by default."""
    COMPLETE = "complete"
    """Remove it from the hub: no other consumer gets its records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePolicy:
    """When an outcome is overdue, and what becomes of records that are not this process's.

    Attributes:
        default_ttl: How long the hub keeps a message that has no expiry of its own (its setting
            ``cloudToDevice.defaultTtlAsIso8601``, which a client cannot ask for); the default is the hub's, 1 hour.
        grace: How long after the expiry of its message a record may come. The default, 3 minutes, has room for a
            device that holds the message as it expires (60 s), for the hub's batches (15 s), for a batch that another
            reader holds and does not settle (60 s), and for clocks that differ.
        unclaimed: What to do with records for which nobody in this process waits. Where senders that share a reader
            differ, the records are abandoned.

    Raises:
        InvalidInputError: ``default_ttl`` or ``grace`` is negative.
    """

    default_ttl: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(minutes=3)
    unclaimed: UnclaimedFeedback = UnclaimedFeedback.ABANDON

    def __post_init__(self) -> None:
        for name in ("default_ttl", "grace"):
            if getattr(self, name) < timedelta(0):
                raise InvalidInputError(f"{name} must be 0 at least, not {getattr(self, name)}")
