"""Decodes the primitive types of AMQP 1.0: one decoder for each of the 256 constructors (part 1, section 1.6).

A decoder gets the data, the position behind the constructor and how many levels of nesting are left, and returns the
value and the position behind it. Two rules keep hostile data cheap:

* Positions only grow, and a list, map or array must end where its size says, so work is linear in the size of the
  data. A decoder of a scalar may return a position behind the end: whoever called the outermost decoder compares it
  with the end (see ``decode_value``).
* What a decoder may raise on broken data is an ``AmqpProtocolError`` or one of ``MALFORMED``, which the outermost
  caller turns into one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from struct import error as struct_error
from typing import Final, TypeAlias
from uuid import UUID

from ._errors import AmqpProtocolError
from ._types import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

__all__ = ["DECODERS", "MALFORMED", "MAX_DEPTH", "Decoder", "decode_at", "decode_value"]

Decoder: TypeAlias = Callable[[bytes, int, int], tuple[object, int]]

MAX_DEPTH: Final = 32
"""How deeply lists, maps, arrays and described values may be nested."""
MALFORMED: Final = (IndexError, ValueError, struct_error)

TOO_DEEP: Final = "a value is nested too deeply"
MAX_ZERO_WIDTH_ELEMENTS: Final = 16
MAX_EMPTY_LISTS: Final = 2
MAX_PREDICTABLE_KEYS: Final = 32

_UINT16 = Struct(">H").unpack_from
_UINT32 = Struct(">I").unpack_from
_UINT32_PAIR = Struct(">II").unpack_from


def decode_value(data: bytes) -> object:
    """Return the one value that ``data`` is the encoding of.

    Raises:
        AmqpProtocolError: The data is broken, nested deeper than ``MAX_DEPTH``, or goes on behind the value. Also on
            a map with two keys that Python finds equal, even where their wire types differ.
    """
    try:
        value, pos = decode_at(data, 0, MAX_DEPTH)
    except MALFORMED as error:
        raise AmqpProtocolError(f"not an AMQP value: {error}") from error
    if pos != len(data):
        raise AmqpProtocolError(f"the value ends at byte {pos} of {len(data)}")
    return value


def decode_at(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    """Decode the value whose constructor stands at ``pos``."""
    return DECODERS[data[pos]](data, pos + 1, depth)


def _unknown(_data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    raise AmqpProtocolError(f"no such constructor at byte {pos - 1}")


def _constant(value: object) -> Decoder:
    def decode(_data: bytes, pos: int, _depth: int) -> tuple[object, int]:
        return value, pos

    return decode


def _boolean(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    octet = data[pos]
    if octet > 1:
        raise AmqpProtocolError(f"{octet} is not a boolean")
    return octet == 1, pos + 1


def _small(kind: Callable[[int], object]) -> Decoder:
    values = [kind(octet) for octet in range(256)]

    def decode(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
        return values[data[pos]], pos + 1

    return decode


def _uint(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    return UInt(_UINT32(data, pos)[0]), pos + 4


def _fixed(layout: str, kind: Callable[[int], object] | Callable[[float], object]) -> Decoder:
    layout_of_one = Struct(f">{layout}")
    unpack, size = layout_of_one.unpack_from, layout_of_one.size

    def decode(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
        return kind(unpack(data, pos)[0]), pos + size

    return decode


def _opaque(size: int, kind: Callable[[bytes], object]) -> Decoder:
    def decode(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
        stop = pos + size
        return kind(data[pos:stop]), stop

    return decode


def _char(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    code_point: int = _UINT32(data, pos)[0]
    if code_point > 0x10FFFF or 0xD800 <= code_point <= 0xDFFF:
        raise AmqpProtocolError(f"{code_point:#x} is not a Unicode character")
    return Char(chr(code_point)), pos + 4


def _uuid(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    return UUID(bytes=data[pos : pos + 16]), pos + 16


def _binary8(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    stop = pos + 1 + data[pos]
    return data[pos + 1 : stop], stop


def _binary32(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    stop = pos + 4 + _UINT32(data, pos)[0]
    return data[pos + 4 : stop], stop


def _string8(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    stop = pos + 1 + data[pos]
    return data[pos + 1 : stop].decode(), stop


def _string32(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    stop = pos + 4 + _UINT32(data, pos)[0]
    return data[pos + 4 : stop].decode(), stop


@lru_cache(maxsize=1024)
def _symbol_of(raw: bytes) -> Symbol:
    return Symbol(raw, "ascii")


def _symbol8(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    stop = pos + 1 + data[pos]
    return _symbol_of(data[pos + 1 : stop]), stop


def _symbol32(data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    stop = pos + 4 + _UINT32(data, pos)[0]
    return Symbol(data[pos + 4 : stop], "ascii"), stop


def _described(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    depth = _deeper(depth)
    descriptor, pos = DECODERS[data[pos]](data, pos + 1, depth)
    value, pos = DECODERS[data[pos]](data, pos + 1, depth)
    return Described(descriptor, value), pos


def _list0(_data: bytes, pos: int, _depth: int) -> tuple[object, int]:
    return [], pos


def _list8(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    return _list(data, pos + 2, pos + 1 + data[pos], data[pos + 1], depth)


def _list32(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    size, count = _UINT32_PAIR(data, pos)
    return _list(data, pos + 8, pos + 4 + size, count, depth)


def _list(data: bytes, pos: int, stop: int, count: int, depth: int) -> tuple[list[object], int]:
    if not depth:
        raise AmqpProtocolError(TOO_DEEP)
    depth -= 1
    items: list[object] = []
    # Every element has a constructor, so a false count runs into the end of the data (IndexError).
    for _ in range(count):
        item, pos = DECODERS[data[pos]](data, pos + 1, depth)
        items.append(item)
    if pos != stop:
        raise AmqpProtocolError("the size of a list is not that of its elements")
    return items, stop


def _map8(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    return _map(data, pos + 2, pos + 1 + data[pos], data[pos + 1], depth)


def _map32(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    size, count = _UINT32_PAIR(data, pos)
    return _map(data, pos + 8, pos + 4 + size, count, depth)


def _map(data: bytes, pos: int, stop: int, count: int, depth: int) -> tuple[dict[object, object], int]:
    if not depth:
        raise AmqpProtocolError(TOO_DEEP)
    depth -= 1
    entries: dict[object, object] = {}
    key: object
    is_large = count > 2 * MAX_PREDICTABLE_KEYS
    for _ in range(count // 2):
        code = data[pos]
        if code == 0xA1:  # str8: _string8 without the call, for what most maps have as keys
            stop_of_key = pos + 2 + data[pos + 1]
            key, pos = data[pos + 2 : stop_of_key].decode(), stop_of_key
        elif code == 0xA3:
            stop_of_key = pos + 2 + data[pos + 1]
            key, pos = _symbol_of(data[pos + 2 : stop_of_key]), stop_of_key
        else:
            key, pos = DECODERS[code](data, pos + 1, depth)
            if is_large:
                _refuse_predictable(key)
        value, pos = DECODERS[data[pos]](data, pos + 1, depth)
        try:
            entries[key] = value
        except TypeError as error:
            raise AmqpProtocolError(f"a {type(key).__name__} as a key of a map is not supported") from error
    if pos != stop:
        raise AmqpProtocolError("the size of a map is not that of its elements")
    # Part 1, 1.6.23: an odd count, or a key that comes twice, makes a map invalid.
    if count % 2 or len(entries) != count // 2:
        raise AmqpProtocolError("a map has an odd number of elements or the same key twice")
    return entries, stop


def _refuse_predictable(key: object) -> None:
    # Whoever can foretell the hashes of many keys can make a dict take quadratic time.
    if isinstance(key, (UUID, Described)):
        raise AmqpProtocolError(f"more than {MAX_PREDICTABLE_KEYS} keys of a map are uuids or described")


def _array8(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    return _array(data, pos + 2, pos + 1 + data[pos], data[pos + 1], depth)


def _array32(data: bytes, pos: int, depth: int) -> tuple[object, int]:
    size, count = _UINT32_PAIR(data, pos)
    return _array(data, pos + 8, pos + 4 + size, count, depth)


def _array(data: bytes, pos: int, stop: int, count: int, depth: int) -> tuple[Array, int]:
    depth = _deeper(depth)
    code = data[pos]
    if code == 0x00:
        return _described_array(data, pos + 1, stop, count, depth)
    return _elements(data, pos, stop, count, depth)


def _described_array(data: bytes, pos: int, stop: int, count: int, depth: int) -> tuple[Array, int]:
    descriptor, pos = decode_at(data, pos, depth)
    if data[pos] == 0x00:
        # Legal (part 1, 1.2), but each further descriptor would cost memory for each element and no bytes.
        raise AmqpProtocolError("an array of elements with several descriptors is not supported")
    items, pos = _elements(data, pos, stop, count, _deeper(depth))
    return Array([Described(descriptor, item) for item in items]), pos


def _elements(data: bytes, pos: int, stop: int, count: int, depth: int) -> tuple[Array, int]:
    code = data[pos]
    pos += 1
    decode = DECODERS[code]
    if decode is _unknown:
        raise AmqpProtocolError(f"no such constructor at byte {pos - 1}")
    _check_count(code, count, min(stop, len(data)) - pos)
    items = Array()
    for _ in range(count):
        item, pos = decode(data, pos, depth)
        items.append(item)
    if pos != stop:
        raise AmqpProtocolError("the size of an array is not that of its elements")
    return items, stop


# Part 1, 1.2: the high four bits of a constructor give the width of the data; here the least width.
_LEAST_WIDTH: Final = (0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 1, 4, 2, 8, 3, 9)


def _check_count(code: int, count: int, room: int) -> None:
    """Refuse more elements than there are bytes for, before any is decoded."""
    width = _LEAST_WIDTH[code >> 4]
    # Elements without bytes could be any number. Those of list0 are each an object of its own, the others share one.
    most = room // width if width else MAX_EMPTY_LISTS if code == 0x45 else MAX_ZERO_WIDTH_ELEMENTS
    if count > most:
        raise AmqpProtocolError(f"an array of {count} elements in {room} bytes")


def _deeper(depth: int) -> int:
    if not depth:
        raise AmqpProtocolError(TOO_DEEP)
    return depth - 1


_BY_CODE: Final[dict[int, Decoder]] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),  # noqa: FBT003 - a value, not a flag
    0x42: _constant(False),  # noqa: FBT003 - as above
    0x43: _constant(UInt(0)),
    0x44: _constant(ULong(0)),
    0x45: _list0,
    0x50: _small(UByte),
    0x51: _fixed("b", Byte),
    0x52: _small(UInt),
    0x53: _small(ULong),
    0x54: _fixed("b", Int),
    0x55: _fixed("b", int),
    0x56: _boolean,
    0x60: _fixed("H", UShort),
    0x61: _fixed("h", Short),
    0x70: _uint,
    0x71: _fixed("i", Int),
    0x72: _fixed("f", Float),
    0x73: _char,
    0x74: _opaque(4, Decimal32),
    0x80: _fixed("Q", ULong),
    0x81: _fixed("q", int),
    0x82: _fixed("d", float),
    0x83: _fixed("q", Timestamp),
    0x84: _opaque(8, Decimal64),
    0x94: _opaque(16, Decimal128),
    0x98: _uuid,
    0xA0: _binary8,
    0xA1: _string8,
    0xA3: _symbol8,
    0xB0: _binary32,
    0xB1: _string32,
    0xB3: _symbol32,
    0xC0: _list8,
    0xC1: _map8,
    0xD0: _list32,
    0xD1: _map32,
    0xE0: _array8,
    0xF0: _array32,
}
DECODERS: Final[tuple[Decoder, ...]] = tuple(_BY_CODE.get(code, _unknown) for code in range(256))
