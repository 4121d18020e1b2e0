"""Remembers which messages have been handled, so that a message that comes again is not handled again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from c2dkit._errors import InvalidInputError
from c2dkit._rules.limits import DEVICE_QUEUE_DEPTH, EXPIRY_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_COUNT", "Journal", "MemoryJournal", "check_bounds"]

DEFAULT_COUNT: Final = 10_000


class Journal(Protocol):
    """What ``DeviceReceiver.run`` needs of a journal.

    It knows a message by the id that its sender gave: no wire tells a device more that outlives a second send of the
    same message, and none tells it the generation of its own identity. So a journal belongs to one device, and the
    sender's ids must be unique.

    An error that a method raises ends the run; the message is not settled and comes again.
    """

    async def seen(self, message_id: str) -> bool:
        """Whether the message has been handled, as far as this remembers.

        Cancellation: safe.
        """
        ...

    async def add(self, message_id: str) -> None:
        """Remember that the message has been handled; whatever this promises to survive, it survives on return.

        Cancellation: it may or may not be remembered.
        """
        ...


class MemoryJournal:
    """A journal that ends with the process: for messages that come again after a lost connection, and for tests.

    Args:
        max_age: How long a message is remembered; by default two days, the longest that a hub keeps one.
        max_count: How many are remembered, the last ones; at least 50, which is what a device's queue holds.
        clock: What time it is, in seconds; for tests.

    Raises:
        InvalidInputError: A bound is too low.
    """

    def __init__(
        self,
        *,
        max_age: timedelta = EXPIRY_MAX,
        max_count: int = DEFAULT_COUNT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_bounds(max_age, max_count)
        self._max_age = max_age.total_seconds()
        self._max_count = max_count
        self._clock = clock
        self._added: dict[str, float] = {}

    async def seen(self, message_id: str) -> bool:
        """See ``Journal.seen``."""
        added = self._added.get(message_id)
        return added is not None and self._clock() - added < self._max_age

    async def add(self, message_id: str) -> None:
        """See ``Journal.add``; survives nothing."""
        self._added.pop(message_id, None)
        self._added[message_id] = self._clock()
        if len(self._added) > self._max_count:
            del self._added[next(iter(self._added))]


def check_bounds(max_age: timedelta, max_count: int) -> None:
    """Refuse bounds under which a message that is still in the queue would be forgotten."""
    if max_age <= timedelta(0):
        raise InvalidInputError(f"max_age must be more than 0, not {max_age}")
    if max_count < DEVICE_QUEUE_DEPTH:
        raise InvalidInputError(
            f"max_count must be at least {DEVICE_QUEUE_DEPTH}, as many messages as a device's queue holds, "
            f"not {max_count}"
        )
