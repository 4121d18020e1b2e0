"""Messages: the sections that the payload of a delivery consists of (AMQP 1.0 part 3, 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ._composites import Composite, descriptor_at
from ._decode import DECODERS, MALFORMED, MAX_DEPTH
from ._encode import Encoder, encode_annotations, encode_binary, encode_map, encode_value
from ._errors import AmqpProtocolError
from ._fields import as_annotations
from ._types import Array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

__all__ = ["AmqpMessage", "Header", "Properties", "decode_message", "encode_message"]


class Header(NamedTuple):
    """How to deliver the message (3.2.1); ``ttl`` in milliseconds."""

    durable: bool = False
    priority: int = 4
    ttl: int | None = None
    first_acquirer: bool = False
    delivery_count: int = 0


class Properties(NamedTuple):
    """What the sender says of the message for good (3.2.4); times in milliseconds since the epoch.

    An int as an id is a ulong on the wire.
    """

    message_id: int | UUID | bytes | str | None = None
    user_id: bytes | None = None
    to: str | None = None
    subject: str | None = None
    reply_to: str | None = None
    correlation_id: int | UUID | bytes | str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    absolute_expiry_time: int | None = None
    creation_time: int | None = None
    group_id: str | None = None
    group_sequence: int | None = None
    reply_to_group_id: str | None = None


class AmqpMessage(NamedTuple):
    """One message; the body is one of ``data``, ``sequence``, and ``value`` where ``has_value`` is True.

    Attributes:
        data: All data sections, joined; None where there is none.
        sequence: The elements of all amqp-sequence sections; None where there is none.
        value: What the amqp-value section holds, which may be None itself.
        has_value: There is an amqp-value section.
    """

    header: Header | None = None
    delivery_annotations: Mapping[str, object] | None = None
    message_annotations: Mapping[str, object] | None = None
    properties: Properties | None = None
    application_properties: Mapping[str, object] | None = None
    data: bytes | None = None
    sequence: list[object] | None = None
    value: object = None
    has_value: bool = False
    footer: Mapping[str, object] | None = None

    def __repr__(self) -> str:
        """Leave the body out: it may be a security token."""
        return f"AmqpMessage(properties={self.properties!r}, application_properties={self.application_properties!r})"


class _Section(NamedTuple):
    """One kind of section: its field, its descriptors, the check of a decoded value, the encoder."""

    field: str
    code: int
    symbol: str
    check: Callable[[Any], object]
    encode: Encoder


def encode_message(message: AmqpMessage) -> bytes:
    """Return the payload of a delivery.

    Raises:
        ValueError: There is not exactly one kind of body, or a value is outside of its type's range.
        TypeError: AMQP has no type for a value, or not in this place.
    """
    bodies = (message.data is not None) + (message.sequence is not None) + message.has_value
    if bodies != 1:
        raise ValueError(f"a message has one kind of body, not {bodies}")
    parts: list[bytes] = []
    for section in _SECTIONS:
        value: object = getattr(message, section.field)
        if value is not None or (section.field == "value" and message.has_value):
            parts.append(bytes((0x00, 0x53, section.code)) + section.encode(value))
    return b"".join(parts)


def decode_message(data: bytes) -> AmqpMessage:
    """Return the message that the payload of a delivery holds.

    A message without any body is let through, with ``data`` None: the specification demands one (3.2), but some SDKs
    let a message be made without (inferred).

    Raises:
        AmqpProtocolError: The payload is no message.
    """
    try:
        return _message(data)
    except MALFORMED as error:
        raise AmqpProtocolError(f"not a message: {error}") from error


def _message(data: bytes) -> AmqpMessage:
    values: list[Any] = [None] * len(AmqpMessage._fields)
    values[_HAS_VALUE] = False
    more: list[Any] = []
    descriptor: int | str
    pos, end, last = 0, len(data), -1
    while pos < end:
        if data.startswith(_SMALL_DESCRIPTOR, pos):
            descriptor, pos = data[pos + 2], pos + 3
        else:
            descriptor, pos = descriptor_at(data, pos)
        found = _INDEX_AND_CHECK.get(descriptor)
        if found is None:
            raise AmqpProtocolError(f"{descriptor!r:.80} is not a section of a message")
        index, check = found
        value, pos = DECODERS[data[pos]](data, pos + 1, MAX_DEPTH)
        value = check(value)
        if index > last and (last < _DATA or index > _VALUE):
            values[index] = value
        else:
            _check_repeated(last, index)
            more.append(value)
        last = index
        if index == _VALUE:
            values[_HAS_VALUE] = True
    if pos != end:
        raise AmqpProtocolError("the last section of a message is cut off")
    if more:
        _join(values, more)
    return AmqpMessage(*values)


def _check_repeated(last: int, index: int) -> None:
    # 3.2: the order of the sections is fixed, and only data and amqp-sequence may come several times.
    if index != last or index not in (_DATA, _SEQUENCE):
        raise AmqpProtocolError(f"a message has {_FIELDS[index]} behind {_FIELDS[last]}")


def _join(values: list[Any], more: list[Any]) -> None:
    if values[_DATA] is not None:
        values[_DATA] = b"".join([values[_DATA], *more])
    else:
        values[_SEQUENCE] = [item for part in (values[_SEQUENCE], *more) for item in part]


def _as_application_properties(value: object) -> dict[object, object]:
    # 3.2.5: the keys are strings, the values simple types.
    if type(value) is not dict:
        raise ValueError("application-properties are not a map")
    entries = cast("dict[object, object]", value)
    if not _STRING.issuperset(map(type, entries)):
        raise ValueError("the name of an application property is no string")
    if not _COMPOUND.isdisjoint(map(type, entries.values())):
        raise ValueError("an application property is a list, map or array")
    return entries


def _encode_application_properties(value: Mapping[str, object]) -> bytes:
    return encode_map(_as_application_properties(dict(value)))


def _as_data(value: object) -> object:
    if type(value) is not bytes:
        raise ValueError("a data section holds no binary")
    return value


def _as_sequence(value: object) -> object:
    if type(value) is not list:
        raise ValueError("an amqp-sequence section holds no list")
    return cast("list[object]", value)


def _as_value(value: object) -> object:
    return value


_HEADER: Final = Composite(Header, 0x70, "amqp:header:list", "boolean ubyte uint boolean uint")
_PROPERTIES: Final = Composite(
    Properties,
    0x73,
    "amqp:properties:list",
    "message-id binary string string string message-id symbol symbol timestamp timestamp string uint string",
)
_SECTIONS: Final = (
    _Section("header", 0x70, "amqp:header:list", _HEADER.build, _HEADER.encode_fields),
    _Section("delivery_annotations", 0x71, "amqp:delivery-annotations:map", as_annotations, encode_annotations),
    _Section("message_annotations", 0x72, "amqp:message-annotations:map", as_annotations, encode_annotations),
    _Section("properties", 0x73, "amqp:properties:list", _PROPERTIES.build, _PROPERTIES.encode_fields),
    _Section(
        "application_properties",
        0x74,
        "amqp:application-properties:map",
        _as_application_properties,
        _encode_application_properties,
    ),
    _Section("data", 0x75, "amqp:data:binary", _as_data, encode_binary),
    _Section("sequence", 0x76, "amqp:amqp-sequence:list", _as_sequence, encode_value),
    _Section("value", 0x77, "amqp:amqp-value:*", _as_value, encode_value),
    _Section("footer", 0x78, "amqp:footer:map", as_annotations, encode_annotations),
)
_SMALL_DESCRIPTOR: Final = b"\x00\x53"
_STRING: Final = frozenset((str,))
_COMPOUND: Final = frozenset((list, dict, Array))
_FIELDS: Final = AmqpMessage._fields
_DATA: Final = _FIELDS.index("data")
_SEQUENCE: Final = _FIELDS.index("sequence")
_VALUE: Final = _FIELDS.index("value")
_HAS_VALUE: Final = _FIELDS.index("has_value")
_INDEX_AND_CHECK: Final[dict[int | str, tuple[int, Callable[[Any], object]]]] = {
    descriptor: (_FIELDS.index(section.field), section.check)
    for section in _SECTIONS
    for descriptor in (section.code, section.symbol)
}
