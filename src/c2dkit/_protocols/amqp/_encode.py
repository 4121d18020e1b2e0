"""Encodes Python values as the primitive types of AMQP 1.0 (part 1, section 1.6), each as short as it goes.

What cannot be encoded is the caller's mistake: a ``TypeError`` where AMQP has no such type, a ``ValueError`` where
the value is outside of its type's range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from struct import error as struct_error
from typing import Any, Final, TypeAlias
from uuid import UUID

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

__all__ = [
    "ENCODERS",
    "NULL",
    "Encoder",
    "encode_annotations",
    "encode_binary",
    "encode_boolean",
    "encode_described",
    "encode_fields",
    "encode_list",
    "encode_map",
    "encode_string",
    "encode_symbol",
    "encode_symbols",
    "encode_timestamp",
    "encode_ubyte",
    "encode_uint",
    "encode_ulong",
    "encode_ushort",
    "encode_value",
]

Encoder: TypeAlias = Callable[[Any], bytes]

NULL: Final = b"\x40"

_SIZE_AND_COUNT8 = Struct(">BB").pack
_SIZE_AND_COUNT32 = Struct(">II").pack


def encode_value(value: object) -> bytes:
    """Return the encoding of ``value``; its Python type says which wire type is meant (see ``_types``)."""
    encoder = ENCODERS.get(type(value))
    return encoder(value) if encoder is not None else _inherited_encoder(value)(value)


def _inherited_encoder(value: object) -> Encoder:
    for base in type(value).__mro__:
        if base in ENCODERS:
            return ENCODERS[base]
    if isinstance(value, Mapping):
        return encode_map
    raise TypeError(f"AMQP has no type for {type(value).__name__}")


def _packer(layout: str) -> Callable[[float], bytes]:
    pack = Struct(f">{layout}").pack

    def convert(value: float) -> bytes:
        try:
            return pack(value)
        except (struct_error, OverflowError) as error:
            raise ValueError(f"{value!r} is outside of the range of its AMQP type") from error

    return convert


def _fixed(code: int, layout: str) -> Callable[[float], bytes]:
    constructor, pack = bytes((code,)), _packer(layout)
    return lambda value: constructor + pack(value)


_WIDE_UINT = _fixed(0x70, "I")
_WIDE_ULONG = _fixed(0x80, "Q")
_WIDE_INT = _fixed(0x71, "i")
_WIDE_LONG = _fixed(0x81, "q")

encode_ubyte = _fixed(0x50, "B")
encode_ushort = _fixed(0x60, "H")
encode_timestamp = _fixed(0x83, "q")


def encode_boolean(value: object) -> bytes:
    """Encode the truth of ``value``."""
    return b"\x41" if value else b"\x42"


def encode_uint(value: int) -> bytes:
    """Encode as uint0, smalluint or uint."""
    if 0 <= value < 256:
        return bytes((0x52, value)) if value else b"\x43"
    return _WIDE_UINT(value)


def encode_ulong(value: int) -> bytes:
    """Encode as ulong0, smallulong or ulong."""
    if 0 <= value < 256:
        return bytes((0x53, value)) if value else b"\x44"
    return _WIDE_ULONG(value)


def _encode_int(value: int) -> bytes:
    return bytes((0x54, value & 0xFF)) if -128 <= value < 128 else _WIDE_INT(value)


def _encode_long(value: int) -> bytes:
    return bytes((0x55, value & 0xFF)) if -128 <= value < 128 else _WIDE_LONG(value)


def _char_data(value: str) -> bytes:
    data = value.encode("utf-32-be")
    if len(data) != 4:
        raise ValueError(f"a char is one character, not {len(value)}")
    return data


def _decimal_data(size: int) -> Callable[[bytes], bytes]:
    def check(value: bytes) -> bytes:
        if len(value) != size:
            raise ValueError(f"a decimal{size * 8} has {size} bytes, not {len(value)}")
        return bytes(value)

    return check


def encode_binary(value: bytes) -> bytes:
    """Encode as vbin8 or vbin32."""
    return _variable(0xA0, value)


def encode_string(value: str) -> bytes:
    """Encode as str8 or str32."""
    return _variable(0xA1, value.encode())


def encode_symbol(value: str) -> bytes:
    """Encode as sym8 or sym32; only ASCII."""
    return _variable(0xA3, value.encode("ascii"))


def _variable(code: int, data: bytes) -> bytes:
    size = len(data)
    if size < 256:
        return bytes((code, size)) + data
    return bytes((code + 0x10,)) + size.to_bytes(4, "big") + data


def encode_described(value: Described) -> bytes:
    """Encode the descriptor, then the value."""
    return b"\x00" + encode_value(value.descriptor) + encode_value(value.value)


def encode_list(items: list[bytes]) -> bytes:
    """Return the list of elements that are encoded already."""
    if not items:
        return b"\x45"
    return _compound(0xC0, len(items), b"".join(items))


def _encode_list(value: list[object]) -> bytes:
    return encode_list([encode_value(item) for item in value])


def encode_map(value: Mapping[Any, object]) -> bytes:
    """Encode keys and values by their own types."""
    return _compound(0xC1, 2 * len(value), _entries(value, encode_value))


def encode_fields(value: Mapping[str, object]) -> bytes:
    """Encode a map whose keys are symbols, so that a plain str will do (AMQP 1.0 part 2, 2.8.13)."""
    return _compound(0xC1, 2 * len(value), _entries(value, encode_symbol))


def encode_annotations(value: Mapping[str, object]) -> bytes:
    """Encode a map whose keys are symbols or, reserved, ulongs (AMQP 1.0 part 3, 3.2.10)."""
    return _compound(0xC1, 2 * len(value), _entries(value, _annotation_key))


def _annotation_key(key: object) -> bytes:
    return encode_ulong(key) if isinstance(key, int) else encode_symbol(str(key))


def _entries(value: Mapping[Any, object], encode_key: Encoder) -> bytes:
    return b"".join([encode_key(key) + encode_value(item) for key, item in value.items()])


def _compound(code: int, count: int, data: bytes) -> bytes:
    """Put constructor, size and count in front: 8 bits wide where both fit, else 32."""
    size = len(data)
    if size < 255 and count < 256:
        return bytes((code, size + 1, count)) + data
    return bytes((code + 0x10,)) + _SIZE_AND_COUNT32(size + 4, count) + data


def encode_symbols(value: Iterable[str]) -> bytes:
    """Encode a field that may hold several symbols (AMQP 1.0 part 1, 1.4): none is null, any number is an array."""
    symbols = [Symbol(item) for item in value]
    return _encode_array(Array(symbols)) if symbols else NULL


def _encode_array(value: list[object]) -> bytes:
    return _compound(0xE0, len(value), _array_data(value))


def _array_data(items: list[object]) -> bytes:
    """Return the one constructor and the data of each element (AMQP 1.0 part 1, 1.6.24)."""
    if not items:
        return NULL  # An array without elements has a constructor too; which one tells nobody anything.
    kind = type(items[0])
    if any(type(item) is not kind for item in items):
        raise TypeError("the elements of an array are of different types")
    encode = _ARRAYS.get(kind)
    if encode is None:
        raise TypeError(f"AMQP has no type for an array of {kind.__name__}")
    return encode(items)


def _described_elements(items: list[Described]) -> bytes:
    descriptors = {encode_value(item.descriptor) for item in items}
    if len(descriptors) != 1:
        raise ValueError("the elements of an array have different descriptors")
    values = [item.value for item in items]
    if isinstance(values[0], Described):
        raise TypeError("an array of elements with several descriptors is not supported")
    return b"\x00" + descriptors.pop() + _array_data(values)


def _fixed_elements(code: int, data_of: Callable[[Any], bytes]) -> Encoder:
    constructor = bytes((code,))
    return lambda items: constructor + b"".join([data_of(item) for item in items])


def _integer_elements(small: int, small_layout: str, code: int, layout: str) -> Encoder:
    narrow = _fixed_elements(small, _packer(small_layout))
    wide = _fixed_elements(code, _packer(layout))
    least, most = (-128, 127) if small_layout == "b" else (0, 255)
    return lambda items: (narrow if least <= min(items) and max(items) <= most else wide)(items)


def _variable_elements(code: int, data_of: Callable[[Any], bytes]) -> Encoder:
    def encode(items: list[object]) -> bytes:
        data = [data_of(item) for item in items]
        if max(map(len, data)) < 256:
            return bytes((code,)) + b"".join([bytes((len(item),)) + item for item in data])
        return bytes((code + 0x10,)) + b"".join([len(item).to_bytes(4, "big") + item for item in data])

    return encode


def _compound_elements(code: int, parts_of: Callable[[Any], tuple[int, bytes]]) -> Encoder:
    def encode(items: list[object]) -> bytes:
        parts = [parts_of(item) for item in items]
        if all(count < 256 and len(data) < 255 for count, data in parts):
            return bytes((code,)) + b"".join([_SIZE_AND_COUNT8(len(data) + 1, count) + data for count, data in parts])
        sized = [_SIZE_AND_COUNT32(len(data) + 4, count) + data for count, data in parts]
        return bytes((code + 0x10,)) + b"".join(sized)

    return encode


ENCODERS: Final[dict[type, Encoder]] = {
    type(None): lambda _: NULL,
    bool: encode_boolean,
    UByte: encode_ubyte,
    UShort: encode_ushort,
    UInt: encode_uint,
    ULong: encode_ulong,
    Byte: _fixed(0x51, "b"),
    Short: _fixed(0x61, "h"),
    Int: _encode_int,
    int: _encode_long,
    Float: _fixed(0x72, "f"),
    float: _fixed(0x82, "d"),
    Decimal32: lambda value: b"\x74" + _decimal_data(4)(value),
    Decimal64: lambda value: b"\x84" + _decimal_data(8)(value),
    Decimal128: lambda value: b"\x94" + _decimal_data(16)(value),
    Char: lambda value: b"\x73" + _char_data(value),
    Timestamp: encode_timestamp,
    UUID: lambda value: b"\x98" + value.bytes,
    bytes: encode_binary,
    str: encode_string,
    Symbol: encode_symbol,
    list: _encode_list,
    dict: encode_map,
    Array: _encode_array,
    Described: encode_described,
}
"""By the exact type; a composite type adds itself."""

# No zero-width constructors (null apart): nobody gains by an array that says only how many zeros it has.
_ARRAYS: Final[dict[type, Encoder]] = {
    type(None): lambda _: NULL,
    bool: _fixed_elements(0x56, lambda value: b"\x01" if value else b"\x00"),
    UByte: _fixed_elements(0x50, _packer("B")),
    UShort: _fixed_elements(0x60, _packer("H")),
    UInt: _integer_elements(0x52, "B", 0x70, "I"),
    ULong: _integer_elements(0x53, "B", 0x80, "Q"),
    Byte: _fixed_elements(0x51, _packer("b")),
    Short: _fixed_elements(0x61, _packer("h")),
    Int: _integer_elements(0x54, "b", 0x71, "i"),
    int: _integer_elements(0x55, "b", 0x81, "q"),
    Float: _fixed_elements(0x72, _packer("f")),
    float: _fixed_elements(0x82, _packer("d")),
    Decimal32: _fixed_elements(0x74, _decimal_data(4)),
    Decimal64: _fixed_elements(0x84, _decimal_data(8)),
    Decimal128: _fixed_elements(0x94, _decimal_data(16)),
    Char: _fixed_elements(0x73, _char_data),
    Timestamp: _fixed_elements(0x83, _packer("q")),
    UUID: _fixed_elements(0x98, lambda value: value.bytes),
    bytes: _variable_elements(0xA0, bytes),
    str: _variable_elements(0xA1, lambda value: value.encode()),
    Symbol: _variable_elements(0xA3, lambda value: value.encode("ascii")),
    list: _compound_elements(0xC0, lambda value: (len(value), b"".join([encode_value(item) for item in value]))),
    dict: _compound_elements(0xC1, lambda value: (2 * len(value), _entries(value, encode_value))),
    Array: _compound_elements(0xE0, lambda value: (len(value), _array_data(value))),
    Described: _described_elements,
}
