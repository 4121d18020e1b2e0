from __future__ import annotations

import tracemalloc
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.amqp import (
    AmqpProtocolError,
    Array,
    Described,
    Int,
    Symbol,
    UInt,
    ULong,
    decode_value,
    encode_value,
)
from c2dkit._protocols.amqp._decode import MAX_DEPTH


# What an encoder that looks for the shortest form never writes (AMQP 1.0 part 1, 1.6).
@pytest.mark.parametrize(
    ("encoding", "value"),
    [
        ("5601", True),
        ("5600", False),
        ("5200", UInt(0)),
        ("7000000001", UInt(1)),
        ("5300", ULong(0)),
        ("800000000000000001", ULong(1)),
        ("7100000001", Int(1)),
        ("810000000000000001", 1),
        ("b000000001ff", b"\xff"),
        ("b10000000161", "a"),
        ("b30000000161", Symbol("a")),
        ("c00100", []),
        ("d00000000400000000", []),
        ("d0000000050000000140", [None]),
        ("d10000000400000000", {}),
        ("d10000000700000002a00041", {b"": True}),
        ("e0020043", Array()),
        ("e0020343", Array([UInt(0)] * 3)),
        ("e0020244", Array([ULong(0)] * 2)),
        ("e0020241", Array([True] * 2)),
        ("e0020242", Array([False] * 2)),
        ("e0020245", Array([[], []])),
        ("e0021040", Array([None] * 16)),
        ("f000000007000000025401" + "02", Array([Int(1), Int(2)])),
        ("f00000000a00000001b0" + "00000001" + "ff", Array([b"\xff"])),
        ("f00000000a00000001b1" + "00000001" + "61", Array(["a"])),
        ("f00000000a00000001b3" + "00000001" + "61", Array([Symbol("a")])),
        ("f00000000d00000001d0" + "0000000400000000", Array([[]])),
        ("f00000000d00000001d1" + "0000000400000000", Array([{}])),
        ("f00000000e00000001f0" + "000000050000000040", Array([Array()])),
        ("0080000000000000002445", Described(ULong(0x24), [])),
        ("00a30161" + "00a30162" + "40", Described(Symbol("a"), Described(Symbol("b"), None))),
    ],
)
def test_other_legal_encodings(encoding: str, value: object) -> None:
    decoded = decode_value(bytes.fromhex(encoding))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("reason", "encoding"),
    [
        ("nothing at all", ""),
        ("an unknown constructor", "01"),
        ("an unknown constructor", "ff"),
        ("an unknown constructor in an empty array", "e002003f"),
        ("cut off", "70000000"),
        ("cut off", "a102"),
        ("cut off", "98" + "00" * 15),
        ("cut off", "00a30161"),
        ("cut off", "d0000000"),
        ("cut off in a decimal", "74000000"),
        ("something behind the value", "4040"),
        ("a boolean of 2", "5602"),
        ("invalid UTF-8", "a101ff"),
        ("an overlong UTF-8 form", "a102c080"),
        ("a surrogate in UTF-8", "a103eda080"),
        ("invalid UTF-8", "b100000001ff"),
        ("a symbol that is not ASCII", "a30180"),
        ("a symbol that is not ASCII", "b30000000180"),
        ("a surrogate as a char", "730000d800"),
        ("a char beyond Unicode", "7300110000"),
        ("a char beyond Unicode", "73ffffffff"),
        ("a list with a size too small", "c0024140" + "40"),
        ("a list with a size too large", "c003014040"),
        ("a list with a count too small", "c003014041"),
        ("a list with a count too large", "c0020240"),
        ("an inner list that reaches out of its list", "c00501c0024040" + "40"),
        ("a map of an odd count", "c104034041" + "42"),
        ("a map of an odd count", "c103034041"),
        ("a map with a key twice", "c1090454015401" + "54015401"),
        ("a map with a key twice", "c10904a30161" + "40a3016140"),
        ("a map with a size too large", "c104024040"),
        ("a map with bytes behind its elements", "c10402404041"),
        ("a list as a key", "c103024540"),
        ("a map as a key", "c10502c1010040"),
        ("an array as a key", "c10602e002004040"),
        ("a list inside of a described key", "c1060200404540" + "40"),
        ("an array with a wrong size", "e0050250010203"),
        ("an array that reaches behind its end", "e0030250" + "0102"),
        ("elements with two descriptors", "e00701" + "0040" + "0040" + "5001"),
    ],
)
def test_broken_values_are_refused(reason: str, encoding: str) -> None:
    with pytest.raises(AmqpProtocolError) as caught:
        decode_value(bytes.fromhex(encoding))
    assert caught.value.condition == "amqp:decode-error", reason


def _nested(levels: int, value: bytes = b"\x40") -> bytes:
    for _ in range(levels):
        value = b"\xd0" + (len(value) + 4).to_bytes(4, "big") + b"\0\0\0\1" + value
    return value


def test_nesting_is_allowed_up_to_the_limit() -> None:
    decode_value(_nested(MAX_DEPTH))
    decode_value(b"\x00\x40" * MAX_DEPTH + b"\x40")
    for bomb in (_nested(MAX_DEPTH + 1), b"\x00\x40" * (MAX_DEPTH + 1) + b"\x40"):
        with pytest.raises(AmqpProtocolError, match="too deeply"):
            decode_value(bomb)


COUNT = "ffffffff"


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"\x00" * 1_000_000, id="descriptors of descriptors"),
        pytest.param(b"\xd0\x00\x00\xff\xff\x00\x00\x00\x01" * 100_000, id="lists in lists"),
        pytest.param(b"\xd1\x00\x00\xff\xff\x00\x00\x00\x02" * 100_000, id="maps as keys of maps"),
        pytest.param(b"\xf0\x00\x00\xff\xff\x00\x00\x00\x01" * 100_000, id="arrays of arrays"),
        pytest.param(b"\xf0\x00\x0f\xff\xff\x00\x00\x00\x01" + b"\x00" * 1_000_000, id="descriptors of an array"),
        *(
            pytest.param(bytes.fromhex(f"f000000005{COUNT}{code}"), id=f"an array of 4 billion {code}")
            for code in ("40", "41", "42", "43", "44", "45", "50", "60", "74", "84", "94", "98", "a0", "b0", "c0", "f0")
        ),
        *(
            pytest.param(bytes.fromhex(f"f0{COUNT}{COUNT}{code}"), id=f"4 GB of 4 billion {code}")
            for code in ("40", "50", "74", "94", "98", "a0", "b0", "c0", "d1", "e0")
        ),
        *(
            pytest.param(bytes.fromhex(f"f0{COUNT}0fffffff{code}"), id=f"4 GB of as many {code} as fit")
            for code in ("74", "84", "94", "98", "a0")
        ),
        pytest.param(bytes.fromhex(f"f000000007{COUNT}005345" + "40"), id="an array of 4 billion described nulls"),
        pytest.param(bytes.fromhex(f"d000000004{COUNT}"), id="a list of 4 billion"),
        pytest.param(bytes.fromhex(f"d1{COUNT}{COUNT}"), id="a map of 4 billion"),
        pytest.param(bytes.fromhex(f"b0{COUNT}"), id="a binary of 4 GB"),
        pytest.param(bytes.fromhex(f"b1{COUNT}"), id="a string of 4 GB"),
        pytest.param(bytes.fromhex(f"b3{COUNT}"), id="a symbol of 4 GB"),
        pytest.param(bytes.fromhex("e00211" + "40"), id="an array of 17 nulls"),
        pytest.param(bytes.fromhex("e00203" + "45"), id="an array of 3 empty lists"),
    ],
)
def test_bombs_cost_neither_time_nor_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(AmqpProtocolError):
            decode_value(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("described", [False, True])
def test_many_keys_with_foreseeable_hashes_are_refused(*, described: bool) -> None:
    def keys(count: int) -> dict[object, object]:
        # Each a multiple of the modulus of Python's hash of integers: all have one and the same hash.
        ids = [UUID(int=number * (2**61 - 1)) for number in range(count)]
        return {Described(ULong(1), key) if described else key: None for key in ids}

    assert len(dict(decode_value(encode_value(keys(32))))) == 32  # type: ignore[call-overload]
    with pytest.raises(AmqpProtocolError, match="keys"):
        decode_value(encode_value(keys(33)))


def test_many_keys_of_other_types_are_fine() -> None:
    entries: dict[object, object] = {f"key {number}": number for number in range(1000)}
    assert decode_value(encode_value(entries)) == entries


@given(st.binary(max_size=64))
def test_random_bytes_raise_nothing_but_the_protocol_error(data: bytes) -> None:
    with suppress(AmqpProtocolError):
        decode_value(data)


CODES = st.sampled_from([0x00, *range(0x40, 0x46), *range(0x50, 0x57), 0x70, 0x72, 0x73, 0x74, 0x83, 0x98])
VARIABLE = st.sampled_from([0xA0, 0xA1, 0xA3, 0xB0, 0xB1, 0xB3, 0xC0, 0xC1, 0xD0, 0xD1, 0xE0, 0xF0])


@given(st.lists(st.one_of(CODES, VARIABLE, st.integers(0, 9)), max_size=40).map(bytes))
def test_what_decodes_can_be_encoded(data: bytes) -> None:
    try:
        value = decode_value(data)
    except AmqpProtocolError:
        return
    encoded = encode_value(value)
    assert encode_value(decode_value(encoded)) == encoded
