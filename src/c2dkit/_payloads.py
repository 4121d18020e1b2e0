"""Turns a payload into a body, and a body back into a payload, by content type and content encoding.

IoT Hub does not look into a body. Content type says what it is, and content encoding says how its text is written:
``utf-8``, ``utf-16`` or ``utf-32`` (IoT Hub developer guide, "Create and read IoT Hub messages"), or ``gzip`` or
``deflate`` over text in the charset that the content type names, UTF-8 where it names none (RFC 9110, 8.4.1).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, NoReturn, TypeGuard, TypeVar, cast

from pydantic import JsonValue, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from c2dkit._errors import InvalidInputError, InvalidMessageError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MAX_DECOMPRESSED_BYTES", "DefaultPayload", "EncodedPayload", "PayloadDecoder", "encode_payload"]

T = TypeVar("T")

DefaultPayload = JsonValue | bytes
"""What a payload is where no type is asked for: a JSON value, a text or bytes, as the content type says."""

MAX_DECOMPRESSED_BYTES: Final = 1_048_576
"""Most bytes that a compressed body may grow to: 16 times the largest message. More raises ``PayloadError``."""

CHARSETS: Final[Mapping[str, str]] = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "utf-16": "utf-16",
    "utf-32": "utf-32",
}
"""The spellings that are understood, and what each is read and written as (ASCII is a part of UTF-8)."""

WINDOW_BITS: Final[Mapping[str, int]] = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""How zlib is told the format: RFC 1952 (gzip), and RFC 1950, which HTTP calls deflate."""

ENCODINGS: Final = "utf-8, utf-16, utf-32, gzip or deflate"
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_\-]+)", re.IGNORECASE)


class EncodedPayload(NamedTuple):
    """A body and what is said of it."""

    body: bytes
    content_type: str | None
    content_encoding: str | None


def encode_payload(payload: object, content_type: str | None, content_encoding: str | None) -> EncodedPayload:
    """Encode what a caller wants to send.

    Bytes (also ``bytearray`` and ``memoryview``) are the body as they are, whatever the content encoding says of
    them. A ``str`` is text, never quoted, so JSON that is already written goes out as it is. Everything else is
    written as JSON: JSON values (None is ``null``), pydantic models (by alias), dataclasses, TypedDicts.

    Args:
        payload: What to send.
        content_type: Said of the body; by default nothing for bytes, ``text/plain`` for a ``str``, else
            ``application/json``.
        content_encoding: How to write text and JSON; by default the charset of ``content_type``, else ``utf-8``.

    Raises:
        InvalidMessageError: The payload has no JSON form (NaN and infinity have none, RFC 8259, 6), or
            ``content_encoding`` is not one of the five that c2dkit can write.
    """
    if _is_binary(payload):
        return EncodedPayload(bytes(payload), content_type, content_encoding)
    text = payload if isinstance(payload, str) else _to_json(payload)
    if content_type is None:
        content_type = "text/plain" if isinstance(payload, str) else "application/json"
    if content_encoding is None:
        content_encoding = _charset_of(content_type)
    return EncodedPayload(_encode_text(text, content_type, content_encoding), content_type, content_encoding)


class PayloadDecoder(Generic[T]):
    """Turns bodies into payloads of one type; made once for a receiver.

    Args:
        payload_type: ``bytes`` for the raw body, ``str`` for its text, any other type (or a ``TypeAdapter``) for JSON
            checked by pydantic, whatever the content type says. None goes by the content type: a JSON value for a
            JSON type, a ``str`` for ``text/*``, else the raw body.

    Raises:
        InvalidInputError: pydantic cannot check for that type. Before Python 3.12 that holds for ``typing.TypedDict``;
            ``typing_extensions.TypedDict`` works everywhere.
    """

    __slots__ = ("_decode",)

    def __init__(self, payload_type: type[T] | TypeAdapter[T] | None = None) -> None:
        self._decode = cast("Callable[[bytes, str | None, str | None], T]", _decoder_for(payload_type))

    def decode(self, body: bytes, content_type: str | None, content_encoding: str | None) -> T:
        """Return the payload.

        Raises:
            PayloadError: The body is not what the type asks for; the error carries it.
        """
        try:
            return self._decode(body, content_type, content_encoding)
        except _UndecodableError as error:
            raise PayloadError(
                str(error), body=body, content_type=content_type, content_encoding=content_encoding
            ) from error.__cause__


class _UndecodableError(Exception):
    """Says why; ``PayloadDecoder.decode`` adds the message's data."""


def _decoder_for(
    payload_type: type[T] | TypeAdapter[T] | None,
) -> Callable[[bytes, str | None, str | None], object]:
    if payload_type is None:
        return _by_content_type
    if payload_type is bytes:
        return _raw
    if payload_type is str:
        return _decode_text
    return _json_checker(payload_type)


def _json_checker(
    payload_type: type[T] | TypeAdapter[T],
) -> Callable[[bytes, str | None, str | None], T]:
    try:
        adapter = payload_type if isinstance(payload_type, TypeAdapter) else TypeAdapter(payload_type)
    except PydanticUserError as error:
        reason = error.message.partition("\n")[0]
        raise InvalidInputError(f"pydantic cannot check for payload_type={payload_type!r}: {reason}") from error

    def decode(body: bytes, content_type: str | None, content_encoding: str | None) -> T:
        try:
            return adapter.validate_json(_json_source(body, content_type, content_encoding))
        except ValidationError as error:
            raise _UndecodableError(_first_reason(error)) from error

    return decode


def _raw(body: bytes, _content_type: str | None, _content_encoding: str | None) -> bytes:
    return body


def _by_content_type(body: bytes, content_type: str | None, content_encoding: str | None) -> object:
    if content_type is None:
        return body
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith(("/json", "+json")):
        return _decode_json(body, content_type, content_encoding)
    return _decode_text(body, content_type, content_encoding) if media_type.startswith("text/") else body


def _decode_json(body: bytes, content_type: str | None, content_encoding: str | None) -> object:
    try:
        return from_json(_json_source(body, content_type, content_encoding), allow_inf_nan=False)
    except ValueError as error:
        raise _UndecodableError(f"the body is not JSON: {error}") from error


def _json_source(body: bytes, content_type: str | None, content_encoding: str | None) -> bytes | str:
    # The parser reads UTF-8 bytes by itself, which saves the common case a copy.
    charset, plain = _unpack(body, content_type, content_encoding)
    return plain if charset == "utf-8" else _text(plain, charset)


def _decode_text(body: bytes, content_type: str | None, content_encoding: str | None) -> str:
    charset, plain = _unpack(body, content_type, content_encoding)
    return _text(plain, charset)


def _text(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        raise _UndecodableError(f"the body is not text in {charset}: {error.reason} at byte {error.start}") from error


def _unpack(body: bytes, content_type: str | None, content_encoding: str | None) -> tuple[str, bytes]:
    """Return the charset and the body without compression."""
    encoding = content_encoding.strip().lower() if content_encoding else _charset_of(content_type)
    window_bits = WINDOW_BITS.get(encoding)
    charset = CHARSETS.get(encoding if window_bits is None else _charset_of(content_type))
    if charset is None:
        raise _UndecodableError(f"the content encoding is not one that c2dkit can read ({ENCODINGS})")
    return charset, body if window_bits is None else _decompress(body, window_bits)


def _decompress(body: bytes, window_bits: int) -> bytes:
    inflater = zlib.decompressobj(window_bits)
    try:
        plain = inflater.decompress(body, MAX_DECOMPRESSED_BYTES + 1)
    except zlib.error as error:
        raise _UndecodableError("the body is not compressed as its content encoding says") from error
    if len(plain) > MAX_DECOMPRESSED_BYTES:
        raise _UndecodableError(f"the body is larger than {MAX_DECOMPRESSED_BYTES} bytes when decompressed")
    if not inflater.eof or inflater.unused_data:
        raise _UndecodableError("the compressed body is cut off, or something follows it")
    return plain


def _charset_of(content_type: str | None) -> str:
    match = _CHARSET.search(content_type) if content_type is not None and ";" in content_type else None
    return "utf-8" if match is None else match[1].lower()


def _first_reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"the body is not what payload_type asks for: {where + ': ' if where else ''}{first['msg']}{more}"


def _is_binary(payload: object) -> TypeGuard[bytes | bytearray | memoryview]:
    return isinstance(payload, (bytes, bytearray, memoryview))


def _to_json(payload: object) -> str:
    try:
        text = to_json(payload).decode()
        if "NaN" in text or "Infinity" in text:
            json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, TypeError, RecursionError) as error:
        limit = "bytes, str, or something with a JSON form"
        raise InvalidMessageError(
            f"payload must be {limit}: {error}", field="payload", limit=limit, actual=type(payload).__name__
        ) from error
    return text


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")


def _encode_text(text: str, content_type: str, content_encoding: str) -> bytes:
    encoding = content_encoding.strip().lower()
    charset = CHARSETS.get(_charset_of(content_type) if encoding in WINDOW_BITS else encoding)
    if charset is None:
        limit = f"{ENCODINGS} for a payload that is not bytes"
        raise InvalidMessageError(
            f"content_encoding must be {limit}", field="content_encoding", limit=limit, actual=content_encoding
        )
    try:
        body = text.encode(charset)
    except UnicodeEncodeError as error:
        raise InvalidMessageError(
            f"payload has no form in {charset}: {error.reason}", field="payload", limit="Unicode text", actual="str"
        ) from error
    return _compress(body, encoding)


def _compress(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body, mtime=0)
    return zlib.compress(body) if encoding == "deflate" else body
