"""Writes and reads the Python values of c2dkit's AMQP codec with Qpid Proton's, type by type."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode", "encode", "native", "of_native", "proton"]


def load_proton() -> Any:
    try:
        return importlib.import_module("proton")
    except ImportError:
        pytest.fail("Qpid Proton is missing: pip install python-qpid-proton")


proton = load_proton()
Data = proton.Data


def encode(value: object) -> bytes:
    """Have Proton encode a value."""
    data = Data()
    put(data, value)
    return bytes(data.encode())


def decode(encoded: bytes) -> tuple[object, int]:
    """Have Proton decode the value that the bytes begin with; returns also how many bytes that were."""
    data = Data()
    size = data.decode(encoded)
    data.rewind()
    data.next()
    return get(data), size


def native(value: object) -> Any:
    """Return the Python object that Proton has for a value."""
    data = Data()
    put(data, value)
    data.rewind()
    data.next()
    return copied(data.get_object())


def copied(native: Any) -> Any:
    """Take the binaries of a plain object out of the memory that is gone with its Data."""
    match native:
        case memoryview():
            return bytes(native)
        case list():
            return [copied(item) for item in native]
        case dict():
            return {copied(key): copied(item) for key, item in native.items()}
    return native


def of_native(native: Any) -> Any:
    """Return the value of a Python object of Proton's."""
    data = Data()
    data.put_object(native)
    data.rewind()
    data.next()
    return get(data)


def put(data: Any, value: object) -> None:
    write, _ = TYPES[type(value)]
    if type(value) in COMPOUND:
        write(data, value)
        data.exit()
    else:
        write(data, value)


def put_items(data: Any, items: list[object]) -> None:
    data.enter()
    for item in items:
        put(data, item)


def put_list(data: Any, value: list[object]) -> None:
    data.put_list()
    put_items(data, value)


def put_map(data: Any, value: dict[object, object]) -> None:
    data.put_map()
    put_items(data, [part for entry in value.items() for part in entry])


def put_described(data: Any, value: amqp.Described) -> None:
    data.put_described()
    put_items(data, [value.descriptor, value.value])


def put_array(data: Any, value: list[object]) -> None:
    first = value[0] if value else None
    if isinstance(first, amqp.Described):
        data.put_array(True, TYPES[type(first.value)][1])
        put_items(data, [first.descriptor, *(item.value for item in value if isinstance(item, amqp.Described))])
    else:
        data.put_array(False, TYPES[type(first)][1])
        put_items(data, value)


def get(data: Any) -> object:
    return GET[data.type()](data)


def get_items(data: Any) -> list[object]:
    items: list[object] = []
    data.enter()
    while data.next() is not None:
        items.append(get(data))
    data.exit()
    return items


def get_map(data: Any) -> dict[object, object]:
    items = get_items(data)
    return dict(zip(items[::2], items[1::2], strict=True))


def get_array(data: Any) -> amqp.Array:
    _, is_described, _ = data.get_array()
    items = get_items(data)
    if is_described:
        return amqp.Array([amqp.Described(items[0], item) for item in items[1:]])
    return amqp.Array(items)


TYPES: dict[type, tuple[Callable[[Any, Any], None], int]] = {
    type(None): (lambda data, _: data.put_null(), Data.NULL),
    bool: (Data.put_bool, Data.BOOL),
    amqp.UByte: (Data.put_ubyte, Data.UBYTE),
    amqp.UShort: (Data.put_ushort, Data.USHORT),
    amqp.UInt: (Data.put_uint, Data.UINT),
    amqp.ULong: (Data.put_ulong, Data.ULONG),
    amqp.Byte: (Data.put_byte, Data.BYTE),
    amqp.Short: (Data.put_short, Data.SHORT),
    amqp.Int: (Data.put_int, Data.INT),
    int: (Data.put_long, Data.LONG),
    amqp.Float: (Data.put_float, Data.FLOAT),
    float: (Data.put_double, Data.DOUBLE),
    amqp.Decimal32: (lambda data, value: data.put_decimal32(int.from_bytes(value, "big")), Data.DECIMAL32),
    amqp.Decimal64: (lambda data, value: data.put_decimal64(int.from_bytes(value, "big")), Data.DECIMAL64),
    amqp.Decimal128: (Data.put_decimal128, Data.DECIMAL128),
    amqp.Char: (Data.put_char, Data.CHAR),
    amqp.Timestamp: (Data.put_timestamp, Data.TIMESTAMP),
    UUID: (Data.put_uuid, Data.UUID),
    bytes: (Data.put_binary, Data.BINARY),
    str: (Data.put_string, Data.STRING),
    amqp.Symbol: (Data.put_symbol, Data.SYMBOL),
    list: (put_list, Data.LIST),
    dict: (put_map, Data.MAP),
    amqp.Array: (put_array, Data.ARRAY),
    amqp.Described: (put_described, Data.DESCRIBED),
}
"""How Proton puts values of our types, and what it calls the types."""

COMPOUND = {list, dict, amqp.Array, amqp.Described}

GET: dict[int, Callable[[Any], object]] = {
    Data.NULL: lambda _: None,
    Data.BOOL: Data.get_bool,
    Data.UBYTE: lambda data: amqp.UByte(data.get_ubyte()),
    Data.USHORT: lambda data: amqp.UShort(data.get_ushort()),
    Data.UINT: lambda data: amqp.UInt(data.get_uint()),
    Data.ULONG: lambda data: amqp.ULong(data.get_ulong()),
    Data.BYTE: lambda data: amqp.Byte(data.get_byte()),
    Data.SHORT: lambda data: amqp.Short(data.get_short()),
    Data.INT: lambda data: amqp.Int(data.get_int()),
    Data.LONG: lambda data: int(data.get_long()),
    Data.FLOAT: lambda data: amqp.Float(data.get_float()),
    Data.DOUBLE: lambda data: float(data.get_double()),
    Data.DECIMAL32: lambda data: amqp.Decimal32(data.get_decimal32().to_bytes(4, "big")),
    Data.DECIMAL64: lambda data: amqp.Decimal64(data.get_decimal64().to_bytes(8, "big")),
    Data.DECIMAL128: lambda data: amqp.Decimal128(data.get_decimal128()),
    Data.CHAR: lambda data: amqp.Char(data.get_char()),
    Data.TIMESTAMP: lambda data: amqp.Timestamp(data.get_timestamp()),
    Data.UUID: Data.get_uuid,
    Data.BINARY: lambda data: bytes(data.get_binary()),
    Data.STRING: Data.get_string,
    Data.SYMBOL: lambda data: amqp.Symbol(data.get_symbol()),
    Data.LIST: get_items,
    Data.MAP: get_map,
    Data.ARRAY: get_array,
    Data.DESCRIBED: lambda data: amqp.Described(*get_items(data)),
}
