from __future__ import annotations

import math
from collections import OrderedDict
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

# AMQP 1.0 part 1, 1.6: the encodings of each type, the shortest where there are several.
VECTORS: list[tuple[object, str]] = [
    (None, "40"),
    (True, "41"),
    (False, "42"),
    (UByte(255), "50ff"),
    (UShort(0x1234), "601234"),
    (UInt(0), "43"),
    (UInt(1), "5201"),
    (UInt(255), "52ff"),
    (UInt(256), "7000000100"),
    (UInt(2**32 - 1), "70ffffffff"),
    (ULong(0), "44"),
    (ULong(1), "5301"),
    (ULong(255), "53ff"),
    (ULong(256), "800000000000000100"),
    (ULong(2**64 - 1), "80ffffffffffffffff"),
    (Byte(-1), "51ff"),
    (Short(-2), "61fffe"),
    (Int(0), "5400"),
    (Int(-128), "5480"),
    (Int(127), "547f"),
    (Int(128), "7100000080"),
    (Int(-129), "71ffffff7f"),
    (0, "5500"),
    (-1, "55ff"),
    (128, "810000000000000080"),
    (-(2**63), "818000000000000000"),
    (Float(1.5), "723fc00000"),
    (1.5, "823ff8000000000000"),
    (Decimal32(b"abcd"), "7461626364"),
    (Decimal64(b"abcdefgh"), "846162636465666768"),
    (Decimal128(b"abcdefghijklmnop"), "946162636465666768696a6b6c6d6e6f70"),
    (Char("A"), "7300000041"),
    (Char("\U0001f600"), "730001f600"),
    (Timestamp(1311704463521), "830000013167adb8a1"),
    (Timestamp(-1), "83ffffffffffffffff"),
    (UUID("00112233-4455-6677-8899-aabbccddeeff"), "9800112233445566778899aabbccddeeff"),
    (b"", "a000"),
    (b"\x01\x02", "a0020102"),
    ("", "a100"),
    ("Hello Glorious Messaging World", "a11e" + b"Hello Glorious Messaging World".hex()),
    ("é", "a102c3a9"),
    (Symbol("a"), "a30161"),
    ([], "45"),
    ([None, True], "c003024041"),
    ([[]], "c0020145"),
    ({}, "c10100"),
    ({Symbol("k"): UInt(1)}, "c10602a3016b5201"),
    (Array(), "e0020040"),
    (Array([None, None]), "e0020240"),
    (Array([True, False]), "e00402560100"),
    (Array([UByte(1)]), "e0030150" + "01"),
    (Array([UInt(0), UInt(255)]), "e004025200ff"),
    (Array([UInt(0), UInt(256)]), "e00a02700000000000000100"),
    (Array([Int(-1), Int(127)]), "e0040254ff7f"),
    (Array([-129]), "e00a0181ffffffffffffff7f"),
    (Array([ULong(1), ULong(2)]), "e00402530102"),
    (Array([Symbol("PLAIN"), Symbol("EXTERNAL")]), "e01102a305504c41494e0845585445524e414c"),
    (Array(["a", ""]), "e00502a1016100"),
    (Array([[], [True]]), "e00702c00100020141"),
    (Array([{}]), "e00401c10100"),
    (Array([Array([UByte(1), UByte(2)]), Array([UByte(3)])]), "e00b02e0" + "0402500102" + "03015003"),
    (Array([Described(ULong(5), UInt(1)), Described(ULong(5), UInt(2))]), "e007020053055201" + "02"),
    (Described(ULong(0x24), []), "00532445"),
    # The examples of part 1, 1.2 and 1.4.
    (
        Described("URL", "http://example.org/hello-world"),
        "00a10355524ca11e" + b"http://example.org/hello-world".hex(),
    ),
    (
        Described(
            Symbol("example:book:list"),
            ["AMQP for & by Dummies", Array(["Rob J. Godfrey", "Rafael H. Schloming"]), None],
        ),
        "00a311" + b"example:book:list".hex() + "c04003a115" + b"AMQP for & by Dummies".hex() + "e02502a10e"
        + b"Rob J. Godfrey".hex() + "13" + b"Rafael H. Schloming".hex() + "40",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("value", "encoding"), VECTORS, ids=[encoding[:24] for _, encoding in VECTORS])
def test_golden_vectors_both_ways(value: object, encoding: str) -> None:
    assert encode_value(value).hex() == encoding
    decoded = decode_value(bytes.fromhex(encoding))
    assert decoded == value
    assert type(decoded) is type(value)


def test_the_8_bit_constructors_reach_to_255_bytes() -> None:
    assert encode_value(b"x" * 255)[:2] == b"\xa0\xff"
    assert encode_value(b"x" * 256)[:5] == b"\xb0\0\0\1\0"
    assert encode_value("x" * 256)[:5] == b"\xb1\0\0\1\0"
    assert encode_value(Symbol("x" * 256))[:5] == b"\xb3\0\0\1\0"
    assert encode_value([None] * 254)[:3] == b"\xc0\xff\xfe"
    assert encode_value([None] * 255)[:9] == b"\xd0\0\0\1\3\0\0\0\xff"
    assert encode_value({b"": b"x" * 250})[:3] == b"\xc1\xff\2"
    assert encode_value({b"": b"x" * 251})[:9] == b"\xd1\0\0\1\3\0\0\0\2"
    assert encode_value(Array([UByte(1)] * 253))[:3] == b"\xe0\xff\xfd"
    assert encode_value(Array([UByte(1)] * 254))[:9] == b"\xf0\0\0\1\3\0\0\0\xfe"


@pytest.mark.parametrize(
    ("items", "constructor"),
    [([b"x" * 256], 0xB0), (["x" * 256], 0xB1), ([[b"x" * 256]], 0xD0), ([{1: b"x" * 256}], 0xD1)],
)
def test_an_array_takes_the_wide_constructor_where_one_element_needs_it(items: list[object], constructor: int) -> None:
    assert encode_value(Array(items))[9] == constructor
    assert decode_value(encode_value(Array(items))) == items


@pytest.mark.parametrize(
    "value",
    [
        UByte(256),
        UByte(-1),
        UShort(65536),
        UInt(-1),
        UInt(2**32),
        ULong(2**64),
        Byte(128),
        Short(32768),
        Int(2**31),
        2**63,
        Timestamp(2**63),
        Float(1e300),
        Decimal32(b"12345"),
        Char("ab"),
        Char(""),
        Symbol("é"),
        "\ud800",
        Array([UInt(2**32)]),
        Array([Described(ULong(1), 1), Described(ULong(2), 1)]),
    ],
    ids=repr,
)
def test_a_value_outside_of_its_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        encode_value(value)


@pytest.mark.parametrize(
    "value",
    [
        ...,
        {1, 2},
        (1, 2),
        1j,
        [...],
        Array([1, UInt(1)]),
        Array([...]),
        Array([Described(1, Described(1, 1))]),
    ],
    ids=repr,
)
def test_a_value_that_amqp_has_no_type_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode_value(value)


def test_subclasses_are_encoded_as_what_they_are() -> None:
    class Number(IntEnum):
        SIX = 6

    class Word(StrEnum):
        SIX = "six"

    entries = {"a": 1}
    assert encode_value(Number.SIX) == encode_value(6)
    assert encode_value(Word.SIX) == encode_value("six")
    assert encode_value(OrderedDict(entries)) == encode_value(entries)
    assert encode_value(MappingProxyType(entries)) == encode_value(entries)


def _unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def _signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


SCALARS: list[st.SearchStrategy[object]] = [
    st.none(),
    st.booleans(),
    _unsigned(8).map(UByte),
    _unsigned(16).map(UShort),
    _unsigned(32).map(UInt),
    _unsigned(64).map(ULong),
    _signed(8).map(Byte),
    _signed(16).map(Short),
    _signed(32).map(Int),
    _signed(64),
    _signed(64).map(Timestamp),
    st.floats(width=32, allow_nan=False).map(Float),
    st.floats(allow_nan=False),
    st.binary(min_size=4, max_size=4).map(Decimal32),
    st.binary(min_size=8, max_size=8).map(Decimal64),
    st.binary(min_size=16, max_size=16).map(Decimal128),
    st.characters(exclude_categories=["Cs"]).map(Char),
    st.uuids(),
    st.binary(max_size=300),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol),
]
LEAVES = st.one_of(SCALARS)


def _arrays(items: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(items, max_size=6).map(Array)


def _described(items: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.builds(Described, LEAVES, items)


def _compounds(items: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    lists = st.lists(items, max_size=6)
    maps = st.dictionaries(LEAVES, items, max_size=6)
    arrays_of_described = st.tuples(LEAVES, st.one_of([st.lists(scalar, max_size=4) for scalar in SCALARS])).map(
        lambda pair: Array([Described(pair[0], value) for value in pair[1]])
    )
    arrays_of_arrays = st.lists(st.one_of([_arrays(scalar) for scalar in SCALARS]), max_size=4).map(Array)
    return st.one_of(
        lists, maps, _described(items), _arrays(lists), _arrays(maps), arrays_of_described, arrays_of_arrays
    )


VALUES = st.recursive(st.one_of(LEAVES, *[_arrays(scalar) for scalar in SCALARS]), _compounds, max_leaves=12)


def shape(value: object) -> object:
    """The types of a value and of everything in it."""
    if isinstance(value, Described):
        return Described, shape(value.descriptor), shape(value.value)
    if isinstance(value, list):
        items = cast("list[object]", value)
        return type(items), [shape(item) for item in items]
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value)
        return dict, [(shape(key), shape(item)) for key, item in entries.items()]
    return type(value)


@given(VALUES)
def test_round_trip_of_any_value(value: object) -> None:
    decoded = decode_value(encode_value(value))
    assert decoded == value
    assert shape(decoded) == shape(value)


@pytest.mark.parametrize("kind", [float, Float])
def test_round_trip_of_not_a_number(kind: type[float]) -> None:
    decoded = decode_value(encode_value(kind("nan")))
    assert type(decoded) is kind
    assert math.isnan(decoded)
