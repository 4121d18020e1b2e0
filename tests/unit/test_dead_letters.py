from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2dkit import ClosedError, DeadLetter, InvalidInputError, MemoryDeadLetters, SqliteDeadLetters

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 4
BYTES = 65_536

text = st.text(st.characters(codec="utf-8"), max_size=8)
letters = st.builds(
    DeadLetter,
    message_id=st.none() | text,
    reason=text,
    at=st.datetimes(timezones=st.just(UTC)),
    body=st.sampled_from([0, 1, 20_000, 40_000, 65_536]).map(bytes),
    content_type=st.none() | text,
    content_encoding=st.none() | text,
    properties=st.dictionaries(text, st.none() | text, max_size=3),
)


def kept(added: list[DeadLetter]) -> list[DeadLetter]:
    """What must be there, in the simplest words."""
    last = added[-COUNT:]
    while len(last) > 1 and sum(letter.size for letter in last) > BYTES:
        last = last[1:]
    return last


@given(st.lists(letters, max_size=10))
def test_memory_keeps_the_last(added: list[DeadLetter]) -> None:
    async def main() -> None:
        place = MemoryDeadLetters(max_count=COUNT, max_bytes=BYTES)
        for number, letter in enumerate(added, start=1):
            await place.add(letter)
            assert await place.letters() == kept(added[:number])

    asyncio.run(main())


@settings(max_examples=25, deadline=None)
@given(st.lists(letters, max_size=10))
def test_sqlite_keeps_the_last(added: list[DeadLetter]) -> None:
    async def main(path: Path) -> None:
        async with SqliteDeadLetters(path, max_count=COUNT, max_bytes=BYTES) as place:
            for number, letter in enumerate(added, start=1):
                await place.add(letter)
                assert await place.letters() == kept(added[:number])
        async with SqliteDeadLetters(path) as place:
            assert await place.letters() == kept(added)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "letters"))


async def test_sqlite_is_opened_first(tmp_path: Path) -> None:
    with pytest.raises(ClosedError, match="async with"):
        await SqliteDeadLetters(tmp_path / "letters").letters()


@pytest.mark.parametrize("make", [MemoryDeadLetters, partial(SqliteDeadLetters, "letters")])
def test_bounds(make: Callable[..., object]) -> None:
    with pytest.raises(InvalidInputError, match="max_count must be at least 1"):
        make(max_count=0)
    with pytest.raises(InvalidInputError, match="max_bytes must be at least 65536"):
        make(max_bytes=65_535)


def test_a_repr_does_not_show_the_body() -> None:
    letter = DeadLetter(
        message_id="reboot-1",
        reason="stuck",
        at=datetime.now(UTC),
        body=b"s3cret",
        content_type=None,
        content_encoding=None,
        properties={},
    )
    assert "s3cret" not in repr(letter)
