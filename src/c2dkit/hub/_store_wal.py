"""Whether a write-ahead log is whole.

SQLite stops reading one at the first frame that is not as it was written, and takes what follows for the rest of an
older log: a bit that has turned would cost all later transactions without a word. The last frame alone may be half
written, where the process was killed; no answer left the hub before that frame was complete.

Source: "The WAL File Format" of SQLite, section 4 of its database file format.
"""

from __future__ import annotations

import struct
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from c2dkit.hub._store_schema import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_log"]

_HEADER: Final = struct.Struct(">4I8s2I")
"""Magic number, format, page size, checkpoint number, salt, checksum."""

_FRAME: Final = struct.Struct(">2I8s2I")
"""Page number, size of the database where the frame ends a transaction or else 0, salt, checksum."""

_BIG_ENDIAN: Final = 0x377F0683


def check_log(log: bytes, frames_read: int) -> None:
    """Check that SQLite has left out nothing that was complete.

    Args:
        log: The file.
        frames_read: How many frames SQLite has found in it.

    Raises:
        DamagedError: It has.
    """
    if len(log) <= _HEADER.size:
        return
    magic, _, page_size, _, salt, *checksum = _HEADER.unpack_from(log)
    if _checksum(log[: _HEADER.size - 8], "big" if magic == _BIG_ENDIAN else "little") != tuple(checksum):
        raise DamagedError("the header of its write-ahead log has a wrong checksum")
    unread = takewhile(lambda frame: frame[2] == salt, _frames(log, page_size, frames_read))
    complete = [size != 0 for _, size, *_ in unread][:-1]
    if any(complete):
        raise DamagedError("its write-ahead log has a wrong checksum")


def _frames(log: bytes, page_size: int, first: int) -> Iterator[tuple[int, int, bytes, int, int]]:
    step = _FRAME.size + page_size
    for start in range(_HEADER.size + first * step, len(log) - _FRAME.size + 1, step):
        yield _FRAME.unpack_from(log, start)


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    first = second = 0
    for left, right in struct.iter_unpack(">2I" if order == "big" else "<2I", data):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return first, second
