"""The folder that a hub keeps its data in: begun once and complete, checked before use, used by one hub at a time.

Nothing is changed before the check is over: it reads a copy, for SQLite changes a database by opening it after a crash.
All of it blocks, so it runs in the store's thread.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from c2dkit._errors import HubDataError
from c2dkit.hub._store_load import load
from c2dkit.hub._store_schema import HEADER_BYTES, DamagedError, check_database, check_header, create_tables
from c2dkit.hub._store_wal import check_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from c2dkit.hub._saved import Saved
    from c2dkit.hub._store_schema import Statement

__all__ = ["CA_FILE", "Folder", "open_folder"]

DATABASE: Final = "hub.sqlite3"
LOG: Final = "hub.sqlite3-wal"
LOCK: Final = "hub.lock"
NEW: Final = "hub.new"
"""A database until it is complete; what is left of one that never was is in nobody's way."""

CA_FILE: Final = "ca.pem"
"""The certificate that clients must trust, for them to read."""


class Folder(NamedTuple):
    """An open folder."""

    path: Path
    database: sqlite3.Connection
    lock: sqlite3.Connection

    def commit(self, statements: Iterable[Statement]) -> None:
        """Write in one transaction; it is on the disk when this returns.

        Raises:
            sqlite3.Error: The disk is full, or worse; nothing of it was written.
        """
        self.database.execute("BEGIN")
        try:
            for sql, values in statements:
                self.database.execute(sql, values)
            self.database.execute("COMMIT")
        except BaseException:
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let another hub have it."""
        self.database.close()
        self.lock.close()


def open_folder(path: Path, born: Sequence[Statement]) -> tuple[Folder, Saved]:
    """Open a hub's folder and read what is in it; make one where there is none.

    Args:
        path: The folder; a new one may be missing or empty.
        born: What is written into a new one: `hub_born`.

    Raises:
        HubDataError: It cannot be used, and nothing of it was changed.
    """
    try:
        return _open(path, born)
    except DamagedError as error:
        raise HubDataError(
            f"{path / DATABASE} cannot be used: {error}. Put a copy in its place, or start with another folder; "
            "nothing was changed",
            path=path,
        ) from error
    except OSError as error:
        raise HubDataError(f"the hub's folder {path} cannot be used: {error.strerror or error}", path=path) from error


def _open(path: Path, born: Sequence[Statement]) -> tuple[Folder, Saved]:
    database = path / DATABASE
    if database.exists():
        with database.open("rb") as file:
            check_header(file.read(HEADER_BYTES))
    else:
        _make_vacant(path)
    lock = _lock(path)
    try:
        if not database.exists():
            _create(path, born)
        saved = _load_copy(path)
        _publish(path / CA_FILE, saved.authority[0])
        return Folder(path, _connect(database), lock), saved
    except BaseException:
        lock.close()
        raise


def _make_vacant(path: Path) -> None:
    """Make a folder that only its owner may enter, for what will be in it has keys."""
    if path.exists() and not all(each.name.startswith((LOCK, NEW)) for each in path.iterdir()):
        raise HubDataError(
            f"{path} has files, but none of a hub; choose an empty folder, or one that is new", path=path
        )
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _lock(path: Path) -> sqlite3.Connection:
    """Lock the folder for as long as the process lives, in the way that SQLite has on every platform."""
    lock = sqlite3.connect(path / LOCK, isolation_level=None, timeout=0)
    try:
        lock.execute("PRAGMA journal_mode = OFF")  # it holds nothing
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        raise HubDataError(
            f"another hub uses {path}, or its file {LOCK} is not of a hub: {error}. End that hub, or choose another folder",
            path=path,
        ) from error
    return lock


def _create(path: Path, born: Sequence[Statement]) -> None:
    """Make the database under another name, so that there is none, or a complete one."""
    for left in path.glob(f"{NEW}*"):
        left.unlink()
    new = path / NEW
    new.touch(mode=0o600)
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        create_tables(connection)
        for sql, values in born:
            connection.execute(sql, values)
        connection.execute("COMMIT")
    new.rename(path / DATABASE)  # on the disk with the log, for which SQLite syncs the folder


def _publish(path: Path, pem: bytes) -> None:
    if not path.exists() or path.read_bytes() != pem:
        new = path.with_name(NEW)
        new.write_bytes(pem)
        new.replace(path)


def _load_copy(path: Path) -> Saved:
    with tempfile.TemporaryDirectory(prefix="c2dkit-hub-") as folder:
        for name in (DATABASE, LOG):
            if (path / name).exists():
                shutil.copyfile(path / name, Path(folder, name))
        log = Path(folder, LOG).read_bytes() if Path(folder, LOG).exists() else b""
        try:
            return _load(Path(folder, DATABASE), log)
        except sqlite3.Error as error:
            raise DamagedError(f"SQLite finds it damaged: {error}") from error


def _load(database: Path, log: bytes) -> Saved:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        _, frames_read, _ = connection.execute("PRAGMA wal_checkpoint").fetchone()
        check_log(log, max(frames_read, 0))
        check_database(connection)
        return load(connection)


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=0)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # so there is no file of shared memory either
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection
