"""What the fields of composite types take: for each kind how it is encoded, and how a decoded value is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast
from uuid import UUID

from ._encode import (
    Encoder,
    encode_annotations,
    encode_binary,
    encode_boolean,
    encode_fields,
    encode_map,
    encode_string,
    encode_symbol,
    encode_symbols,
    encode_timestamp,
    encode_ubyte,
    encode_uint,
    encode_ulong,
    encode_ushort,
    encode_value,
)
from ._types import Array, Described, Symbol, Timestamp, UByte, UInt, ULong, UShort

if TYPE_CHECKING:
    from ._composites import Composite

__all__ = [
    "ERRORS",
    "KINDS",
    "MAX_DELIVERY_TAG",
    "OUTCOMES",
    "SOURCES",
    "STATES",
    "TARGETS",
    "Kind",
    "Table",
    "as_annotations",
]

MAX_DELIVERY_TAG: Final = 32
"""Part 2, 2.8.7, in bytes."""

Converter: TypeAlias = Callable[[Any], object]
Table: TypeAlias = "dict[object, Composite]"
"""Composite types by either of their descriptors."""


STATES: Final[Table] = {}
OUTCOMES: Final[Table] = {}
SOURCES: Final[Table] = {}
TARGETS: Final[Table] = {}
ERRORS: Final[Table] = {}
"""What may stand where such a type is asked for; ``_composites`` fills the tables."""


class Kind(NamedTuple):
    """What a field takes.

    Attributes:
        encode: From the field's value to the wire.
        exact: A type whose decoded values are taken as they are, or None.
        convert: From any other decoded value to the field's value, or ``ValueError``. None where there are none.
    """

    encode: Encoder
    exact: type | None = None
    convert: Converter | None = None


def _choice(encode: Encoder, exact: type[int], most: int) -> Kind:
    def convert(value: object) -> object:
        if type(value) is not exact or not 0 <= value <= most:
            raise ValueError(f"not {exact.__name__.lower()} 0 to {most}")
        return value

    return Kind(encode, convert=convert)


def _one_of(table: Table, *, others: bool = True) -> Converter:
    def convert(value: object) -> object:
        if type(value) is not Described:
            raise ValueError("not described")
        known = table.get(value.descriptor) if isinstance(value.descriptor, (ULong, Symbol)) else None
        if known is not None:
            return known.build(value.value)
        if not others:
            raise ValueError("an unknown descriptor")
        return value

    return convert


def _as_symbols(value: object) -> tuple[str, ...]:
    items = value if type(value) is Array else [value]
    symbols = tuple([item for item in items if type(item) is Symbol])
    if len(symbols) != len(items):
        raise ValueError("not a symbol or an array of symbols")
    return symbols


def _as_delivery_tag(value: object) -> bytes:
    if type(value) is not bytes or len(value) > MAX_DELIVERY_TAG:
        raise ValueError(f"not a binary of at most {MAX_DELIVERY_TAG} bytes")
    return value


def _as_message_id(value: object) -> object:
    # Part 3, 3.2.11 to 3.2.14.
    if type(value) not in (ULong, UUID, bytes, str):
        raise ValueError("not a ulong, uuid, binary or string")
    return value


def _encode_message_id(value: object) -> bytes:
    return encode_ulong(value) if isinstance(value, int) else encode_value(_as_message_id(value))


def _as_map(value: object, *keys: type) -> dict[object, object]:
    if type(value) is not dict:
        raise ValueError("not a map")
    entries = cast("dict[object, object]", value)
    for key in entries:
        if type(key) not in keys:
            raise ValueError(f"a key is a {type(key).__name__}")
    return entries


def _as_fields(value: object) -> dict[object, object]:
    # Part 2, 2.8.13 and part 3, 3.2.10 want symbols, but rhea and uamqp write some of these keys as strings.
    return _as_map(value, Symbol, str)


def as_annotations(value: object) -> dict[object, object]:
    """Check the keys of a map (part 3, 3.2.10); raises ``ValueError``."""
    return _as_map(value, Symbol, str, ULong)


def _as_unsettled(value: object) -> dict[object, object]:
    # Part 2, 2.7.3: delivery-tags and the states of their deliveries, null where there is none.
    return {tag: item if item is None else _as_state(item) for tag, item in _as_map(value, bytes).items()}


_as_state = _one_of(STATES)

KINDS: Final[dict[str, Kind]] = {
    "boolean": Kind(encode_boolean, bool),
    "ubyte": Kind(encode_ubyte, UByte),
    "ushort": Kind(encode_ushort, UShort),
    "uint": Kind(encode_uint, UInt),
    "ulong": Kind(encode_ulong, ULong),
    "timestamp": Kind(encode_timestamp, Timestamp),
    "binary": Kind(encode_binary, bytes),
    "string": Kind(encode_string, str),
    "symbol": Kind(encode_symbol, Symbol),
    "symbols": Kind(encode_symbols, convert=_as_symbols),
    "fields": Kind(encode_fields, convert=_as_fields),
    "annotations": Kind(encode_annotations, convert=as_annotations),
    "unsettled": Kind(encode_map, convert=_as_unsettled),
    "delivery-tag": Kind(encode_binary, convert=_as_delivery_tag),
    "message-id": Kind(_encode_message_id, str, _as_message_id),
    "sender-settle-mode": _choice(encode_ubyte, UByte, 2),
    "receiver-settle-mode": _choice(encode_ubyte, UByte, 1),
    "terminus-durability": _choice(encode_uint, UInt, 2),
    "sasl-code": _choice(encode_ubyte, UByte, 4),
    "delivery-state": Kind(encode_value, convert=_as_state),
    "outcome": Kind(encode_value, convert=_one_of(OUTCOMES)),
    "source": Kind(encode_value, convert=_one_of(SOURCES)),
    "target": Kind(encode_value, convert=_one_of(TARGETS)),
    "error": Kind(encode_value, convert=_one_of(ERRORS, others=False)),
}
"""By the specification's name of the type; ``symbols`` are the fields of several symbols."""
