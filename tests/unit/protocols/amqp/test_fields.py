from __future__ import annotations

import pytest

from c2dkit._protocols.amqp import (
    AmqpProtocolError,
    Array,
    Attach,
    Begin,
    Described,
    Open,
    SaslMechanisms,
    Source,
    Symbol,
    Transfer,
    UByte,
    UInt,
    ULong,
    encode_value,
)
from c2dkit._protocols.amqp._composites import AMQP_PERFORMATIVES, SASL_PERFORMATIVES, composite_at

TABLE = {**AMQP_PERFORMATIVES, **SASL_PERFORMATIVES}


def decode(code: int, *fields: object) -> object:
    return composite_at(encode_value(Described(ULong(code), list(fields))), 0, TABLE)[0]


def opened(capabilities: object) -> object:
    return decode(0x10, "c", None, None, None, None, None, None, None, capabilities)


# Part 1, 1.4: a field of several values may be null, one value, or an array.
@pytest.mark.parametrize(
    ("wire", "capabilities"),
    [
        (None, ()),
        (Array(), ()),
        (Symbol("a"), ("a",)),
        (Array([Symbol("a")]), ("a",)),
        (Array([Symbol("a"), Symbol("b")]), ("a", "b")),
    ],
)
def test_a_field_of_several_symbols(wire: object, capabilities: tuple[str, ...]) -> None:
    assert opened(wire) == Open("c", desired_capabilities=capabilities)


@pytest.mark.parametrize("wire", ["a", [Symbol("a")], Array(["a"]), UInt(1)])
def test_several_symbols_are_nothing_else(wire: object) -> None:
    with pytest.raises(AmqpProtocolError, match="desired_capabilities of open"):
        opened(wire)


def test_a_mandatory_field_of_several_symbols_needs_one() -> None:
    assert decode(0x40, Symbol("PLAIN")) == SaslMechanisms(("PLAIN",))
    for wire in (None, Array()):
        with pytest.raises(AmqpProtocolError, match="sasl_server_mechanisms"):
            decode(0x40, wire)


@pytest.mark.parametrize("name", [Symbol("a"), "a"])
def test_names_of_fields_may_come_as_strings(name: str) -> None:
    begin = decode(0x11, None, UInt(0), UInt(0), UInt(0), None, None, None, {name: 1})
    assert begin == Begin(None, 0, 0, 0, properties={"a": 1})


@pytest.mark.parametrize("properties", [{1: 1}, {b"a": 1}, [], Symbol("x")])
def test_fields_have_symbols_as_keys(properties: object) -> None:
    with pytest.raises(AmqpProtocolError, match="properties of begin"):
        decode(0x11, None, UInt(0), UInt(0), UInt(0), None, None, None, properties)


@pytest.mark.parametrize(("code", "field", "most"), [(0x12, 3, 2), (0x12, 4, 1), (0x14, 6, 1)])
def test_settle_modes_have_few_values(code: int, field: int, most: int) -> None:
    def with_mode(mode: object) -> object:
        mandatory: list[object] = ["l", UInt(0), True] if code == 0x12 else [UInt(0)]
        return decode(code, *mandatory, *[None] * (field - len(mandatory)), mode)

    decoded = with_mode(UByte(most))
    assert isinstance(decoded, (Attach, Transfer))
    assert decoded[field] == most
    for wrong in (UByte(most + 1), UInt(0)):
        with pytest.raises(AmqpProtocolError, match="settle_mode"):
            with_mode(wrong)


def test_sasl_codes_and_durability_have_few_values() -> None:
    with pytest.raises(AmqpProtocolError, match="code of sasl-outcome"):
        decode(0x44, UByte(5))
    with pytest.raises(AmqpProtocolError, match="durable of source"):
        decode(0x12, "l", UInt(0), True, None, None, Described(ULong(0x28), [None, UInt(3)]))


def test_a_delivery_tag_has_at_most_32_bytes() -> None:
    assert decode(0x14, UInt(0), UInt(0), b"x" * 32) == Transfer(0, 0, b"x" * 32)
    for wrong in (b"x" * 33, "tag"):
        with pytest.raises(AmqpProtocolError, match="delivery_tag"):
            decode(0x14, UInt(0), UInt(0), wrong)


@pytest.mark.parametrize("unsettled", [{"tag": None}, {b"tag": 1}, []])
def test_unsettled_maps_tags_to_states(unsettled: object) -> None:
    with pytest.raises(AmqpProtocolError, match="unsettled of attach"):
        decode(0x12, "l", UInt(0), True, None, None, None, None, unsettled)


def test_a_default_outcome_is_an_outcome() -> None:
    def source(outcome: object) -> Described:
        return Described(ULong(0x28), [None, None, None, None, None, None, None, None, outcome])

    for other in (Described(Symbol("com.example:outcome"), []), Described(ULong(0x23), [UInt(1), ULong(1)])):
        attach = decode(0x12, "l", UInt(0), True, None, None, source(other))
        assert attach == Attach("l", 0, role=True, source=Source(default_outcome=other))
    with pytest.raises(AmqpProtocolError, match="default_outcome of source"):
        decode(0x12, "l", UInt(0), True, None, None, source("accepted"))
