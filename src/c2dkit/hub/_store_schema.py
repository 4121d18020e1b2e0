"""The tables of a hub's database, and whether a database is one of a hub and whole.

Every row ends in a checksum of what is before it, for SQLite has none: it would hand out a message in which the disk
has turned a bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

__all__ = [
    "APPLICATION_ID",
    "HEADER_BYTES",
    "SCHEMA_VERSION",
    "DamagedError",
    "Statement",
    "Value",
    "check_database",
    "check_header",
    "create_tables",
    "put",
    "rows",
]

Value = str | bytes | int

APPLICATION_ID: Final = 0x63326468
"""``c2dh`` in ASCII, at offset 68 of the file."""

SCHEMA_VERSION: Final = 1
"""At offset 60 of the file. A change of the tables, or of what is in them, is a new version."""

HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0"

# In `entry` and `delivery` the queue is a device id, or the empty text for batches of feedback. An entry has a row in
# `delivery` from its first delivery on: what changes is apart from what does not.
_TABLES: Final[Mapping[str, str]] = {
    "hub": "name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL",
    "policy": "name TEXT NOT NULL PRIMARY KEY, document TEXT NOT NULL",
    "authority": "pem BLOB NOT NULL PRIMARY KEY",
    "device": "device_id TEXT NOT NULL PRIMARY KEY, document TEXT NOT NULL",
    "session": "device_id TEXT NOT NULL PRIMARY KEY, filters TEXT NOT NULL",
    "queue": "name TEXT NOT NULL PRIMARY KEY, last_sequence_number INTEGER NOT NULL",
    "entry": (
        "queue TEXT NOT NULL, sequence_number INTEGER NOT NULL, enqueued_at TEXT NOT NULL, expires_at TEXT NOT NULL, "
        "fields TEXT NOT NULL, body BLOB NOT NULL"
    ),
    "delivery": "queue TEXT NOT NULL, sequence_number INTEGER NOT NULL, delivery_count INTEGER NOT NULL",
    "record": "device_id TEXT NOT NULL, document TEXT NOT NULL",
}
_KEYS: Final = {"entry": "queue, sequence_number", "delivery": "queue, sequence_number"}


class DamagedError(Exception):
    """A database is not what a hub has written; the text says in what."""


class Statement(NamedTuple):
    """One statement of a transaction."""

    sql: str
    values: tuple[Value, ...] = ()


def put(table: str, *values: Value) -> Statement:
    """Write a row, in the place of the one with the same key."""
    marks = "?, " * len(values)
    return Statement(f"INSERT OR REPLACE INTO {table} VALUES ({marks}?)", (*values, _checksum(values)))  # noqa: S608 - a table of ours


def rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Value, ...]]:
    """Read all rows of a table in the order of their keys, `record` in the order in which they were written.

    Raises:
        DamagedError: A row is not what was written.
    """
    order = _KEYS.get(table, "rowid")
    for *values, checksum in connection.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608 - a table of ours
        if checksum != _checksum(tuple(values)):
            raise DamagedError(f"a row of the table {table!r} has a wrong checksum")
        yield tuple(values)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty database a hub's."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for sql in _schema():
        connection.execute(sql)


def check_header(header: bytes) -> None:
    """Check what a file begins with.

    Raises:
        DamagedError: The file is not a database of a hub, or of another version.
    """
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        raise DamagedError("it is not an SQLite database")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise DamagedError("it is a database of another program")
    version = int.from_bytes(header[60:64])
    if version != SCHEMA_VERSION:
        raise DamagedError(f"its format is version {version}, and this c2dkit reads version {SCHEMA_VERSION}")


def check_database(connection: sqlite3.Connection) -> None:
    """Check the whole file: its structure, and that the tables are the right ones.

    Raises:
        DamagedError: It is not what a hub has written.
    """
    schema = [
        sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    ]
    if schema != list(_schema()):
        raise DamagedError("its tables are not those of a hub")
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise DamagedError(f"SQLite finds it damaged: {finding}")


def _schema() -> Iterator[str]:
    for table, columns in _TABLES.items():
        key = f", PRIMARY KEY ({_KEYS[table]})" if table in _KEYS else ""
        yield f"CREATE TABLE {table} ({columns}, checksum INTEGER NOT NULL{key})"


def _checksum(values: tuple[Value, ...]) -> int:
    return crc32(repr(values).encode())
