"""How HTTPS spells a cloud-to-device message, its lock, and the requests around it.

Sources: IoT Hub REST reference, "Device - Receive / Complete / Reject / Abandon Device Bound Notification" and "Cloud
To Device Messages"; the SDKs and the Azure CLI's IoT extension for the headers, which are those of
``properties.SYSTEM_PROPERTIES``. Content type and encoding travel as ``ContentType`` and ``ContentEncoding``, without a
hyphen.

Every answer of a receive is one message, locked; 204 says that there is none. The entity tag of the answer is the lock
token in double quotes; in a path it stands without them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import quote

from pydantic_core import from_json

from c2dkit._models import NO_PROPERTIES, Ack, Message
from c2dkit._rules.limits import MESSAGE_BYTES, PROPERTIES
from c2dkit._rules.properties import SYSTEM_PROPERTIES
from c2dkit._rules.settlement import Settlement
from c2dkit._wire.http_times import format_http_time, parse_http_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "API_VERSION",
    "ETAG",
    "FEEDBACK_PATH",
    "MAX_DOCUMENT_BYTES",
    "MAX_MESSAGE_BYTES",
    "PROPERTY",
    "REJECT",
    "DeviceRegistration",
    "SettlementRequest",
    "decode_delivery",
    "decode_purge",
    "decode_registration",
    "device_path",
    "encode_delivery",
    "purge_path",
    "quote_etag",
    "registry_path",
    "settlement_request",
    "unquote_etag",
]

API_VERSION: Final = "2021-04-12"
ETAG: Final = "ETag"
FEEDBACK_PATH: Final = "/messages/serviceBound/feedback"
REJECT: Final = "reject"
"""The query parameter, without a value, that makes a reject of a complete."""
MAX_MESSAGE_BYTES: Final = MESSAGE_BYTES + 4096
"""Largest body of a message that a client reads; a body has at most ``limits.MESSAGE_BYTES``, the rest is slack."""
MAX_DOCUMENT_BYTES: Final = 65_536
"""Largest registry document or purge result that a client reads."""

PROPERTY: Final = "iothub-app-"
MAX_ETAG_LENGTH: Final = 130
_ACKS: Final[Mapping[str | None, Ack]] = {ack.value: ack for ack in Ack}
_ROWS: Final = tuple((row.https, row) for row in SYSTEM_PROPERTIES if row.https not in (None, ETAG))
_FIELD_BY_HEADER: Final[Mapping[str, str]] = {str(header).lower(): row.field for header, row in _ROWS}

# A header name is a token (RFC 9110, 5.6.2), which is the alphabet that IoT Hub documents for property names. Of other
# names only the characters that it lacks are percent-encoded, and each % that would then read as such an escape.
# What IoT Hub does with those names is not known.
_NO_TOKEN: Final = r"(?:[01][0-9A-F]|2[02589CF]|3[A-F]|40|5[BCD]|7[BDF]|[89A-F][0-9A-F])"  # noqa: S105
_TO_ESCAPE: Final = re.compile(rf"[^!#$%&'*+\-.^_`|~0-9A-Za-z]|%(?={_NO_TOKEN})")
_ESCAPES: Final = re.compile(rf"(?:%{_NO_TOKEN})+")


def device_path(device_id: str) -> str:
    """Return the path of a device's queue: a GET receives."""
    return f"/devices/{_segment(device_id)}/messages/deviceBound"


def purge_path(device_id: str) -> str:
    """Return the path whose DELETE empties a device's queue."""
    return f"/devices/{_segment(device_id)}/commands"


def registry_path(device_id: str) -> str:
    """Return the path of a device in the registry: a GET reads."""
    return f"/devices/{_segment(device_id)}"


def _segment(text: str) -> str:
    return quote(text, safe="")


class SettlementRequest(NamedTuple):
    """The request that settles: ``query`` goes with ``api-version`` and is empty or ``reject``."""

    method: str
    path: str
    query: str = ""


def settlement_request(queue: str, lock_token: str, settlement: Settlement) -> SettlementRequest:
    """Return the request that says what became of a message, or of a batch of feedback.

    Args:
        queue: The path that it was received from.
        lock_token: The lock token, without quotes.
        settlement: What became of it; a batch of feedback cannot be rejected.
    """
    locked = f"{queue}/{_segment(lock_token)}"
    if settlement is Settlement.ABANDON:
        return SettlementRequest("POST", f"{locked}/abandon")
    return SettlementRequest("DELETE", locked, REJECT if settlement is Settlement.REJECT else "")


def quote_etag(lock_token: str) -> str:
    """Return the entity tag for a lock token; always quoted, because the C and Node clients need the quotes."""
    return f'"{lock_token}"'


def unquote_etag(etag: str) -> str:
    """Return the lock token of an entity tag, quoted or not.

    Raises:
        ValueError: There is none in it, or it has more than 128 characters.
    """
    token = etag.removeprefix("W/").strip('"')
    if not token or len(etag) > MAX_ETAG_LENGTH or not token.isascii() or not token.isprintable():
        raise ValueError("the entity tag is no lock token")
    return token


def encode_delivery(message: Message, lock_token: str) -> tuple[dict[str, str], bytes]:
    """Write the headers and the body of the answer that hands a message over.

    Header values are text, to be sent as UTF-8. HTTP has no spaces around a header's value, so there they are lost;
    a property without a value becomes one with an empty value.
    """
    headers = {ETAG: quote_etag(lock_token), **dict(_system_headers(message))}
    for name, value in message.properties.items():
        headers[PROPERTY + _TO_ESCAPE.sub(_escape, name)] = value or ""
    return headers, message.body


def _system_headers(message: Message) -> Iterator[tuple[str, str]]:
    for header, row in _ROWS:
        value: object = getattr(message, row.field)
        if value is not None:
            yield str(header), format_http_time(value) if isinstance(value, datetime) else str(value)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode())


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace("%", "")).decode("utf-8", "replace")


def decode_delivery(headers: Mapping[str, str], body: bytes) -> tuple[Message, str]:
    """Read a message and its lock token from the answer to a receive.

    Lenient, because what cannot be read would come again and again: a time, a number or an ack that cannot be read is
    left out.

    Raises:
        ValueError: There is no entity tag, or there are more than 1024 properties.
    """
    system: dict[str, str] = {}
    properties: dict[str, str | None] = {}
    etag = ""
    for name, value in headers.items():
        folded = name.lower()
        if folded in _FIELD_BY_HEADER:
            system[_FIELD_BY_HEADER[folded]] = _text(value)
        elif folded.startswith(PROPERTY):
            properties[_ESCAPES.sub(_unescape, _text(name[len(PROPERTY) :]))] = _text(value)
        elif folded == "etag":
            etag = value
    if len(properties) > PROPERTIES:
        raise ValueError(f"the message has more than {PROPERTIES} properties")
    return _message(system, properties, body), unquote_etag(etag)


def _message(system: Mapping[str, str], properties: Mapping[str, str | None], body: bytes) -> Message:
    get = system.get
    return Message(
        body,
        message_id=get("message_id"),
        correlation_id=get("correlation_id"),
        user_id=get("user_id"),
        to=get("to"),
        content_type=get("content_type"),
        content_encoding=get("content_encoding"),
        expires_at=_time(get("expires_at")),
        ack=_ACKS.get(get("ack")),
        properties=properties or NO_PROPERTIES,
        sequence_number=_number(get("sequence_number")),
        enqueued_at=_time(get("enqueued_at")),
        delivery_count=_number(get("delivery_count")),
    )


def _text(value: str) -> str:
    """Undo the surrogates that stand for bytes that are not UTF-8: HTTP's old ISO 8859-1 (RFC 9110, 5.5)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _time(text: str | None) -> datetime | None:
    if not text:  # an expiry that the sender left to the hub has been seen as an empty text
        return None
    try:
        return parse_http_time(text)
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 20 else None


class DeviceRegistration(NamedTuple):
    """What c2dkit reads of a device in the registry (IoT Hub developer guide, "Identity registry").

    Attributes:
        device_id: The device.
        generation_id: Changes when a device is deleted and created again under its old id; feedback has it too.
        status: ``enabled`` or ``disabled``.
        message_count: How many messages wait in its queue; that this counts locked ones is inferred.
    """

    device_id: str
    generation_id: str
    status: str
    message_count: int


def decode_registration(body: bytes) -> DeviceRegistration:
    """Read a device of the registry.

    Raises:
        ValueError: It is no JSON object, or lacks a key that c2dkit needs.
    """
    values = _document(body)
    return DeviceRegistration(
        device_id=_string(values, "deviceId"),
        generation_id=_string(values, "generationId"),
        status=_string(values, "status"),
        message_count=_integer(values, "cloudToDeviceMessageCount"),
    )


def decode_purge(body: bytes) -> int:
    """Return how many messages a purge has removed.

    Raises:
        ValueError: It is no JSON object, or does not say.
    """
    return _integer(_document(body), "totalMessagesPurged")


def _document(body: bytes) -> dict[str, object]:
    if len(body) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"{len(body)} bytes are more than {MAX_DOCUMENT_BYTES}")
    parsed: object = from_json(body, cache_strings=False)
    if not isinstance(parsed, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - it is the peer's data, not our argument
    return cast("dict[str, object]", parsed)


def _string(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise ValueError(f"it has no {key}")  # noqa: TRY004 - it is the peer's data, not our argument
    return value


def _integer(values: Mapping[str, object], key: str) -> int:
    value = values.get(key)
    if type(value) is not int:
        raise ValueError(f"it has no {key}")
    return value
