"""What the client refuses before any byte is sent.

Each check raises ``InvalidMessageError`` with the field, the limit and the actual value. The rules and their sources
are in ``limits`` and ``properties``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidMessageError
from c2dkit._models import Ack
from c2dkit._rules import limits
from c2dkit._rules.properties import RESERVED_NAMES, SYSTEM_PROPERTY_PREFIX

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping
    from datetime import datetime

    from c2dkit._models import Message

__all__ = ["check_device_id", "check_message", "message_size", "parse_ack"]

TIMESTAMP_BYTES: Final = 8
QUOTED_CHARACTERS: Final = 200


def check_device_id(device_id: object) -> None:
    """Refuse what cannot be a device id: 1 to 128 characters of the documented alphabet."""
    _check_pattern(
        "device_id", device_id, limits.DEVICE_ID, "1 to 128 of A-Z a-z 0-9 - : . + % _ # * ? ! ( ) , = @ ; $ '"
    )


def parse_ack(ack: object) -> Ack:
    """Return the ``Ack`` that a caller means by an ``Ack`` or its word; words are lower case, as on the wire."""
    try:
        return Ack(ack)  # type: ignore[arg-type]
    except ValueError:
        raise _refusal("ack", "one of " + ", ".join(Ack), ack) from None


def check_message(message: Message, *, now: datetime) -> None:
    """Refuse a message that breaks a limit.

    Args:
        message: What is to be sent, its body already encoded.
        now: The time that the expiry is measured from. Where the expiry was made by adding to a time, it must be this
            same time, or the shortest expiry would be refused.

    Raises:
        InvalidMessageError: At the first limit that is broken.
    """
    _check_body(message.body)
    _check_identifiers(message)
    _check_ascii("content_type", message.content_type)
    _check_ascii("content_encoding", message.content_encoding)
    if message.ack is not None:
        parse_ack(message.ack)
    _check_times(message, now)
    _check_properties(message.properties)
    size = message_size(message)
    if size > limits.MESSAGE_BYTES:
        raise _refusal("message", f"at most {limits.MESSAGE_BYTES} bytes", size)


def message_size(message: Message) -> int:
    """Return the size in bytes as IoT Hub counts it: body, values of system properties, names and values of others.

    IoT Hub developer guide, "Create and read IoT Hub messages", section "Message size". It speaks of ASCII text; that
    other text counts in UTF-8, that a time counts 8 bytes (an AMQP timestamp), and that what the hub itself adds does
    not count, is inferred.
    """
    texts = (
        message.message_id,
        message.correlation_id,
        message.user_id,
        message.to,
        message.content_type,
        message.content_encoding,
        message.ack,
    )
    size = len(message.body) + sum(len(text.encode()) for text in texts if text)
    size += TIMESTAMP_BYTES * ((message.expires_at is not None) + (message.created_at is not None))
    for name, value in message.properties.items():
        size += len(name.encode()) + len((value or "").encode())
    return size


def _refusal(field: str, limit: object, actual: object, text: str | None = None) -> InvalidMessageError:
    shown = repr(actual) if text is None else text
    if len(shown) > QUOTED_CHARACTERS:
        shown = f"{shown[:QUOTED_CHARACTERS]}... ({len(shown)} characters)"
    return InvalidMessageError(f"{field} must be {limit}; it is {shown}", field=field, limit=limit, actual=actual)


def _check_pattern(field: str, value: object, pattern: re.Pattern[str], limit: str) -> None:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise _refusal(field, limit, value)


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str) or limits.UNSAFE_TEXT.search(value) is not None:
        raise _refusal(field, "text without control characters", value)


def _check_ascii(field: str, value: object) -> None:
    if value is not None:
        _check_pattern(field, value, limits.VISIBLE_ASCII, "printable ASCII text")


def _check_body(body: object) -> None:
    if not isinstance(body, bytes):
        raise _refusal("body", "bytes", body)


def _check_identifiers(message: Message) -> None:
    if message.message_id is not None:
        _check_pattern("message_id", message.message_id, limits.MESSAGE_ID, "1 to 128 printable ASCII characters")
    if message.correlation_id is not None:
        _check_text("correlation_id", message.correlation_id)
        if not 1 <= len(message.correlation_id) <= limits.ID_LENGTH:
            raise _refusal("correlation_id", f"1 to {limits.ID_LENGTH} characters", message.correlation_id)
    if message.user_id is not None:
        _check_text("user_id", message.user_id)
    if message.to is not None:
        _check_text("to", message.to)


def _check_times(message: Message, now: datetime) -> None:
    for field, value in (("expires_at", message.expires_at), ("created_at", message.created_at)):
        if value is not None and value.utcoffset() is None:
            raise _refusal(field, "a datetime with a time zone", value, value.isoformat())
    if message.expires_at is None:
        return
    ahead = message.expires_at - now
    if not limits.EXPIRY_MIN <= ahead <= limits.EXPIRY_MAX:
        raise _refusal("expires_at", "1 minute to 2 days from now", message.expires_at, _in_words(ahead))


def _in_words(ahead: timedelta) -> str:
    return f"{-ahead} ago" if ahead < timedelta(0) else f"{ahead} from now"


def _check_properties(properties: Mapping[str, str | None]) -> None:
    if len(properties) > limits.PROPERTIES:
        raise _refusal("properties", f"at most {limits.PROPERTIES} in number", len(properties))
    for name, value in properties.items():
        _check_property_name(name)
        if value is not None:
            _check_text(f"properties[{name!r}]", value)


def _check_property_name(name: object) -> None:
    _check_text("property name", name)
    if not isinstance(name, str) or not name:
        raise _refusal("property name", "at least one character", name)
    folded = name.lower()
    if folded in RESERVED_NAMES or folded.startswith(SYSTEM_PROPERTY_PREFIX):
        raise _refusal("property name", "no name of a system property (set that by its own argument)", name)
