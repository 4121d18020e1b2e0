"""What became of messages: who gets a record of what, and the one queue of a hub that holds the batches.

Source: IoT Hub developer guide, "Send cloud-to-device messages", "Message feedback".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus
from c2dkit.hub._changes import BatchEnded, BatchLocked, BatchMade, BatchPutBack, RecordMade
from c2dkit.hub._options import FEEDBACK_BATCH_SIZE
from c2dkit.hub._queue import Entry, LockQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from c2dkit._models import Message
    from c2dkit.hub._agenda import Agenda
    from c2dkit.hub._changes import Change
    from c2dkit.hub._identities import Device
    from c2dkit.hub._options import HubOptions
    from c2dkit.hub._queue import PutBack
    from c2dkit.hub._saved import SavedState

__all__ = ["Batch", "FeedbackQueue", "record_of"]

Batch = tuple[FeedbackRecord, ...]

_POSITIVE: Final = frozenset({Ack.POSITIVE, Ack.FULL})
_NEGATIVE: Final = frozenset({Ack.NEGATIVE, Ack.FULL})

# The first two texts were seen on IoT Hub, the others are inferred.
_OUTCOMES: Final[Mapping[FeedbackStatus, tuple[frozenset[Ack], str]]] = {
    FeedbackStatus.SUCCESS: (_POSITIVE, "Success"),
    FeedbackStatus.REJECTED: (_NEGATIVE, "Message rejected"),
    FeedbackStatus.EXPIRED: (_NEGATIVE, "Message expired"),
    FeedbackStatus.DELIVERY_COUNT_EXCEEDED: (_NEGATIVE, "Maximum delivery count exceeded"),
    FeedbackStatus.PURGED: (_NEGATIVE, "Message purged"),
}


def record_of(message: Message, device: Device, status: FeedbackStatus, now: datetime) -> FeedbackRecord | None:
    """Return the record that the message's ``ack`` asks for, or None.

    A message without an id gives a record with an empty ``original_message_id`` (inferred).
    """
    asking, description = _OUTCOMES[status]
    if message.ack not in asking:
        return None
    return FeedbackRecord(
        original_message_id=message.message_id or "",
        device_id=device.device_id,
        device_generation_id=device.generation_id,
        status=status,
        description=description,
        enqueued_at=now,
    )


class FeedbackQueue:
    """Gathers records and hands them out in batches, which are locked and delivered again like messages.

    A batch is made of 64 records, or 15 seconds after the last batch, whichever is first. So a record that comes
    when the last batch is older than that goes out at once, alone (inferred).

    Args:
        options: The hub's settings.
        agenda: Calls `fire` when a batch is due.
        changed: Is told what happens.
        ready: Called whenever a batch can be received.
        now: The time.

    Attributes:
        deadline: When the records that wait become a batch.
    """

    def __init__(
        self,
        options: HubOptions,
        agenda: Agenda,
        *,
        changed: Callable[[Change], None],
        ready: Callable[[], None],
        now: datetime,
    ) -> None:
        self.deadline: datetime | None = None
        self._options = options
        self._agenda = agenda
        self._changed = changed
        self._ready = ready
        self._pending: list[FeedbackRecord] = []
        self._batched = 0  # records, not batches
        self._last_batch_at = now
        self._batches: LockQueue[Batch] = LockQueue(
            agenda,
            max_delivery_count=options.feedback_max_delivery_count,
            lock_expiry_counts=options.lock_expiry_counts,
            observer=self,
        )

    def restore(self, saved: SavedState) -> None:
        """Hold what was saved, and nothing else."""
        self._pending = list(saved.records)
        self._batches.restore(saved.batches)
        self._batched = sum(len(entry.item) for entry in saved.batches.entries)
        if saved.last_batch_at is not None:
            self._last_batch_at = saved.last_batch_at
        self._agenda.set(self, self._last_batch_at + self._options.feedback_interval if self._pending else None)

    def add(self, record: FeedbackRecord, now: datetime) -> None:
        """Take a record, which may make a batch."""
        self._pending.append(record)
        self._changed(RecordMade(record))
        due = self._last_batch_at + self._options.feedback_interval
        if len(self._pending) >= FEEDBACK_BATCH_SIZE or due <= now:
            self.fire(now)
        elif self.deadline is None:
            self._agenda.set(self, due)

    def drop_records(self, device_id: str) -> None:
        """Forget a device's records that are in no batch yet."""
        self._pending = [record for record in self._pending if record.device_id != device_id]
        if not self._pending:
            self._agenda.set(self, None)

    def fire(self, now: datetime) -> None:
        """Make a batch of the records that wait."""
        batch = tuple(self._pending)
        self._pending.clear()
        self._agenda.set(self, None)
        self._last_batch_at = now
        self._batched += len(batch)
        while self._batched > self._options.max_feedback_records:
            self._batches.expire_oldest(now)
        self._batches.put(batch, now=now, expires_at=now + self._options.feedback_ttl)

    def receive(self, holder: object, now: datetime) -> tuple[Entry[Batch], UUID] | None:
        """Lock the oldest batch for a holder."""
        return self._batches.receive(holder, lock_until=now + self._options.feedback_lock_duration)

    def complete(self, token: UUID, now: datetime) -> None:
        """Remove a locked batch.

        Raises:
            MessageLockLostError: No batch is locked by that token.
        """
        self._batches.end(token, FeedbackStatus.SUCCESS, now)

    def abandon(self, token: UUID, now: datetime) -> None:
        """Put a locked batch back, counted.

        Raises:
            MessageLockLostError: No batch is locked by that token.
        """
        self._batches.abandon(token, now)

    def release(self, holder: object, now: datetime) -> None:
        """Put back all batches that a holder holds."""
        self._batches.release(holder, now)

    def put(self, entry: Entry[Batch]) -> None:
        """A batch was made."""
        self._changed(BatchMade(entry))

    def locked(self, entry: Entry[Batch]) -> None:
        """A batch is in the hands of a receiver."""
        self._changed(BatchLocked(entry))

    def put_back(self, entry: Entry[Batch], cause: PutBack) -> None:
        """A batch waits again."""
        self._changed(BatchPutBack(entry, cause))

    def ended(self, entry: Entry[Batch], status: FeedbackStatus, now: datetime) -> None:
        """A batch has left."""
        self._batched -= len(entry.item)
        self._changed(BatchEnded(entry, status))

    def ready(self) -> None:
        """A batch can be received."""
        self._ready()
