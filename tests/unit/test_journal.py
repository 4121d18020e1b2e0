from __future__ import annotations

import asyncio
import sqlite3
import stat
import tempfile
from collections import OrderedDict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2dkit import ClosedError, InvalidInputError, Journal, JournalError, MemoryJournal, SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable

AGE = timedelta(seconds=100)
COUNT = 50

steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 70).map(str)),
        st.tuples(st.just("wait"), st.integers(0, 60)),
        st.tuples(st.just("look"), st.integers(0, 70).map(str)),
        st.tuples(st.just("fill"), st.integers(0, 60)),
    ),
    max_size=25,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


class Model:
    """What a journal promises, in the simplest words."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._added: OrderedDict[str, float] = OrderedDict()

    def add(self, message_id: str) -> None:
        self._added[message_id] = self._clock()
        self._added.move_to_end(message_id)

    def seen(self, message_id: str) -> bool:
        last = list(self._added)[-COUNT:]
        return message_id in last and self._clock() - self._added[message_id] < AGE.total_seconds()


async def follow(script: list[tuple[str, str | int]], journal: Journal, clock: Clock) -> None:
    model = Model(clock)
    for verb, value in script:
        if verb == "wait":
            clock.now += int(value)
        elif verb == "look":
            assert await journal.seen(str(value)) is model.seen(str(value))
        else:
            for each in range(int(value)) if verb == "fill" else [value]:
                await journal.add(str(each))
                model.add(str(each))
    for number in range(71):
        assert await journal.seen(str(number)) is model.seen(str(number))


@given(steps)
def test_memory_keeps_the_promise(script: list[tuple[str, str | int]]) -> None:
    clock = Clock()
    asyncio.run(follow(script, MemoryJournal(max_age=AGE, max_count=COUNT, clock=clock), clock))


@settings(max_examples=25, deadline=None)
@given(steps)
def test_sqlite_keeps_the_promise(script: list[tuple[str, str | int]]) -> None:
    async def main(path: Path) -> None:
        clock = Clock()
        async with SqliteJournal(path, max_age=AGE, max_count=COUNT, clock=clock) as journal:
            await follow(script, journal, clock)
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM handled").fetchone()[0] <= COUNT
        connection.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "journal"))


async def test_sqlite_remembers_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    async with SqliteJournal(path) as journal:
        assert not await journal.seen("reboot-1")
        await journal.add("reboot-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with SqliteJournal(path) as journal:
        assert await journal.seen("reboot-1")


async def test_sqlite_writes_ahead_and_syncs(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "journal") as journal:
        pragmas = ("PRAGMA journal_mode", "PRAGMA synchronous")
        found = await journal._file.run(lambda connection: [connection.execute(each).fetchone()[0] for each in pragmas])
    assert found == ["wal", 2]  # 2 is FULL


async def test_sqlite_serves_many_at_a_time(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "journal") as journal:
        await asyncio.gather(*(journal.add(str(number)) for number in range(40)))
        assert all(await asyncio.gather(*(journal.seen(str(number)) for number in range(40))))


async def test_cancelling_leaves_a_sqlite_journal_usable(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "journal") as journal:
        adding = asyncio.create_task(journal.add("reboot-1"))
        await asyncio.sleep(0)
        adding.cancel()
        await asyncio.wait([adding])
        await journal.add("reboot-2")
        assert await journal.seen("reboot-2")


async def test_cancelling_a_close_closes_all_the_same(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    await journal.__aenter__()
    thread = journal._file._thread
    assert thread is not None
    adding = [asyncio.create_task(journal.add(str(number))) for number in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(journal.__aexit__(None, None, None))
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(*adding)
    await asyncio.wait([closing])
    assert closing.cancelled()
    thread.shutdown()
    assert journal._file._connection is None


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"x" * 5_000)
    journal = SqliteJournal(path)
    with pytest.raises(JournalError, match="take another file") as caught:
        await journal.__aenter__()
    assert caught.value.path == path
    assert path.read_bytes() == b"x" * 5_000
    with pytest.raises(JournalError):
        await SqliteJournal(tmp_path / "no" / "folder").__aenter__()


async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "journal") as journal:
        await journal._file.run(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())
        with pytest.raises(JournalError, match="full"):
            await asyncio.gather(*(journal.add(f"{number:0>128}") for number in range(1_000)))


async def test_sqlite_is_opened_first_and_once(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    with pytest.raises(ClosedError, match="async with"):
        await journal.seen("reboot-1")
    async with journal:
        with pytest.raises(InvalidInputError, match="open already"):
            await journal.__aenter__()
        assert not await journal.seen("reboot-1")
    with pytest.raises(ClosedError, match="async with"):
        await journal.add("reboot-1")


@pytest.mark.parametrize("make", [MemoryJournal, partial(SqliteJournal, "journal")])
def test_bounds(make: Callable[..., Journal]) -> None:
    with pytest.raises(InvalidInputError, match="max_age must be more than 0"):
        make(max_age=timedelta(0))
    with pytest.raises(InvalidInputError, match="max_count must be at least 50"):
        make(max_count=49)
