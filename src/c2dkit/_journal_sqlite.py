"""A journal that survives the process, and the loss of power."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from c2dkit._journal import DEFAULT_COUNT, check_bounds
from c2dkit._rules.limits import EXPIRY_MAX
from c2dkit._sqlite import InSqliteFile

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable
    from datetime import timedelta

__all__ = ["SqliteJournal"]

TABLE: Final = """
CREATE TABLE IF NOT EXISTS handled (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    added_at REAL NOT NULL
)
"""
SEEN: Final = "SELECT 1 FROM handled WHERE message_id = ? AND added_at > ?"
ADD: Final = "INSERT OR REPLACE INTO handled (message_id, added_at) VALUES (?, ?)"
FORGET_OLDEST: Final = """
DELETE FROM handled
WHERE number <= (SELECT number FROM handled ORDER BY number DESC LIMIT 1 OFFSET ?)
"""


class SqliteJournal(InSqliteFile):
    """A journal in a SQLite file, opened with ``async with``; each device has a file of its own.

    ``add`` returns when the disk has it (write-ahead log, ``synchronous=FULL``). SQLite runs in a thread of its own,
    so the event loop never waits for the disk.

    Args:
        path: The file; made, for its owner only, where it does not exist.
        max_age: How long a message is remembered; by default two days, the longest that a hub keeps one. A clock that
            is set forward makes it forget early.
        max_count: How many are remembered, the last ones; at least 50, which is what a device's queue holds.
        clock: What time it is, in seconds since 1970; for tests.

    Raises:
        InvalidInputError: A bound is too low.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_age: timedelta = EXPIRY_MAX,
        max_count: int = DEFAULT_COUNT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_bounds(max_age, max_count)
        self._max_age = max_age.total_seconds()
        self._max_count = max_count
        self._clock = clock
        super().__init__(path, TABLE)

    async def seen(self, message_id: str) -> bool:
        """See ``Journal.seen``.

        Raises:
            JournalError: The file cannot be read.
            ClosedError: It is not open.
        """
        oldest = self._clock() - self._max_age

        def look(connection: sqlite3.Connection) -> bool:
            return connection.execute(SEEN, (message_id, oldest)).fetchone() is not None

        return await self._file.run(look)

    async def add(self, message_id: str) -> None:
        """See ``Journal.add``; survives ``kill -9`` and the loss of power.

        Raises:
            JournalError: The file cannot be written.
            ClosedError: It is not open.
        """
        now = self._clock()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(ADD, (message_id, now))
            connection.execute(FORGET_OLDEST, (self._max_count,))

        await self._file.run(write)
