"""Python's names for the primitive types of AMQP 1.0 (part 1, section 1.6).

Each wire type has one Python type, so that a value decodes to what it was encoded from:

====================  ==================  =========================================
wire                  Python              note
====================  ==================  =========================================
null, boolean         None, bool
ubyte ... ulong       UByte ... ULong     int subclasses
byte, short, int      Byte, Short, Int    int subclasses
long                  int                 a plain int is a long
float                 Float               float subclass
double                float               a plain float is a double
decimal32/64/128      Decimal32/64/128    bytes subclasses: the encoding, not interpreted
char                  Char                str subclass, one character
timestamp             Timestamp           int subclass, milliseconds since the epoch
uuid                  uuid.UUID
binary                bytes               bytearray and memoryview are encoded too
string, symbol        str, Symbol         Symbol is a str subclass
list, map             list, dict
array                 Array               list subclass
described             Described           descriptor and value
====================  ==================  =========================================

The subclasses compare as their base does: ``UInt(5) == 5``.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "Array",
    "Byte",
    "Char",
    "Decimal32",
    "Decimal64",
    "Decimal128",
    "Described",
    "Float",
    "Int",
    "Short",
    "Symbol",
    "Timestamp",
    "UByte",
    "UInt",
    "ULong",
    "UShort",
]


class UByte(int):
    """An unsigned integer of 8 bits."""

    __slots__ = ()


class UShort(int):
    """An unsigned integer of 16 bits."""

    __slots__ = ()


class UInt(int):
    """An unsigned integer of 32 bits."""

    __slots__ = ()


class ULong(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Byte(int):
    """A signed integer of 8 bits."""

    __slots__ = ()


class Short(int):
    """A signed integer of 16 bits."""

    __slots__ = ()


class Int(int):
    """A signed integer of 32 bits."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970-01-01T00:00:00Z, signed, 64 bits."""

    __slots__ = ()


class Float(float):
    """A floating point number of 32 bits."""

    __slots__ = ()


class Char(str):
    """One Unicode character."""

    __slots__ = ()


class Symbol(str):
    """A symbolic name out of ASCII."""

    __slots__ = ()


class Decimal32(bytes):
    """The 4 bytes of an IEEE 754-2008 decimal32."""

    __slots__ = ()


class Decimal64(bytes):
    """The 8 bytes of an IEEE 754-2008 decimal64."""

    __slots__ = ()


class Decimal128(bytes):
    """The 16 bytes of an IEEE 754-2008 decimal128."""

    __slots__ = ()


class Array(list[object]):
    """Values of one and the same wire type, which the array names once."""

    __slots__ = ()


class Described(NamedTuple):
    """A value with a descriptor that says what it stands for (AMQP 1.0 part 1, 1.2)."""

    descriptor: object
    value: object
