"""Which messages somebody in this process may ask about, and the record that came for each."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from weakref import ref

if TYPE_CHECKING:
    import asyncio

    from c2dkit._models import FeedbackRecord

__all__ = ["Expected", "FeedbackLedger"]

Key: TypeAlias = tuple[str, str]


class Expected:
    """One message whose record may come; whoever holds this may ask for it.

    Attributes:
        record: The record, once it has come.
        due: When it is overdue, on the event loop's clock.
        waiters: Who waits for it. An exception in a record's place tells that the wait is over.
    """

    def __init__(self) -> None:
        self.record: FeedbackRecord | None = None
        self.due = math.inf
        self.waiters: set[asyncio.Future[FeedbackRecord | Exception]] = set()

    def come(self, record: FeedbackRecord) -> None:
        """Keep the record, and tell whoever waits."""
        self.record = record
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(record)


class FeedbackLedger:
    """Knows every ``Expected`` that somebody still holds, and no other: its memory is bounded by theirs."""

    def __init__(self) -> None:
        self._expected: dict[Key, list[ref[Expected]]] = {}

    def __len__(self) -> int:
        """How many message ids somebody may ask about."""
        return len(self._expected)

    def expect(self, device_id: str, message_id: str) -> Expected:
        """Return what will hold the record of a message."""
        key = device_id, message_id
        expected = Expected()
        self._expected.setdefault(key, []).append(ref(expected, partial(self._forget, key)))
        return expected

    def enter(self, record: FeedbackRecord) -> bool:
        """Give a record to the oldest message of its id that has none; return whether anybody may ask for it.

        A record that came before changes nothing: the hub delivers a batch again when in doubt.
        """
        # A copy, because a message may be forgotten at any time.
        references = tuple(self._expected.get((record.device_id, record.original_message_id), ()))
        asked = [expected for reference in references if (expected := reference()) is not None]
        if all(expected.record != record for expected in asked):
            for expected in asked:
                if expected.record is None:
                    expected.come(record)
                    break
        return bool(asked)

    def _forget(self, key: Key, reference: ref[Expected]) -> None:
        references = self._expected[key]
        references.remove(reference)
        if not references:
            del self._expected[key]
