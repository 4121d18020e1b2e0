"""The composite types as tables: descriptors, and what each field takes (AMQP 1.0 part 1, 1.4).

A composite is a described list. One ``Composite`` is one type: its class, which has the names and defaults of the
fields, its two descriptors and the kinds of its fields in their order, with ``!`` behind a mandatory one.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from ._decode import MAX_DEPTH, decode_at
from ._encode import ENCODERS, NULL, encode_list, encode_ulong
from ._errors import AmqpError, AmqpProtocolError
from ._fields import ERRORS, KINDS, OUTCOMES, SOURCES, STATES, TARGETS
from ._performatives import (
    Accepted,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Modified,
    Open,
    Received,
    Rejected,
    Released,
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
    Source,
    Target,
    Transfer,
)
from ._types import Symbol, ULong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._fields import Table

__all__ = ["AMQP_PERFORMATIVES", "SASL_PERFORMATIVES", "Composite", "composite_at", "descriptor_at"]


class Composite:
    """One composite type; making one lets ``encode_value`` encode its instances.

    Args:
        kind: The class.
        code: The numeric descriptor.
        symbol: The symbolic descriptor.
        fields: The names of the fields' kinds.
        tables: Where the type can be found by either descriptor.
    """

    def __init__(self, kind: type, code: int, symbol: str, fields: str, *tables: dict[object, Composite]) -> None:
        words = fields.split()
        names, self._defaults = _names_and_defaults(kind)
        self._make, self._read = _maker(kind), _reader(kind)
        self._name = symbol.split(":")[1]
        self._names = names
        self._kinds = [KINDS[word.removesuffix("!")] for word in words]
        self._exact = [kind.exact for kind in self._kinds]
        self._mandatory = [index for index, word in enumerate(words) if word.endswith("!")]
        self._constructor = b"\x00" + encode_ulong(code)
        ENCODERS[kind] = self.encode
        for table in tables:
            table[code] = table[symbol] = self

    def build(self, values: object) -> object:
        """Make an instance out of the decoded list; raises ``AmqpProtocolError`` where a field is wrong."""
        fields = cast("list[object]", values)
        if type(values) is not list or len(fields) > len(self._kinds):
            raise AmqpProtocolError(f"{self._name} is not a list of at most {len(self._kinds)} fields")
        for index, value in enumerate(fields):
            if value is None:
                fields[index] = self._defaults[index]
            elif value.__class__ is not self._exact[index]:
                fields[index] = self._convert(index, value)
        fields += self._defaults[len(fields) :]
        for index in self._mandatory:
            if fields[index] in NOTHING:
                raise AmqpProtocolError(f"{self._name} has no {self._names[index]}")
        return self._make(fields)

    def _convert(self, index: int, value: object) -> object:
        convert = self._kinds[index].convert
        if convert is None:
            raise AmqpProtocolError(f"{self._names[index]} of {self._name} is a {type(value).__name__}")
        try:
            return convert(value)
        except ValueError as error:
            raise AmqpProtocolError(f"{self._names[index]} of {self._name}: {error}") from error

    def encode(self, instance: object) -> bytes:
        """Encode the descriptor and the list of fields."""
        return self._constructor + self.encode_fields(instance)

    def encode_fields(self, instance: object) -> bytes:
        """Encode the list of fields: a default becomes null, and nulls at the end are left out (part 1, 1.4)."""
        values = self._read(instance)
        for index in self._mandatory:
            if values[index] in NOTHING:
                raise ValueError(f"{self._name} has no {self._names[index]}")
        parts = [
            NULL if value is None or value == default else kind.encode(value)
            for value, default, kind in zip(values, self._defaults, self._kinds, strict=True)
        ]
        while parts and parts[-1] == NULL:
            parts.pop()
        return encode_list(parts)


# Part 1, 1.4: null and an array without elements both say that a field of several values has none.
NOTHING: Final = (None, ())


def _names_and_defaults(kind: type) -> tuple[list[str], list[object]]:
    if dataclasses.is_dataclass(kind):
        fields = dataclasses.fields(kind)
        return [f.name for f in fields], [None if f.default is dataclasses.MISSING else f.default for f in fields]
    tuple_kind = cast("Any", kind)
    names: tuple[str, ...] = tuple_kind._fields
    defaults: dict[str, object] = tuple_kind._field_defaults
    return list(names), [defaults.get(name) for name in names]


def _maker(kind: type) -> Callable[[list[object]], object]:
    # Of a NamedTuple all fields are at hand, so its own constructor would only cost time.
    return partial(tuple[object].__new__, kind) if issubclass(kind, tuple) else lambda fields: kind(*fields)


def _reader(kind: type) -> Callable[[Any], list[object]]:
    names, _ = _names_and_defaults(kind)
    return list if issubclass(kind, tuple) else lambda instance: [getattr(instance, name) for name in names]


def composite_at(data: bytes, pos: int, table: Mapping[object, Composite]) -> tuple[object, int]:
    """Decode the composite at ``pos``, one of ``table``, and return it with the position behind it."""
    descriptor, pos = descriptor_at(data, pos)
    composite = table.get(descriptor)
    if composite is None:
        raise AmqpProtocolError(f"the descriptor {descriptor!r:.80} is not known here")
    values, pos = decode_at(data, pos, MAX_DEPTH)
    return composite.build(values), pos


def descriptor_at(data: bytes, pos: int) -> tuple[int | str, int]:
    """Return the numeric or symbolic descriptor of the described value at ``pos``, and the position behind it."""
    if data[pos] != 0x00:
        raise AmqpProtocolError(f"no described value at byte {pos}")
    if data[pos + 1] == 0x53:
        return data[pos + 2], pos + 3
    descriptor, pos = decode_at(data, pos + 1, MAX_DEPTH)
    if not isinstance(descriptor, (ULong, Symbol)):
        raise AmqpProtocolError(f"a descriptor is a {type(descriptor).__name__}")
    return descriptor, pos


AMQP_PERFORMATIVES: Final[Table] = {}
SASL_PERFORMATIVES: Final[Table] = {}

_TERMINUS = "string terminus-durability symbol uint boolean fields"

# Part 2, 2.8.14; part 3, 3.4 and 3.5.
Composite(AmqpError, 0x1D, "amqp:error:list", "symbol! string fields", ERRORS)
Composite(Received, 0x23, "amqp:received:list", "uint! ulong!", STATES)
Composite(Accepted, 0x24, "amqp:accepted:list", "", STATES, OUTCOMES)
Composite(Rejected, 0x25, "amqp:rejected:list", "error", STATES, OUTCOMES)
Composite(Released, 0x26, "amqp:released:list", "", STATES, OUTCOMES)
Composite(Modified, 0x27, "amqp:modified:list", "boolean boolean fields", STATES, OUTCOMES)
Composite(Source, 0x28, "amqp:source:list", f"{_TERMINUS} symbol fields outcome symbols symbols", SOURCES)
Composite(Target, 0x29, "amqp:target:list", f"{_TERMINUS} symbols", TARGETS)

# Part 2, 2.7.
_ATTACH: Final = (
    "string! uint! boolean! sender-settle-mode receiver-settle-mode source target unsettled boolean uint ulong "
    "symbols symbols fields"
)
_TRANSFER: Final = (
    "uint! uint delivery-tag uint boolean boolean receiver-settle-mode delivery-state boolean boolean boolean"
)
_PERFORMATIVES: Final = (
    (Open, 0x10, "open", "string! string uint ushort uint symbols symbols symbols symbols fields"),
    (Begin, 0x11, "begin", "ushort uint! uint! uint! uint symbols symbols fields"),
    (Attach, 0x12, "attach", _ATTACH),
    (Flow, 0x13, "flow", "uint uint! uint! uint! uint uint uint uint boolean boolean fields"),
    (Transfer, 0x14, "transfer", _TRANSFER),
    (Disposition, 0x15, "disposition", "boolean! uint! uint boolean delivery-state boolean"),
    (Detach, 0x16, "detach", "uint! boolean error"),
    (End, 0x17, "end", "error"),
    (Close, 0x18, "close", "error"),
)
for _kind, _code, _name, _fields in _PERFORMATIVES:
    Composite(_kind, _code, f"amqp:{_name}:list", _fields, AMQP_PERFORMATIVES)

# Part 5, 5.3.3.
Composite(SaslMechanisms, 0x40, "amqp:sasl-mechanisms:list", "symbols!", SASL_PERFORMATIVES)
Composite(SaslInit, 0x41, "amqp:sasl-init:list", "symbol! binary string", SASL_PERFORMATIVES)
Composite(SaslChallenge, 0x42, "amqp:sasl-challenge:list", "binary!", SASL_PERFORMATIVES)
Composite(SaslResponse, 0x43, "amqp:sasl-response:list", "binary!", SASL_PERFORMATIVES)
Composite(SaslOutcome, 0x44, "amqp:sasl-outcome:list", "sasl-code! binary", SASL_PERFORMATIVES)
