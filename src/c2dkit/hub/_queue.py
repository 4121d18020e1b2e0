"""A queue whose items are locked while somebody holds them: one for each device, one for batches of feedback.

Source of the rules: IoT Hub developer guide, "Send cloud-to-device messages", "The cloud-to-device message life cycle".
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar
from uuid import UUID, uuid4

from c2dkit._errors import MessageLockLostError
from c2dkit._models import FeedbackStatus

if TYPE_CHECKING:
    from datetime import datetime

    from c2dkit.hub._agenda import Agenda
    from c2dkit.hub._saved import SavedQueue

__all__ = ["Entry", "LockQueue", "PutBack", "QueueObserver"]

T = TypeVar("T")

_BY_SEQUENCE: Final = attrgetter("sequence_number")


class PutBack(StrEnum):
    """Why an item that was locked waits again."""

    ABANDONED = "abandoned"
    LOCK_EXPIRED = "lock expired"
    RELEASED = "released"
    """Its holder is gone."""


@dataclass(slots=True, eq=False, repr=False)
class Entry(Generic[T]):
    """One item of a queue: waiting while ``lock_token`` is None, else locked.

    Attributes:
        delivery_count: Earlier deliveries that count; 0 on the first delivery.
        redelivered: Whether it was delivered before, counted or not.
        deadline: When the lock ends, or when a waiting item expires; None for a lock without an end.
    """

    queue: LockQueue[T]
    item: T
    sequence_number: int
    enqueued_at: datetime
    expires_at: datetime
    delivery_count: int = 0
    redelivered: bool = False
    lock_token: UUID | None = None
    holder: object = None
    deadline: datetime | None = None

    def fire(self, now: datetime) -> None:
        """End the lock, or expire."""
        self.queue.fire(self, now)


class QueueObserver(Protocol[T]):
    """Learns what happens to a queue's items, in order, each time after it has happened."""

    def put(self, entry: Entry[T]) -> None:
        """An item was appended."""

    def locked(self, entry: Entry[T]) -> None:
        """An item is in the hands of its holder."""

    def put_back(self, entry: Entry[T], cause: PutBack) -> None:
        """An item that was locked waits again."""

    def ended(self, entry: Entry[T], status: FeedbackStatus, now: datetime) -> None:
        """An item has left."""

    def ready(self) -> None:
        """An item can be received."""


class LockQueue(Generic[T]):
    """First in, first out by sequence number; an item that comes back takes its old place (inferred).

    Args:
        agenda: Calls `fire` when a lock ends or an item expires.
        max_delivery_count: An item is dropped when it has come back this often, so that N means N deliveries
            (inferred).
        lock_expiry_counts: Whether the end of a lock raises the delivery count.
        observer: Is told what happens.
    """

    def __init__(
        self,
        agenda: Agenda,
        *,
        max_delivery_count: int,
        lock_expiry_counts: bool,
        observer: QueueObserver[T],
    ) -> None:
        self._agenda = agenda
        self._max_delivery_count = max_delivery_count
        self._lock_expiry_counts = lock_expiry_counts
        self._observer = observer
        self._waiting: list[Entry[T]] = []  # by sequence number
        self._locked: dict[UUID, Entry[T]] = {}
        self._last_sequence_number = 0

    def __len__(self) -> int:
        """Return the number of items, locked ones included."""
        return len(self._waiting) + len(self._locked)

    def entries(self) -> list[Entry[T]]:
        """Return all items by sequence number, locked ones included."""
        return sorted([*self._waiting, *self._locked.values()], key=_BY_SEQUENCE)

    def restore(self, saved: SavedQueue[T]) -> None:
        """Hold what was saved, and nothing else; all of it waits."""
        self.clear()
        self._last_sequence_number = saved.last_sequence_number
        for each in saved.entries:
            entry = Entry(self, *each)
            self._waiting.append(entry)
            self._agenda.set(entry, entry.expires_at)
            self._observer.ready()

    def put(self, item: T, *, now: datetime, expires_at: datetime) -> None:
        """Append an item; one whose expiry has passed ends as expired at once (inferred)."""
        self._last_sequence_number += 1
        entry = Entry(self, item, self._last_sequence_number, now, expires_at)
        self._waiting.append(entry)
        self._observer.put(entry)
        if expires_at <= now:
            self._leave(entry, FeedbackStatus.EXPIRED, now)
            return
        self._agenda.set(entry, expires_at)
        self._observer.ready()

    def receive(self, holder: object, *, lock_until: datetime | None) -> tuple[Entry[T], UUID] | None:
        """Lock the first waiting item, for ever where ``lock_until`` is None; return it with its lock token."""
        if not self._waiting:
            return None
        entry = self._waiting.pop(0)
        token = uuid4()
        entry.lock_token = token
        entry.holder = holder
        self._locked[token] = entry
        self._agenda.set(entry, lock_until)
        self._observer.locked(entry)
        return entry, token

    def end(self, token: UUID, status: FeedbackStatus, now: datetime) -> None:
        """Let a locked item leave the queue.

        Raises:
            MessageLockLostError: No item is locked by that token.
        """
        self._leave(self._held(token), status, now)

    def abandon(self, token: UUID, now: datetime) -> None:
        """Put a locked item back, counted.

        Raises:
            MessageLockLostError: No item is locked by that token.
        """
        self._put_back(self._held(token), now, PutBack.ABANDONED)

    def redeliver(self, token: UUID, now: datetime) -> bool:
        """Put a locked item back, not counted, unless it was delivered before; returns whether it was put back.

        Raises:
            MessageLockLostError: No item is locked by that token.
        """
        entry = self._held(token)
        if entry.redelivered:
            return False
        self._put_back(entry, now, PutBack.RELEASED)
        return True

    def release(self, holder: object, now: datetime) -> None:
        """Put back all that a holder holds, not counted."""
        for entry in [entry for entry in self._locked.values() if entry.holder is holder]:
            self._put_back(entry, now, PutBack.RELEASED)

    def purge(self, now: datetime) -> int:
        """Let all items leave the queue, locked ones too, and return their number."""
        entries = [*self._waiting, *self._locked.values()]
        for entry in entries:
            self._leave(entry, FeedbackStatus.PURGED, now)
        return len(entries)

    def clear(self) -> None:
        """Drop all items, locked ones too, and tell nobody."""
        for entry in [*self._waiting, *self._locked.values()]:
            self._take_out(entry)
            self._agenda.set(entry, None)

    def expire_oldest(self, now: datetime) -> None:
        """Expire the first waiting item before its time, or the first locked one where none waits."""
        self._leave(
            self._waiting[0] if self._waiting else next(iter(self._locked.values())), FeedbackStatus.EXPIRED, now
        )

    def fire(self, entry: Entry[T], now: datetime) -> None:
        """Do what the deadline of an entry stood for.

        An item whose expiry passes while it is locked expires when the lock ends: its holder may still complete it
        (inferred).
        """
        if entry.lock_token is None:
            self._leave(entry, FeedbackStatus.EXPIRED, now)
        else:
            self._put_back(entry, now, PutBack.LOCK_EXPIRED)

    def _held(self, token: UUID) -> Entry[T]:
        entry = self._locked.get(token)
        if entry is None:
            raise MessageLockLostError("the lock has ended, or no message was ever locked by this lock token")
        return entry

    def _counts(self, cause: PutBack) -> bool:
        return cause is PutBack.ABANDONED or (cause is PutBack.LOCK_EXPIRED and self._lock_expiry_counts)

    def _put_back(self, entry: Entry[T], now: datetime, cause: PutBack) -> None:
        entry.delivery_count += self._counts(cause)
        if entry.delivery_count >= self._max_delivery_count:
            self._leave(entry, FeedbackStatus.DELIVERY_COUNT_EXCEEDED, now)
        elif entry.expires_at <= now:
            self._leave(entry, FeedbackStatus.EXPIRED, now)
        else:
            self._take_out(entry)
            entry.redelivered = True
            insort(self._waiting, entry, key=_BY_SEQUENCE)
            self._agenda.set(entry, entry.expires_at)
            self._observer.put_back(entry, cause)
            self._observer.ready()

    def _leave(self, entry: Entry[T], status: FeedbackStatus, now: datetime) -> None:
        self._take_out(entry)
        self._agenda.set(entry, None)
        self._observer.ended(entry, status, now)

    def _take_out(self, entry: Entry[T]) -> None:
        if entry.lock_token is None:
            del self._waiting[bisect_left(self._waiting, entry.sequence_number, key=_BY_SEQUENCE)]
        else:
            del self._locked[entry.lock_token]
            entry.lock_token = entry.holder = None
