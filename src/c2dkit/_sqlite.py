"""One SQLite file, in a thread of its own: a sync to the disk takes milliseconds, on a memory card far more."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from c2dkit._errors import ClosedError, InvalidInputError, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

__all__ = ["InSqliteFile"]

T = TypeVar("T")

READABLE_BY_OWNER: Final = 0o600
PRAGMAS: Final = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
"""What was committed survives the loss of power (sqlite.org, "PRAGMA synchronous": FULL syncs the log at each commit)."""


class SqliteFile:
    """A database that is opened once.

    Args:
        path: The file; made, for its owner only, where it does not exist.
        table: The statement that makes the table; it does nothing where that exists.
    """

    def __init__(self, path: str | os.PathLike[str], table: str) -> None:
        self._path = Path(path)
        self._table = table
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None  # the thread's

    async def open(self) -> None:
        """Open the file.

        Cancellation: safe, nothing stays open.

        Raises:
            JournalError: It cannot be used.
            InvalidInputError: It is open already.
        """
        if self._thread is not None:
            raise InvalidInputError(f"{self._path} is open already; open it once")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="c2dkit-sqlite")
        try:
            await self._answer(self._thread.submit(self._connect))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file, once what is being written is on the disk. Idempotent.

        Cancellation: the file is still closed, without being waited for.
        """
        thread, self._thread = self._thread, None
        if thread is not None:
            closed = thread.submit(self._disconnect)
            behind = thread.submit(lambda: None)
            thread.shutdown(wait=False)
            await asyncio.wrap_future(behind)  # cancelled, this would take back what it waits for
            closed.result()

    async def run(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Do something in one transaction; calls take their turn.

        Cancellation: it may or may not have been done.

        Raises:
            JournalError: It was not done.
            ClosedError: The file is not open.
        """
        if self._thread is None:
            raise ClosedError(f"{self._path} is not open; use it inside of `async with`")
        return await self._answer(self._thread.submit(self._transaction, action))

    async def _answer(self, future: Future[T]) -> T:
        try:
            return await asyncio.wrap_future(future)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"cannot use {self._path}: {error}; make room or mend it, or take another file", path=self._path
            ) from error

    def _connect(self) -> None:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, READABLE_BY_OWNER))
        self._connection = sqlite3.connect(self._path)
        for statement in (*PRAGMAS, self._table):
            self._connection.execute(statement)

    def _transaction(self, action: Callable[[sqlite3.Connection], T]) -> T:
        assert self._connection is not None  # noqa: S101 - the thread takes nothing before it is open
        with self._connection:
            return action(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class InSqliteFile:
    """What is kept in a file that is opened with ``async with``; arguments as ``SqliteFile``."""

    def __init__(self, path: str | os.PathLike[str], table: str) -> None:
        self._file = SqliteFile(path, table)

    async def __aenter__(self) -> Self:
        await self._file.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._file.close()
