"""Dead letters that survive the process, and the loss of power."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from c2dkit._dead_letters import DEFAULT_BYTES, DEFAULT_COUNT, DeadLetter, check_bounds
from c2dkit._sqlite import InSqliteFile

if TYPE_CHECKING:
    import os
    import sqlite3

__all__ = ["SqliteDeadLetters"]

TABLE: Final = """
CREATE TABLE IF NOT EXISTS dead_letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    size INTEGER NOT NULL,
    message_id TEXT,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    content_type TEXT,
    content_encoding TEXT,
    properties TEXT NOT NULL,
    body BLOB NOT NULL
)
"""
ADD: Final = """
INSERT INTO dead_letters (size, message_id, reason, at, content_type, content_encoding, properties, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
DROP_OLDEST: Final = """
DELETE FROM dead_letters WHERE number IN (
    SELECT number FROM (
        SELECT number, ROW_NUMBER() OVER newest AS place, SUM(size) OVER newest AS total
        FROM dead_letters WINDOW newest AS (ORDER BY number DESC)
    ) WHERE place > :count OR (total > :bytes AND place > 1)
)
"""
READ: Final = """
SELECT message_id, reason, at, content_type, content_encoding, properties, body FROM dead_letters ORDER BY number
"""


class SqliteDeadLetters(InSqliteFile):
    """Dead letters in a SQLite file, opened with ``async with``.

    ``add`` returns when the disk has it. The file may be that of a ``SqliteJournal``.

    Args:
        path: The file; made, for its owner only, where it does not exist.
        max_count: How many are kept, the last ones; at least 1.
        max_bytes: How many bytes they may have together, by ``DeadLetter.size``; at least 65,536. The last letter is
            kept whatever its size.

    Raises:
        InvalidInputError: A bound is too low.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_count: int = DEFAULT_COUNT, max_bytes: int = DEFAULT_BYTES
    ) -> None:
        check_bounds(max_count, max_bytes)
        self._bounds = {"count": max_count, "bytes": max_bytes}
        super().__init__(path, TABLE)

    async def add(self, letter: DeadLetter) -> None:
        """See ``DeadLetters.add``; survives ``kill -9`` and the loss of power.

        Raises:
            JournalError: The file cannot be written.
            ClosedError: It is not open.
        """
        row = (
            letter.size,
            letter.message_id,
            letter.reason,
            letter.at.isoformat(),
            letter.content_type,
            letter.content_encoding,
            json.dumps(dict(letter.properties)),
            letter.body,
        )

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(ADD, row)
            connection.execute(DROP_OLDEST, self._bounds)

        await self._file.run(write)

    async def letters(self) -> list[DeadLetter]:
        """Return what is kept, oldest first.

        Cancellation: safe.

        Raises:
            JournalError: The file cannot be read.
            ClosedError: It is not open.
        """
        return await self._file.run(_read)


def _read(connection: sqlite3.Connection) -> list[DeadLetter]:
    return [
        DeadLetter(
            message_id=message_id,
            reason=reason,
            at=datetime.fromisoformat(at).astimezone(UTC),
            content_type=content_type,
            content_encoding=content_encoding,
            properties=json.loads(properties),
            body=body,
        )
        for message_id, reason, at, content_type, content_encoding, properties, body in connection.execute(READ)
    ]
