from __future__ import annotations

import pytest

from c2dkit._protocols.amqp import (
    Accepted,
    AmqpError,
    AmqpProtocolError,
    Array,
    Attach,
    Begin,
    Close,
    Described,
    Detach,
    Disposition,
    End,
    Flow,
    Modified,
    Open,
    Performative,
    Received,
    Rejected,
    Released,
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
    Source,
    Symbol,
    Target,
    Transfer,
    UInt,
    ULong,
    encode_value,
)
from c2dkit._protocols.amqp._composites import AMQP_PERFORMATIVES, SASL_PERFORMATIVES, composite_at

TABLE = {**AMQP_PERFORMATIVES, **SASL_PERFORMATIVES}


def decode(data: bytes) -> object:
    performative, pos = composite_at(data, 0, TABLE)
    assert pos == len(data)
    return performative


def described(code: int, *fields: object) -> bytes:
    return encode_value(Described(ULong(code), list(fields)))


ERROR = AmqpError("amqp:not-found", "no such device", {"tracking-id": "7"})

# By hand from AMQP 1.0 part 2, 2.7; part 3, 3.4 and 3.5; part 5, 5.3.3.
VECTORS: list[tuple[Performative, str]] = [
    (Open("me"), "005310 c00501 a1026d65"),
    (
        Open("c", "h", 65536, 255, 30000, desired_capabilities=("x",), properties={"p": True}),
        "005310 c0240a a10163 a10168 7000010000 6000ff 7000007530 40 40 40 e00401a30178 c10502a3017041",
    ),
    (Begin(None, 0, 5000, 5000), "005311 c00d04 40 43 7000001388 7000001388"),
    (Begin(1, 1, 1, 1, 255), "005311 c00c05 600001 5201 5201 5201 52ff"),
    (
        Attach("l", 0, role=True, source=Source("/s"), target=Target()),
        "005312 c01607 a1016c 43 41 40 40 005328c00501a1022f73 00532945",
    ),
    (
        Attach(
            "l", 1, role=False, snd_settle_mode=0, rcv_settle_mode=1, initial_delivery_count=0, max_message_size=65536
        ),
        "005312 c0190b a1016c 5201 42 5000 5001 40 40 40 40 43 800000000000010000",
    ),
    (
        Attach("l", 0, role=True, unsettled={b"t": Accepted(), b"u": None}),
        "005312 c01808 a1016c 43 41 40 40 40 40 c10c04 a00174 00532445 a00175 40",
    ),
    (Flow(None, 1, 2, 3), "005313 c00804 40 5201 5202 5203"),
    (
        Flow(0, 1, 2, 3, 4, 5, 6, 0, drain=True, echo=True),
        "005313 c0110a 43 5201 5202 5203 5204 5205 5206 43 41 41",
    ),
    (Transfer(0, 0, b"\0", 0, settled=False), "005314 c00805 43 43 a00100 43 42"),
    (Transfer(1, more=True), "005314 c00806 5201 40 40 40 40 41"),
    (Transfer(1, aborted=True, state=Released()), "005314 c00f0a 5201 40 40 40 40 40 40 00532645 40 41"),
    (Disposition(role=True, first=0, settled=True, state=Accepted()), "005315 c00905 41 43 40 41 00532445"),
    (Disposition(role=False, first=1, last=300, batchable=True), "005315 c00c06 42 5201 700000012c 40 40 41"),
    (Detach(0, closed=True), "005316 c00302 43 41"),
    (Detach(0, error=AmqpError("e")), "005316 c00c03 43 40 00531dc00401a30165"),
    (End(), "005317 45"),
    (Close(AmqpError("e", "d")), "005318 c00d01 00531dc00702a30165a10164"),
    (SaslMechanisms(("PLAIN",)), "005340 c00b01 e00801a305504c41494e"),
    (SaslInit("PLAIN", b"\0a\0b", "h"), "005341 c01103 a305504c41494e a00400610062 a10168"),
    (SaslInit("ANONYMOUS"), "005341 c00c01 a309414e4f4e594d4f5553"),
    (SaslChallenge(b""), "005342 c00301 a000"),
    (SaslResponse(b"r"), "005343 c00401 a00172"),
    (SaslOutcome(0), "005344 c00301 5000"),
    (SaslOutcome(1, b"d"), "005344 c00602 5001 a00164"),
]


@pytest.mark.parametrize(("performative", "encoding"), VECTORS, ids=lambda value: type(value).__name__)
def test_golden_vectors_both_ways(performative: Performative, encoding: str) -> None:
    assert encode_value(performative).hex() == encoding.replace(" ", "")
    decoded = decode(bytes.fromhex(encoding))
    assert decoded == performative
    assert type(decoded) is type(performative)


@pytest.mark.parametrize(
    "state",
    [
        Received(1, 2**40),
        Accepted(),
        Rejected(),
        Rejected(ERROR),
        Released(),
        Modified(delivery_failed=True, undeliverable_here=False, message_annotations={"x": 1}),
        Described(ULong(0x34), [b"txn"]),
        Described(Symbol("com.example:state"), None),
        Described(UInt(0x24), []),
        Described([], []),
    ],
    ids=repr,
)
def test_round_trip_of_delivery_states(state: object) -> None:
    transfer = Transfer(0, state=state)  # type: ignore[arg-type]
    assert decode(encode_value(transfer)) == transfer


def test_round_trip_with_every_field_set() -> None:
    source = Source(
        "/s",
        2,
        "never",
        60,
        dynamic=True,
        dynamic_node_properties={"p": Symbol("v")},
        distribution_mode="copy",
        filter={"f": Described(ULong(1), "x")},
        default_outcome=Modified(delivery_failed=True),
        outcomes=("amqp:accepted:list", "amqp:rejected:list"),
        capabilities=("queue",),
    )
    target = Target("/t", 1, "link-detach", 1, dynamic=True, dynamic_node_properties={}, capabilities=("a", "b"))
    attach = Attach("l", 7, role=False, source=source, target=target, offered_capabilities=("x",), properties={"q": []})
    assert decode(encode_value(attach)) == attach


def test_symbolic_descriptors_are_understood() -> None:
    assert decode(encode_value(Described(Symbol("amqp:end:list"), []))) == End()
    state = Described(Symbol("amqp:accepted:list"), [])
    assert decode(described(0x15, True, UInt(0), None, True, state)) == Disposition(True, 0, None, True, Accepted())


def test_a_numeric_descriptor_may_have_any_encoding_of_a_ulong() -> None:
    assert decode(b"\x00\x80\0\0\0\0\0\0\0\x17\x45") == End()


def test_a_null_field_becomes_its_default() -> None:
    assert decode(described(0x10, "c", None, None, None)) == Open("c")


def test_an_unknown_terminus_stays_described() -> None:
    coordinator = Described(ULong(0x30), [Symbol("amqp:local-transactions")])
    attach = decode(described(0x12, "l", UInt(0), False, None, None, None, coordinator))
    assert attach == Attach("l", 0, role=False, target=coordinator)


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("not described", encode_value([])),
        ("not a known descriptor", described(0x19)),
        ("not a known descriptor", encode_value(Described(Symbol("amqp:nothing:list"), []))),
        ("a descriptor of a wrong type", encode_value(Described("amqp:end:list", []))),
        ("a descriptor of a wrong type", encode_value(Described(UInt(0x17), []))),
        ("a descriptor of a wrong type", encode_value(Described([], []))),
        ("not a list", encode_value(Described(ULong(0x17), {}))),
        ("not a list", encode_value(Described(ULong(0x17), None))),
        ("an array, not a list", encode_value(Described(ULong(0x17), Array()))),
        ("too many fields", described(0x17, None, None)),
        ("a mandatory field that is not there", described(0x10)),
        ("a mandatory field that is null", described(0x12, "l", None, True)),
        ("a symbol for a string", described(0x10, Symbol("c"))),
        ("a string for a symbol", described(0x41, "PLAIN")),
        ("an int for a uint", described(0x16, 0)),
        ("a ulong for a uint", described(0x16, ULong(0))),
        ("a uint for a boolean", described(0x16, UInt(0), UInt(1))),
        ("a boolean for a uint", described(0x16, True)),
        ("an error that is not described", described(0x17, ["amqp:not-found"])),
        ("an error with an unknown descriptor", described(0x17, Described(ULong(0x1E), [Symbol("x")]))),
        ("an error without condition", described(0x17, Described(ULong(0x1D), []))),
        ("a state that is not described", described(0x15, True, UInt(0), None, None, [])),
        ("a state with a wrong field", described(0x15, True, UInt(0), None, None, Described(ULong(0x25), [1]))),
        (
            "a state without its mandatory fields",
            described(0x15, True, UInt(0), None, None, Described(ULong(0x23), [])),
        ),
        ("a source that is not described", described(0x12, "l", UInt(0), True, None, None, "address")),
    ],
)
def test_broken_composites_are_refused(reason: str, data: bytes) -> None:
    with pytest.raises(AmqpProtocolError) as caught:
        decode(data)
    assert caught.value.condition == "amqp:decode-error", reason


def test_an_error_names_the_field() -> None:
    with pytest.raises(AmqpProtocolError, match="handle of detach is a int"):
        decode(described(0x16, 0))
    with pytest.raises(AmqpProtocolError, match="attach has no role"):
        decode(described(0x12, "l", UInt(0)))


@pytest.mark.parametrize(
    "performative",
    [
        Open(None),  # type: ignore[arg-type]
        SaslMechanisms(()),
        Detach(-1),
        Attach("l", 2**32, role=True),
        Disposition(True, 0, state=Rejected(AmqpError("not ascii: é"))),
    ],
    ids=repr,
)
def test_what_cannot_be_sent_is_refused(performative: Performative) -> None:
    with pytest.raises(ValueError):
        encode_value(performative)
