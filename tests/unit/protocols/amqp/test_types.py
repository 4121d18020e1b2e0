from __future__ import annotations

from uuid import UUID

import pytest

from c2dkit._protocols.amqp import (
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
    decode_value,
    encode_value,
)

ONE_OF_EACH: list[object] = [
    None,
    True,
    UByte(7),
    UShort(7),
    UInt(7),
    ULong(7),
    Byte(7),
    Short(7),
    Int(7),
    7,
    Float(0.5),
    0.5,
    Decimal32(b"1234"),
    Decimal64(b"12345678"),
    Decimal128(b"1234567890123456"),
    Char("ü"),
    Timestamp(7),
    UUID(int=7),
    b"7",
    "7",
    Symbol("7"),
    [7],
    {7: 7},
    Array([7]),
    Described(ULong(7), 7),
]


@pytest.mark.parametrize("value", ONE_OF_EACH, ids=lambda value: type(value).__name__)
def test_each_wire_type_has_one_python_type(value: object) -> None:
    decoded = decode_value(encode_value(value))
    assert decoded == value
    assert type(decoded) is type(value)


def test_each_python_type_has_its_own_constructor() -> None:
    constructors = {encode_value(value)[0] for value in ONE_OF_EACH}
    assert len(constructors) == len(ONE_OF_EACH)


def test_subclasses_compare_as_their_base() -> None:
    assert UInt(5) == 5
    assert Symbol("key") in {"key": 1}
    assert Array([1]) == [1]
