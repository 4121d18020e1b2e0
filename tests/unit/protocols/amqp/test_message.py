from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.amqp import (
    AmqpMessage,
    AmqpProtocolError,
    Array,
    Described,
    Header,
    Int,
    Properties,
    Symbol,
    Timestamp,
    UInt,
    ULong,
    decode_message,
    encode_message,
    encode_value,
)

FULL = AmqpMessage(
    header=Header(durable=True, priority=9, ttl=1000, first_acquirer=True, delivery_count=3),
    delivery_annotations={"x-opt-d": UInt(1)},
    message_annotations={"x-opt-sequence-number": ULong(7), "iothub-enqueuedtime": Timestamp(1_700_000_000_000)},
    properties=Properties(
        "id", b"user", "/to", "subject", "/reply", "correlation", "application/json", "utf-8", 1, 2, "group", 3, "reply"
    ),
    application_properties={"text": "value", "none": None, "int": Int(-1), "time": Timestamp(0)},
    data=b"body",
    footer={"x-opt-f": [1, {"a": Symbol("b")}]},
)


def section(code: int, value: object) -> bytes:
    return encode_value(Described(ULong(code), value))


@pytest.mark.parametrize(
    ("message", "encoding"),
    [
        (AmqpMessage(data=b"hi"), "005375 a0026869"),
        (AmqpMessage(data=b""), "005375 a000"),
        (AmqpMessage(value="v", has_value=True), "005377 a10176"),
        (AmqpMessage(value=None, has_value=True), "005377 40"),
        (AmqpMessage(sequence=[True, None]), "005376 c003024140"),
        (AmqpMessage(header=Header(), data=b""), "005370 45 005375 a000"),
        (AmqpMessage(header=Header(delivery_count=1), data=b""), "005370 c00705 40 40 40 40 5201 005375 a000"),
        (AmqpMessage(delivery_annotations={"a": True}, data=b""), "005371 c10502 a30161 41 005375 a000"),
        (AmqpMessage(message_annotations={"a": True}, data=b""), "005372 c10502 a30161 41 005375 a000"),
        (
            AmqpMessage(properties=Properties("m", content_type="t", absolute_expiry_time=1), data=b""),
            "005373 c01609 a1016d 40 40 40 40 40 a30174 40 830000000000000001 005375 a000",
        ),
        (AmqpMessage(properties=Properties(message_id=5), data=b""), "005373 c00301 5305 005375 a000"),
        (AmqpMessage(application_properties={"a": True}, data=b""), "005374 c10502 a10161 41 005375 a000"),
        (AmqpMessage(data=b"", footer={"a": True}), "005375 a000 005378 c10502 a30161 41"),
    ],
)
def test_golden_vectors_both_ways(message: AmqpMessage, encoding: str) -> None:
    assert encode_message(message).hex() == encoding.replace(" ", "")
    assert decode_message(bytes.fromhex(encoding)) == message


def test_round_trip_with_every_section() -> None:
    assert decode_message(encode_message(FULL)) == FULL


@pytest.mark.parametrize("kind", [ULong(7), UUID(int=7), b"7", "7"])
def test_an_id_keeps_its_type(kind: ULong | UUID | bytes | str) -> None:
    decoded = decode_message(encode_message(AmqpMessage(properties=Properties(kind, correlation_id=kind), data=b"")))
    assert decoded.properties is not None
    assert decoded.properties.message_id == decoded.properties.correlation_id == kind
    assert type(decoded.properties.message_id) is type(kind)


def test_annotations_may_have_the_reserved_keys() -> None:
    payload = section(0x72, {ULong(1): "x", Symbol("s"): "y"}) + section(0x75, b"")
    assert encode_message(decode_message(payload)) == payload


def test_sections_that_repeat_are_joined() -> None:
    assert decode_message(section(0x75, b"a") + section(0x75, b"") + section(0x75, b"b")).data == b"ab"
    assert decode_message(section(0x76, [1]) + section(0x76, []) + section(0x76, [None, 2])).sequence == [1, None, 2]


def test_a_message_without_a_body_is_let_through() -> None:
    message = decode_message(section(0x74, {"a": "b"}))
    assert message == AmqpMessage(application_properties={"a": "b"})
    assert decode_message(b"") == AmqpMessage()


def test_symbolic_descriptors_are_understood() -> None:
    sections: dict[str, object] = {
        "amqp:header:list": [],
        "amqp:delivery-annotations:map": {},
        "amqp:message-annotations:map": {},
        "amqp:properties:list": [],
        "amqp:application-properties:map": {},
        "amqp:data:binary": b"",
        "amqp:footer:map": {},
    }
    payload = b"".join(encode_value(Described(Symbol(name), value)) for name, value in sections.items())
    assert decode_message(payload) == AmqpMessage(Header(), {}, {}, Properties(), {}, b"", footer={})
    assert decode_message(encode_value(Described(Symbol("amqp:amqp-value:*"), 1))).value == 1
    assert decode_message(encode_value(Described(Symbol("amqp:amqp-sequence:list"), [1]))).sequence == [1]


DATA = section(0x75, b"d")


@pytest.mark.parametrize(
    ("reason", "payload"),
    [
        ("not described", encode_value("text")),
        ("an unknown section", section(0x79, []) + DATA),
        ("an unknown section", encode_value(Described(Symbol("amqp:other:list"), [])) + DATA),
        ("a header behind the properties", section(0x73, []) + section(0x70, []) + DATA),
        ("a header twice", section(0x70, []) + section(0x70, []) + DATA),
        ("a footer before the body", section(0x78, {}) + DATA),
        ("a footer twice", DATA + section(0x78, {}) + section(0x78, {})),
        ("properties behind the body", DATA + section(0x73, [])),
        ("an amqp-value twice", section(0x77, 1) + section(0x77, 2)),
        ("data and an amqp-value", DATA + section(0x77, 1)),
        ("data and an amqp-sequence", DATA + section(0x76, [])),
        ("an amqp-value and data", section(0x77, 1) + DATA),
        ("a header that is a map", section(0x70, {}) + DATA),
        ("a header with a wrong field", section(0x70, [UInt(1)]) + DATA),
        ("annotations that are a list", section(0x72, []) + DATA),
        ("annotations with a binary as a key", section(0x72, {b"a": 1}) + DATA),
        ("delivery annotations with a wrong key", section(0x71, {UInt(1): 1}) + DATA),
        ("properties with a wrong field", section(0x73, [None, "user"]) + DATA),
        ("a message id of a wrong type", section(0x73, [UInt(1)]) + DATA),
        ("an address that is no string", section(0x73, [None, None, Symbol("to")]) + DATA),
        ("too many properties", section(0x73, [None] * 14) + DATA),
        ("application properties that are a list", section(0x74, []) + DATA),
        ("an application property with a symbol as its name", section(0x74, {Symbol("a"): 1}) + DATA),
        ("an application property without a name", section(0x74, {None: 1}) + DATA),
        ("an application property that is a list", section(0x74, {"a": []}) + DATA),
        ("an application property that is a map", section(0x74, {"a": {}}) + DATA),
        ("an application property that is an array", section(0x74, {"a": Array()}) + DATA),
        ("data that are a string", section(0x75, "d")),
        ("an amqp-sequence that is a map", section(0x76, {})),
        ("a footer with a wrong key", DATA + section(0x78, {b"a": 1})),
        ("data cut off", DATA[:-1]),
        ("a section without its value", DATA + b"\x00\x53\x78"),
        ("a descriptor cut off", DATA + b"\x00"),
        ("nested too deeply", b"\x00\x53\x77" + b"\x00" * 10_000),
    ],
)
def test_broken_messages_are_refused(reason: str, payload: bytes) -> None:
    with pytest.raises(AmqpProtocolError) as caught:
        decode_message(payload)
    assert caught.value.condition == "amqp:decode-error", reason


@pytest.mark.parametrize(
    "message",
    [
        AmqpMessage(),
        AmqpMessage(data=b"", sequence=[]),
        AmqpMessage(data=b"", value=1, has_value=True),
        AmqpMessage(application_properties={"a": []}, data=b""),
        AmqpMessage(message_annotations={"é": 1}, data=b""),
        AmqpMessage(properties=Properties(absolute_expiry_time=2**63), data=b""),
        AmqpMessage(properties=Properties(message_id=-1), data=b""),
        AmqpMessage(properties=Properties(message_id=1.5), data=b""),  # type: ignore[arg-type]
    ],
    ids=range(8),
)
def test_what_cannot_be_sent_is_refused(message: AmqpMessage) -> None:
    with pytest.raises(ValueError):
        encode_message(message)


TEXT = st.text(max_size=20)
ASCII = st.text(st.characters(max_codepoint=127), max_size=20)
IDS = st.one_of(st.none(), st.integers(0, 2**64 - 1), st.uuids(), st.binary(max_size=9), TEXT)
UINTS = st.integers(0, 2**32 - 1)
TIMES = st.none() | st.integers(-(2**63), 2**63 - 1)
SIMPLE = st.one_of(st.none(), st.booleans(), TEXT, st.binary(max_size=9), st.integers(-(2**63), 2**63 - 1))
ANNOTATIONS = st.none() | st.dictionaries(ASCII, SIMPLE, max_size=4)
MESSAGES = st.builds(
    AmqpMessage,
    header=st.none() | st.builds(Header, st.booleans(), st.integers(0, 255), st.none() | UINTS, st.booleans(), UINTS),
    delivery_annotations=ANNOTATIONS,
    message_annotations=ANNOTATIONS,
    properties=st.none()
    | st.builds(
        Properties,
        IDS,
        st.none() | st.binary(max_size=9),
        *[st.none() | TEXT] * 3,
        IDS,
        *[st.none() | ASCII] * 2,
        TIMES,
        TIMES,
        st.none() | TEXT,
        st.none() | UINTS,
        st.none() | TEXT,
    ),
    application_properties=st.none() | st.dictionaries(TEXT, SIMPLE, max_size=4),
    data=st.binary(max_size=400),
    footer=ANNOTATIONS,
)


@given(MESSAGES)
def test_round_trip_of_any_message(message: AmqpMessage) -> None:
    assert decode_message(encode_message(message)) == message


@given(st.data())
def test_changed_messages_raise_nothing_but_the_protocol_error(data: st.DataObject) -> None:
    payload = bytearray(encode_message(FULL))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    stop = data.draw(st.integers(len(payload) // 2, len(payload)))
    with suppress(AmqpProtocolError):
        decode_message(bytes(payload[:stop]))


@given(st.binary(max_size=80))
def test_random_bytes_raise_nothing_but_the_protocol_error(payload: bytes) -> None:
    with suppress(AmqpProtocolError):
        decode_message(payload)


def test_the_body_is_not_shown() -> None:
    assert "secret" not in repr(AmqpMessage(value="secret", has_value=True))
    assert "secret" not in repr(AmqpMessage(data=b"secret"))


def test_many_small_data_sections_are_joined_at_once() -> None:
    count = 50_000
    assert decode_message(b"\x00\x53\x75\xa0\x01x" * count).data == b"x" * count
