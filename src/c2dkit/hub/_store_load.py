"""Reads a hub back from its database."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from c2dkit.hub._saved import Saved, SavedDevice, SavedEntry, SavedQueue, SavedState
from c2dkit.hub._store_changes import AUTHORITY_CERTIFICATE, AUTHORITY_KEY, CLOCK_OFFSET, FEEDBACK, LAST_BATCH_AT
from c2dkit.hub._store_rows import (
    decode_batch,
    decode_device,
    decode_duration,
    decode_filters,
    decode_message,
    decode_policy,
    decode_record,
)
from c2dkit.hub._store_schema import DamagedError, rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from c2dkit._models import FeedbackRecord

__all__ = ["load"]

T = TypeVar("T")


def load(connection: sqlite3.Connection) -> Saved:
    """Read everything.

    Raises:
        DamagedError: It is not what a hub has written.
    """
    try:
        return _load(connection)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"a row cannot be read ({type(error).__name__})") from error


def _load(connection: sqlite3.Connection) -> Saved:
    hub = _texts(connection, "hub")
    return Saved(
        state=_state(connection, hub),
        policies={name: decode_policy(document) for name, document in _texts(connection, "policy").items()},
        authority=(hub[AUTHORITY_CERTIFICATE].encode("ascii"), hub[AUTHORITY_KEY].encode("ascii")),
        authorities=tuple(cast("bytes", pem) for (pem,) in rows(connection, "authority")),
        sessions={name: decode_filters(filters) for name, filters in _texts(connection, "session").items()},
        clock_offset=decode_duration(hub[CLOCK_OFFSET]),
    )


def _state(connection: sqlite3.Connection, hub: Mapping[str, str]) -> SavedState:
    queues = _Queues(connection)
    last_batch_at = hub.get(LAST_BATCH_AT)
    state = SavedState(
        devices=tuple(
            SavedDevice(decode_device(document), queues.pop(device_id, decode_message))
            for device_id, document in _texts(connection, "device").items()
        ),
        records=tuple(_records(connection)),
        batches=queues.pop(FEEDBACK, lambda _, body: decode_batch(body)),
        last_batch_at=None if last_batch_at is None else datetime.fromisoformat(last_batch_at),
    )
    queues.check_empty()
    return state


def _records(connection: sqlite3.Connection) -> list[FeedbackRecord]:
    return [decode_record(cast("str", document)) for _, document in rows(connection, "record")]


def _texts(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    return cast("dict[str, str]", dict(cast("Any", rows(connection, table))))


class _Queues:
    """All queues, as rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._last = cast("dict[str, int]", dict(cast("Any", rows(connection, "queue"))))
        self._delivery_counts = {(queue, number): count for queue, number, count in rows(connection, "delivery")}
        self._entries: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for queue, *entry in rows(connection, "entry"):
            self._entries[cast("str", queue)].append(tuple(entry))

    def pop(self, name: str, decode: Callable[[str, bytes], T]) -> SavedQueue[T]:
        """Take out one queue."""
        last = self._last.pop(name, 0)
        entries = tuple(self._entry(name, decode, row) for row in self._entries.pop(name, ()))
        if entries and entries[-1].sequence_number > last:
            raise DamagedError("an entry of a queue has a sequence number that was never given")
        return SavedQueue(last, entries)

    def check_empty(self) -> None:
        """Check that nothing is left over."""
        if self._last or self._entries or self._delivery_counts:
            raise DamagedError("a queue belongs to no device")

    def _entry(self, queue: str, decode: Callable[[str, bytes], T], row: tuple[Any, ...]) -> SavedEntry[T]:
        number, enqueued_at, expires_at, fields, body = row
        count: Any = self._delivery_counts.pop((queue, number), None)
        return SavedEntry(
            decode(fields, body),
            number,
            datetime.fromisoformat(enqueued_at),
            datetime.fromisoformat(expires_at),
            delivery_count=count or 0,
            redelivered=count is not None,
        )
