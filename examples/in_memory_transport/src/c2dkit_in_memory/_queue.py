"""One queue: its items are locked while somebody holds them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from c2dkit import FeedbackStatus, MessageLockLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

__all__ = ["Item", "Queue"]

T = TypeVar("T")


@dataclass(eq=False)
class Item(Generic[T]):
    """Something that waits, or is held by whoever has its lock."""

    value: T
    sequence_number: int
    enqueued_at: datetime
    expires_at: datetime
    delivery_count: int = 0
    lock_token: str | None = None
    holder: object = None
    locked_until: datetime | None = None


class Queue(Generic[T]):
    """First in, first out; what comes back takes its old place.

    Args:
        max_delivery_count: An item is dead-lettered when it has been abandoned this often.
        ended: Called with what leaves, and why.
    """

    def __init__(self, max_delivery_count: int, ended: Callable[[T, FeedbackStatus], None]) -> None:
        self.max_delivery_count = max_delivery_count
        self.ended = ended
        self.items: list[Item[T]] = []
        self._last_number = 0

    def put(self, value: T, *, now: datetime, expires_at: datetime) -> None:
        """Append."""
        self._last_number += 1
        self.items.append(Item(value, self._last_number, now, expires_at))

    def take(self, holder: object, *, now: datetime, lock_for: timedelta) -> Item[T] | None:
        """Lock the first item that waits, or return None."""
        item = next((item for item in self.items if item.lock_token is None), None)
        if item is not None:
            item.lock_token, item.holder, item.locked_until = str(uuid.uuid4()), holder, now + lock_for
        return item

    def end(self, lock_token: str, status: FeedbackStatus) -> None:
        """Let a held item leave; raises MessageLockLostError."""
        self._leave(self._held(lock_token), status)

    def abandon(self, lock_token: str) -> None:
        """Put a held item back and count it; raises MessageLockLostError."""
        item = self._held(lock_token)
        item.delivery_count += 1
        self._unlock(item)
        if item.delivery_count >= self.max_delivery_count:
            self._leave(item, FeedbackStatus.DELIVERY_COUNT_EXCEEDED)

    def release(self, holder: object) -> None:
        """Put back what somebody holds, not counted."""
        for item in self.items:
            if item.holder is holder:
                self._unlock(item)

    def purge(self) -> int:
        """Let everything leave, and return how much it was."""
        items = list(self.items)
        for item in items:
            self._leave(item, FeedbackStatus.PURGED)
        return len(items)

    def catch_up(self, now: datetime) -> bool:
        """End the locks and expire the items that are due; return whether there were any."""
        over = [item for item in self.items if item.locked_until is not None and item.locked_until <= now]
        for item in over:
            self._unlock(item)
        expired = [item for item in self.items if item.lock_token is None and item.expires_at <= now]
        for item in expired:
            self._leave(item, FeedbackStatus.EXPIRED)
        return bool(over or expired)

    def next_deadline(self) -> datetime | None:
        """Return when ``catch_up`` has something to do."""
        return min((item.locked_until or item.expires_at for item in self.items), default=None)

    def _held(self, lock_token: str) -> Item[T]:
        item = next((item for item in self.items if item.lock_token == lock_token), None)
        if item is None:
            raise MessageLockLostError("the lock has ended")
        return item

    def _unlock(self, item: Item[T]) -> None:
        item.lock_token = item.holder = item.locked_until = None

    def _leave(self, item: Item[T], status: FeedbackStatus) -> None:
        self.items.remove(item)
        self.ended(item.value, status)
