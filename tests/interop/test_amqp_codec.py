"""The AMQP codec against Qpid Proton's: what one encodes, the other decodes to the same values of the same types.

And against rhea's tables of the performatives, which Proton does not show. python-qpid-proton has to be importable, and
C2DKIT_NODE_MODULES has to name a folder whose node_modules holds rhea 3.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from c2dkit._protocols import amqp

from .amqp.proton_data import decode, encode, native, of_native, proton
from .conftest import node, node_environment, running

EXAMPLES = settings(max_examples=300, deadline=None)

# Values

uints = st.integers(0, 2**32 - 1).map(amqp.UInt)
ulongs = st.integers(0, 2**64 - 1).map(amqp.ULong)
timestamps = st.integers(-(2**63), 2**63 - 1).map(amqp.Timestamp)
strings = st.text(max_size=300)
symbols = st.text(st.characters(max_codepoint=127), max_size=300).map(amqp.Symbol)
SCALARS: tuple[st.SearchStrategy[Any], ...] = (
    st.none(),
    st.booleans(),
    st.integers(0, 2**8 - 1).map(amqp.UByte),
    st.integers(0, 2**16 - 1).map(amqp.UShort),
    uints,
    ulongs,
    st.integers(-(2**7), 2**7 - 1).map(amqp.Byte),
    st.integers(-(2**15), 2**15 - 1).map(amqp.Short),
    st.integers(-(2**31), 2**31 - 1).map(amqp.Int),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False).map(amqp.Float),
    st.floats(allow_nan=False),
    st.binary(min_size=4, max_size=4).map(amqp.Decimal32),
    st.binary(min_size=8, max_size=8).map(amqp.Decimal64),
    st.binary(min_size=16, max_size=16).map(amqp.Decimal128),
    st.characters(exclude_categories=["Cs"]).map(amqp.Char),
    timestamps,
    st.uuids(),
    st.binary(max_size=300),
    strings,
    symbols,
)
scalars = st.one_of(SCALARS)


def undescribed(value: object) -> object:
    # Within a list, Proton 0.40 does not decode a described value whose value is described, even if it encoded it.
    return [value] if type(value) is amqp.Described else value


def described(values: st.SearchStrategy[Any]) -> st.SearchStrategy[amqp.Described]:
    return st.builds(amqp.Described, ulongs | symbols, values.map(undescribed))


def arrays(values: st.SearchStrategy[Any]) -> st.SearchStrategy[amqp.Array]:
    return st.lists(values, max_size=5).map(amqp.Array)


@st.composite
def described_arrays(draw: st.DrawFn) -> amqp.Array:
    descriptor, values = draw(ulongs | symbols), draw(st.sampled_from(SCALARS))
    return amqp.Array([amqp.Described(descriptor, item) for item in draw(st.lists(values, min_size=1, max_size=5))])


def compounds(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists, maps = st.lists(values, max_size=5), st.dictionaries(scalars, values, max_size=5)
    flat = st.sampled_from(SCALARS).flatmap(arrays)
    return lists | maps | described(values) | flat | described_arrays() | arrays(lists) | arrays(maps) | arrays(flat)


values = st.recursive(scalars, compounds, max_leaves=20)


def typed(value: object) -> object:
    """A form of a value in which equality means that all types are equal too."""
    match value:
        case amqp.Described(descriptor, inner):
            return (amqp.Described, typed(descriptor), typed(inner))
        case dict():
            return (dict, [(typed(key), typed(item)) for key, item in value.items()])
        case list():
            return (type(value), [typed(item) for item in value])
    return (type(value), repr(value) if isinstance(value, float) else value)  # -0.0 is not 0.0


@EXAMPLES
@given(values)
def test_proton_decodes_what_c2dkit_encodes(value: object) -> None:
    encoded = amqp.encode_value(value)
    decoded, size = decode(encoded)
    assert typed(decoded) == typed(value)
    assert size == len(encoded)


@EXAMPLES
@given(values)
@example([amqp.Described(amqp.ULong(1), amqp.Described(amqp.Symbol("a"), [1])), None])
def test_c2dkit_decodes_what_proton_encodes(value: object) -> None:
    assert typed(amqp.decode_value(encode(value))) == typed(value)


# Messages

texts = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=300)  # C ends at NUL
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=50).filter(
    lambda name: name != "None"
)
ids = st.none() | ulongs | st.uuids() | st.binary(min_size=1) | texts
milliseconds = st.integers(1, 2**32 // 1000).map(lambda seconds: seconds * 1000)  # Proton has them as float of seconds


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


headers = st.builds(
    amqp.Header,
    durable=st.booleans(),
    priority=st.integers(0, 255),
    ttl=optional(milliseconds),
    first_acquirer=st.booleans(),
    delivery_count=st.integers(0, 2**32 - 1),
)
properties = st.builds(
    lambda group, **fields: amqp.Properties(**fields, group_id=group[0], group_sequence=group[1]),
    st.sampled_from([(None, None)]) | st.tuples(texts, st.integers(1, 2**32 - 1)),
    message_id=ids,
    user_id=optional(st.binary(min_size=1)),
    to=optional(texts),
    subject=optional(texts),
    reply_to=optional(texts),
    correlation_id=ids,
    content_type=optional(names),
    content_encoding=optional(names),
    absolute_expiry_time=optional(milliseconds),
    creation_time=optional(milliseconds),
    reply_to_group_id=optional(texts),
)
plain = st.recursive(
    scalars, lambda items: st.lists(items, max_size=5) | st.dictionaries(strings, items, max_size=5), max_leaves=10
)
something = st.one_of(SCALARS[1:]) | st.lists(plain, max_size=5)  # other than null
annotation_maps = st.dictionaries(names.map(amqp.Symbol) | ulongs, plain, min_size=1, max_size=5)
bodies: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(dict, data=st.binary(max_size=1000)),
    st.builds(dict, value=something, has_value=st.just(value=True)),
    st.builds(dict, sequence=st.lists(plain, max_size=5)),
)
messages = st.builds(
    lambda body, **sections: amqp.AmqpMessage(**sections, **body),
    bodies,
    header=headers,
    delivery_annotations=optional(annotation_maps),
    message_annotations=optional(annotation_maps),
    properties=properties,
    application_properties=optional(st.dictionaries(strings, scalars, min_size=1, max_size=5)),
)


def to_proton(message: amqp.AmqpMessage) -> Any:
    """Make the same message with Proton, which has no message without header and properties."""
    header, properties = message.header, message.properties
    assert header is not None
    assert properties is not None
    body = message.value if message.has_value else message.data if message.sequence is None else message.sequence
    fields = {
        "durable": header.durable,
        "priority": header.priority,
        "ttl": header.ttl and header.ttl / 1000,
        "first_acquirer": header.first_acquirer,
        "delivery_count": header.delivery_count,
        "id": native(properties.message_id),
        "user_id": properties.user_id,
        "address": properties.to,
        "subject": properties.subject,
        "reply_to": properties.reply_to,
        "correlation_id": native(properties.correlation_id),
        "content_type": properties.content_type,
        "content_encoding": properties.content_encoding,
        "expiry_time": properties.absolute_expiry_time and properties.absolute_expiry_time / 1000,
        "creation_time": properties.creation_time and properties.creation_time / 1000,
        "group_id": properties.group_id,
        "group_sequence": properties.group_sequence,
        "reply_to_group_id": properties.reply_to_group_id,
        "instructions": native(message.delivery_annotations),
        "annotations": native(message.message_annotations),
        "properties": native(message.application_properties),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return proton.Message(native(body), inferred=not message.has_value, **given)


def of_proton(message: Any) -> amqp.AmqpMessage:
    header = amqp.Header(
        message.durable,
        message.priority,
        round(message.ttl * 1000) or None,
        message.first_acquirer,
        message.delivery_count,
    )
    properties = amqp.Properties(
        id_of(message.id),
        message.user_id or None,
        message.address,
        message.subject,
        message.reply_to,
        id_of(message.correlation_id),
        None if message.content_type == "None" else message.content_type,  # Proton for Python knows no other absence
        None if message.content_encoding == "None" else message.content_encoding,
        round(message.expiry_time * 1000) or None,
        round(message.creation_time * 1000) or None,
        message.group_id,
        message.group_sequence or None,
        message.reply_to_group_id,
    )
    body = of_native(message.body)
    is_data = message.inferred and isinstance(body, bytes)
    return amqp.AmqpMessage(
        header,
        of_native(message.instructions),
        of_native(message.annotations),
        properties,
        of_native(message.properties),
        data=body if is_data else None,
        sequence=body if message.inferred and not is_data else None,
        value=None if message.inferred else body,
        has_value=not message.inferred,
    )


def id_of(value: Any) -> Any:
    """Return an id of Proton's, which forgets that a number is a ulong."""
    return amqp.ULong(value) if isinstance(value, int) else of_native(value)


def assert_same(message: amqp.AmqpMessage, expected: amqp.AmqpMessage) -> None:
    assert message.header == expected.header
    assert message.properties == expected.properties
    assert [typed(section) for section in message[1:3] + message[4:]] == [
        typed(section) for section in expected[1:3] + expected[4:]
    ]


@EXAMPLES
@given(messages)
def test_proton_decodes_a_message_of_c2dkit(message: amqp.AmqpMessage) -> None:
    decoded = proton.Message()
    decoded.decode(amqp.encode_message(message))
    assert_same(of_proton(decoded), message)


@EXAMPLES
@given(messages)
def test_c2dkit_decodes_a_message_of_proton(message: amqp.AmqpMessage) -> None:
    assert_same(amqp.decode_message(bytes(to_proton(message).encode())), message)


# Performatives

shorts = st.integers(0, 2**16 - 1)
longs = st.integers(0, 2**32 - 1)
flags = st.booleans()
several = st.lists(names, max_size=3).map(tuple)
fields = optional(st.dictionaries(names, plain, min_size=1, max_size=3))
tags = st.binary(max_size=32)
errors = optional(st.builds(amqp.AmqpError, names, optional(strings), fields))
outcomes = st.one_of(
    st.builds(amqp.Accepted),
    st.builds(amqp.Rejected, errors),
    st.builds(amqp.Released),
    st.builds(amqp.Modified, optional(flags), optional(flags), fields),
)
foreign_states = st.builds(amqp.Described, st.integers(256, 2**64 - 1).map(amqp.ULong), st.lists(plain, max_size=3))
states = st.one_of(outcomes, st.builds(amqp.Received, longs, ulongs), foreign_states)
termini: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    address=optional(strings),
    durable=st.integers(0, 2),
    expiry_policy=names,
    timeout=longs,
    dynamic=flags,
    dynamic_node_properties=fields,
    capabilities=several,
)
sources = st.builds(
    lambda terminus, **more: amqp.Source(**terminus, **more),
    termini,
    distribution_mode=optional(names),
    filter=fields,
    default_outcome=optional(outcomes),
    outcomes=several,
)
targets = st.builds(lambda terminus: amqp.Target(**terminus), termini)
PERFORMATIVES: tuple[st.SearchStrategy[amqp.Performative], ...] = (
    st.builds(
        amqp.Open,
        strings,
        optional(strings),
        longs,
        shorts,
        optional(longs),
        several,
        several,
        several,
        several,
        fields,
    ),
    st.builds(amqp.Begin, optional(shorts), longs, longs, longs, longs, several, several, fields),
    st.builds(
        amqp.Attach,
        strings,
        longs,
        flags,
        st.integers(0, 2),
        st.integers(0, 1),
        optional(sources),
        optional(targets),
        optional(st.dictionaries(tags, optional(states), min_size=1, max_size=3)),
        flags,
        optional(longs),
        optional(ulongs),
        several,
        several,
        fields,
    ),
    st.builds(
        amqp.Flow,
        *(optional(longs), longs, longs, longs, optional(longs), optional(longs), optional(longs), optional(longs)),
        *(flags, flags, fields),
    ),
    st.builds(
        amqp.Transfer,
        *(longs, optional(longs), optional(tags), optional(longs), optional(flags), flags, optional(st.integers(0, 1))),
        *(optional(states), flags, flags, flags),
    ),
    st.builds(amqp.Disposition, flags, longs, optional(longs), flags, optional(states), flags),
    st.builds(amqp.Detach, longs, flags, errors),
    st.builds(amqp.End, errors),
    st.builds(amqp.Close, errors),
)
SASL_PERFORMATIVES: tuple[st.SearchStrategy[amqp.Performative], ...] = (
    st.builds(amqp.SaslMechanisms, st.lists(names, min_size=1, max_size=3).map(tuple)),
    st.builds(amqp.SaslInit, names, optional(st.binary()), optional(strings)),
    st.builds(amqp.SaslChallenge, st.binary()),
    st.builds(amqp.SaslResponse, st.binary()),
    st.builds(amqp.SaslOutcome, st.integers(0, 4), optional(st.binary())),
)
HEADER_SIZE = 8


def through_proton(performative: amqp.Performative, payload: bytes, frame_type: int) -> amqp.Frame:
    """Decode and encode the body of a frame with Proton on its way to c2dkit's decoder."""
    frame = amqp.encode_frame(7, performative, payload, frame_type=frame_type)
    value, size = decode(frame[HEADER_SIZE:])
    assert frame[HEADER_SIZE + size :] == payload
    body = encode(value) + payload
    header = (HEADER_SIZE + len(body)).to_bytes(4, "big") + frame[4:HEADER_SIZE]
    (decoded,) = amqp.FrameDecoder(2**20).feed(header + body)
    return decoded


@EXAMPLES
@given(st.one_of(PERFORMATIVES), st.binary())
def test_performatives_pass_through_proton(performative: amqp.Performative, payload: bytes) -> None:
    payload = payload if isinstance(performative, amqp.Transfer) else b""
    assert through_proton(performative, payload, 0) == amqp.Frame(7, 0, performative, payload)


@EXAMPLES
@given(st.one_of(SASL_PERFORMATIVES))
def test_sasl_performatives_pass_through_proton(performative: amqp.Performative) -> None:
    assert through_proton(performative, b"", 1) == amqp.Frame(7, 1, performative, b"")


SEVERAL = ("a", "b")
MAP = {"key": "value"}
CAPABILITIES: dict[str, Any] = {"offered_capabilities": SEVERAL, "desired_capabilities": SEVERAL, "properties": MAP}
ERROR = amqp.AmqpError("amqp:not-allowed", "so be it")
NODE: dict[str, Any] = {
    "address": "node",
    "durable": 2,
    "expiry_policy": "never",
    "timeout": 70000,
    "dynamic": True,
    "dynamic_node_properties": MAP,
    "capabilities": SEVERAL,
}
SOURCE = amqp.Source(
    **NODE,
    distribution_mode="copy",
    filter=MAP,
    default_outcome=amqp.Modified(delivery_failed=True, undeliverable_here=True),
    outcomes=SEVERAL,
)
OF_RHEA: dict[str, amqp.Performative] = {
    "open": amqp.Open("container", "host", 70000, 300, 80000, ("en",), SEVERAL, **CAPABILITIES),
    "begin": amqp.Begin(300, 70000, 80000, 90000, 300, **CAPABILITIES),
    "attach": amqp.Attach(
        *("name", 300, True, 1, 1, SOURCE, amqp.Target(**NODE), None, True, 70000, 80000), **CAPABILITIES
    ),
    "flow": amqp.Flow(300, 70000, 400, 80000, 500, 600, 700, 800, drain=True, echo=True, properties=MAP),
    "transfer": amqp.Transfer(300, 400, b"tag", 500, True, True, 1, None, True, True, True),
    "disposition": amqp.Disposition(True, 300, 400, True, amqp.Rejected(ERROR), True),
    "detach": amqp.Detach(300, True, ERROR),
    "end": amqp.End(ERROR),
    "close": amqp.Close(ERROR),
    "sasl_mechanisms": amqp.SaslMechanisms(SEVERAL),
    "sasl_init": amqp.SaslInit("PLAIN", b"response", "host"),
    "sasl_challenge": amqp.SaslChallenge(b"challenge"),
    "sasl_response": amqp.SaslResponse(b"response"),
    "sasl_outcome": amqp.SaslOutcome(4, b"data"),
}
"""What rhea is asked to write: in each field that it can write a value other than the default."""


async def test_performatives_of_rhea() -> None:
    """The field types in rhea's tables are those that c2dkit's decoder insists on."""
    async with running(node("amqp/rhea_frames.js"), node_environment()) as program:
        written: dict[str, str] = json.loads(await program.line("{"))
    for name, performative in OF_RHEA.items():
        is_sasl, payload = name.startswith("sasl"), b"payload" if name == "transfer" else b""
        expected = amqp.Frame(0 if is_sasl else 7, int(is_sasl), performative, payload)
        assert amqp.FrameDecoder(2**20).feed(bytes.fromhex(written.pop(name))) == [expected]
    assert written == {}
