"""A hub's folder: begun, locked, checked. What is not a whole one is refused as it is."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from c2dkit._errors import HubDataError
from c2dkit._models import Ack, Message
from c2dkit.hub._keys import Keys
from c2dkit.hub._options import HubOptions
from c2dkit.hub._policies import BUILT_IN, Policies
from c2dkit.hub._state import HubState
from c2dkit.hub._store_changes import authority_trusted, hub_born, session_saved, statements_of
from c2dkit.hub._store_folder import open_folder
from c2dkit.hub._store_schema import APPLICATION_ID

if TYPE_CHECKING:
    from pathlib import Path

    from c2dkit.hub._changes import Change
    from c2dkit.hub._saved import Saved
    from c2dkit.hub._store_folder import Folder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BORN = tuple(hub_born(Policies(Keys()).by_name.values(), (b"certificate", b"key"), timedelta(hours=1)))
FLIPS = 150


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {each.name: (each.stat().st_mode, each.read_bytes()) for each in folder.iterdir()}


def open_(path: Path) -> tuple[Folder, Saved]:
    return open_folder(path, BORN)


def read(path: Path) -> Saved:
    folder, saved = open_(path)
    folder.close()
    return saved


def refused(path: Path, match: str) -> None:
    """Check that the folder is refused, and what is in it the same afterwards."""
    before = contents(path)
    with pytest.raises(HubDataError, match=match) as raised:
        open_(path)
    assert raised.value.path == path
    assert contents(path) == before


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder of a hub that has done something and ended in order."""
    path = tmp_path / "used"
    folder, _ = open_(path)
    use(folder, copy_to=tmp_path / "killed")
    folder.close()
    return path


@pytest.fixture
def killed(used: Path) -> Path:
    """The same as the hub would leave it if it was killed."""
    return used.with_name("killed")


def use(folder: Folder, *, copy_to: Path) -> None:
    changes: list[Change] = []
    state = HubState(HubOptions(), lambda: NOW)
    state.subscribe(changes.append)
    for number in range(10):
        device_id = f"d{number}"
        state.add_device(device_id)
        for body in (b"x" * 100, b"y" * 9000):
            message = Message(body, to=f"/devices/{device_id}/messages/devicebound", ack=Ack.FULL, message_id=device_id)
            state.send(message)
        locked = state.receive(device_id, holder="holder")
        assert locked is not None
        state.complete(device_id, locked.lock_token)
        state.receive(device_id, holder="holder")
        folder.commit([statement for change in changes for statement in statements_of(change)])
        changes.clear()
    folder.commit([authority_trusted(b"some PEM"), session_saved("d1", {"devices/d1/#": 1})])
    shutil.copytree(folder.path, copy_to)


def test_a_new_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "new"
    saved = read(path)
    assert (saved.state.devices, saved.state.records, saved.authorities) == ((), (), ())
    assert set(saved.policies) == set(BUILT_IN)
    assert saved.clock_offset == timedelta(hours=1)
    assert saved.authority == (b"certificate", b"key")
    assert (path / "ca.pem").read_bytes() == b"certificate"
    assert read(path) == saved
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "hub.sqlite3").stat().st_mode) == 0o600


def test_an_empty_folder_will_do_and_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    read(tmp_path)
    if sys.platform != "win32":
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_what_a_start_left_that_was_cut_off_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in ("hub.new", "hub.new-journal"):
        (tmp_path / name).write_bytes(b"half of it")
    (tmp_path / "hub.lock").touch()
    read(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"ca.pem", "hub.lock", "hub.sqlite3"}


def test_what_was_written_is_read(used: Path, killed: Path) -> None:
    saved = read(used)
    assert read(killed) == saved
    assert [len(each.queue.entries) for each in saved.state.devices] == [1] * 10
    assert {each.queue.last_sequence_number for each in saved.state.devices} == {2}
    assert all(each.queue.entries[0].redelivered for each in saved.state.devices)
    assert len(saved.state.records) == 10
    assert saved.authorities == (b"some PEM",)
    assert saved.sessions == {"d1": {"devices/d1/#": 1}}


def test_a_transaction_that_fails_leaves_nothing(used: Path) -> None:
    before = read(used)
    folder, _ = open_(used)
    good = session_saved("d2", {})
    with pytest.raises(sqlite3.Error):
        folder.commit([good, good._replace(sql="INSERT INTO nowhere VALUES (?)")])
    folder.close()
    assert read(used) == before


def test_one_hub_a_folder(used: Path) -> None:
    folder, _ = open_(used)
    with pytest.raises(HubDataError, match=r"another hub uses .* End that hub, or choose another folder"):
        open_(used)
    folder.close()
    read(used)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("Chapter 1")
    refused(tmp_path, "has files, but none of a hub")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("Chapter 1")
    with pytest.raises(HubDataError, match="cannot be used: Not a directory"):
        open_(path)
    assert path.read_text() == "Chapter 1"


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"", "not an SQLite database"), (b"SQLite format 3\0", "not an SQLite"), (b"x" * 4096, "not an SQLite")],
)
def test_a_file_of_another_kind_is_refused(used: Path, content: bytes, match: str) -> None:
    (used / "hub.sqlite3").write_bytes(content)
    refused(used, f"{match}.*Put a copy in its place, or start with another folder; nothing was changed")


@pytest.mark.parametrize(
    ("pragma", "match"),
    [
        ("application_id = 0", "a database of another program"),
        ("user_version = 2", "its format is version 2, and this c2dkit reads version 1"),
    ],
)
def test_a_database_of_another_kind_is_refused(used: Path, pragma: str, match: str) -> None:
    change(used, f"PRAGMA {pragma}")
    refused(used, match)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("CREATE TABLE guest (name)", "its tables are not those of a hub"),
        ("DROP TABLE session", "its tables are not those of a hub"),
        ("DELETE FROM hub", "a row cannot be read"),
        ("DELETE FROM device", "a queue belongs to no device"),
        ("DELETE FROM entry WHERE queue = 'd3'", "a queue belongs to no device"),
        ("DELETE FROM queue", "a sequence number that was never given"),
        ("UPDATE device SET document = '{}'", "wrong checksum"),
        ("UPDATE entry SET body = x'00' WHERE queue = 'd7'", "wrong checksum"),
    ],
)
def test_a_database_that_somebody_has_changed_is_refused(used: Path, statement: str, match: str) -> None:
    change(used, statement)
    refused(used, match)


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path / "hub.sqlite3", isolation_level=None)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.execute(statement)
        connection.execute("PRAGMA journal_mode = DELETE")


def test_a_row_that_is_missing_is_noticed(used: Path) -> None:
    with closing(sqlite3.connect(used / "hub.sqlite3")) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'record'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray((used / "hub.sqlite3").read_bytes())
    data[(page - 1) * size + 4] -= 1  # the number of rows on a page
    (used / "hub.sqlite3").write_bytes(data)
    refused(used, "SQLite finds it damaged")


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.99])
def test_a_database_that_is_cut_short_is_refused(used: Path, part: float) -> None:
    database = used / "hub.sqlite3"
    data = database.read_bytes()
    database.write_bytes(data[: int(len(data) * part)])
    refused(used, "cannot be used")


@pytest.mark.parametrize("name", ["hub.sqlite3", "hub.sqlite3-wal"])
def test_no_bit_that_has_turned_goes_unnoticed(used: Path, killed: Path, name: str) -> None:
    """Either the folder is refused as it is, or what counts is not touched; a last transaction may be undone."""
    source = used if name == "hub.sqlite3" else killed
    data = (source / name).read_bytes()
    saved = read(used)
    undone = saved._replace(authorities=(), sessions={})
    random, refusals = Random(4), 0
    for number in range(FLIPS):
        position = random.randrange(len(data))
        path = source.with_name(f"flipped-{number}")
        shutil.copytree(source, path)
        (path / name).write_bytes(turned(data, position, 1 << random.randrange(8)))
        before = contents(path)
        try:
            folder, found = open_(path)
        except HubDataError:
            refusals += 1
            assert contents(path) == before
        else:
            folder.close()
            assert found == saved or (name != "hub.sqlite3" and found == undone), position
    assert refusals > FLIPS // 3


def turned(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]


def test_a_log_that_was_cut_off_in_its_last_transaction_is_good(used: Path, killed: Path) -> None:
    log = killed / "hub.sqlite3-wal"
    log.write_bytes(log.read_bytes()[:-100])
    assert read(killed) == read(used)._replace(authorities=(), sessions={})
