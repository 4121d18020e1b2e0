"""A short way through the transfers that make up a flood: the shape that every known sender gives them.

What has another shape, or is broken, takes the long way, ``composite_at``, which knows all of the specification. The
short way saves 1.6 of the 2.6 microseconds that a frame takes.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ._fields import MAX_DELIVERY_TAG
from ._performatives import Transfer

__all__ = ["usual_transfer"]

# Described (00), smallulong (53), transfer (14), list8 (c0): AMQP 1.0 part 2, 2.7.5, and part 1, 1.6.
_START: Final = b"\x00\x53\x14\xc0"
_UINT0: Final = 0x43
_SMALLUINT: Final = 0x52
_UINT: Final = 0x70
_BINARY8: Final = 0xA0
_BOOLEANS: Final = {0x41: True, 0x42: False}
# Behind the first six fields: rcv-settle-mode, state, resume, aborted, batchable.
_REST: Final = tuple(Transfer(0))[6:]

# A NamedTuple's own constructor would only cost time.
_make: Final = partial(tuple[object].__new__, Transfer)


def usual_transfer(data: bytes, pos: int, stop: int) -> tuple[Transfer, int] | None:
    """Decode the transfer at ``pos`` of a frame that ends at ``stop``.

    Returns:
        The transfer and the position behind it; None where it has no message format, or anything behind ``more``.
    """
    if data[pos : pos + 4] != _START or stop - pos < 6:
        return None
    end = pos + 5 + data[pos + 4]
    count = data[pos + 5]
    if end > stop or not 4 <= count <= 6:
        return None
    handle, pos = _uint(data, pos + 6)
    delivery_id, pos = _uint(data, pos)
    size = data[pos + 1]
    if data[pos] != _BINARY8 or size > MAX_DELIVERY_TAG:
        return None
    pos += 2 + size
    tag = data[pos - size : pos]
    message_format, pos = _uint(data, pos)
    settled = _BOOLEANS.get(data[pos]) if count > 4 else None
    more = _BOOLEANS.get(data[pos + 1]) if count > 5 else False
    if handle is None or delivery_id is None or message_format is None or more is None:
        return None
    if pos + count - 4 != end or (settled is None and count > 4):
        return None
    return _make((handle, delivery_id, tag, message_format, settled, more, *_REST)), end


def _uint(data: bytes, pos: int) -> tuple[int | None, int]:
    code = data[pos]
    if code == _SMALLUINT:
        return data[pos + 1], pos + 2
    if code == _UINT0:
        return 0, pos + 1
    if code == _UINT:
        return int.from_bytes(data[pos + 1 : pos + 5], "big"), pos + 5
    return None, pos
