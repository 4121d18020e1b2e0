r"""How HTTPS spells an error of IoT Hub, both ways, as one table.

The header ``iothub-errorcode`` names the error. The body repeats the name and adds a text, in one of two shapes::

    {"Message": "ErrorCode:DeviceNotFound;<text>", "ExceptionMessage": "Tracking ID:<id>-G:0-TimeStamp:<time>"}
    {"Message": "{\"errorCode\": 404001, \"trackingId\": \"<id>\", \"message\": \"<text>\", ...}"}

Sources: IoT Hub REST reference, "Common error codes"; captured answers; the .NET SDK, which reads both shapes and maps
a bare status as ``STATUSES`` does. IoT Hub is not known to send ``Retry-After``.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pydantic_core import from_json, to_json

from c2dkit._errors import (
    C2dError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    InvalidInputError,
    MessageLockLostError,
    MessageTooLargeError,
    PeerProtocolError,
    QuotaExceededError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
)
from c2dkit._wire.http_times import parse_http_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["CODES", "ERROR_CODE_HEADER", "STATUSES", "Code", "error_from_http", "http_from_error", "name_of"]

ERROR_CODE_HEADER: Final = "iothub-errorcode"
MAX_BODY_BYTES: Final = 65_536
MAX_TEXT_LENGTH: Final = 500
MAX_RETRY_AFTER_SECONDS: Final = 86_400
MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
"""IoT Hub error 401003, "Clock skew": connections are refused where the clocks differ by more."""
TRACKING_ID: Final = re.compile(r"[0-9A-Za-z]{1,64}(?:-[0-9A-Fa-f]{4,64}){0,4}(?:-G:[0-9]{1,9})?", re.ASCII)
TRACKING_ID_IN_TEXT: Final = re.compile(rf"Tracking ?ID:\s?({TRACKING_ID.pattern})", re.IGNORECASE | re.ASCII)
CODE_IN_TEXT: Final = re.compile(r"ErrorCode:(?P<name>[A-Za-z]{1,64});?(?P<text>.*)", re.DOTALL)


class Code(NamedTuple):
    """One error code of IoT Hub: its number, the HTTP status, what c2dkit raises, whether trying again may help."""

    hub_code: int
    status: int
    error: type[C2dError] = ServiceError
    transient: bool = False


CODES: Final[Mapping[str, Code]] = {
    "ArgumentInvalid": Code(400004, 400),
    "ArgumentNull": Code(400005, 400),
    "InvalidProtocolVersion": Code(400001, 400),
    "InvalidOperation": Code(400003, 400),
    "IotHubFormatError": Code(400006, 400),
    "EtagDoesNotMatch": Code(400023, 400),
    "RequestTimedOut": Code(400024, 400, transient=True),
    "NullMessage": Code(400026, 400),
    "ConnectionForcefullyClosedOnNewConnection": Code(400027, 400, transient=True),
    "IotHubUnauthorized": Code(401003, 401, UnauthorizedError),
    "IotHubUnauthorizedAccess": Code(401002, 401, UnauthorizedError),
    "IotHubNotFound": Code(401001, 401, UnauthorizedError),
    "GenericUnauthorized": Code(401000, 401, UnauthorizedError),
    "IotHubSuspended": Code(403001, 403),
    "IotHubQuotaExceeded": Code(403002, 403, QuotaExceededError),
    "DeviceMaximumQueueDepthExceeded": Code(403004, 403, DeviceQueueFullError),
    "DeviceMaximumQueueSizeExceeded": Code(403007, 403, DeviceQueueFullError),
    "IotHubMaxCbsTokenExceeded": Code(403005, 403),
    "InvalidMessageExpiryTime": Code(403009, 403),
    "OperationNotAvailableInCurrentTier": Code(403010, 403),
    "GenericNotFound": Code(404000, 404),
    "DeviceNotFound": Code(404001, 404, DeviceNotFoundError),
    "DeviceDisabled": Code(403012, 403, DeviceNotFoundError),
    "GenericMethodNotAllowed": Code(405000, 405),
    "DeviceAlreadyExists": Code(409001, 409),
    "DeviceMessageLockLost": Code(412002, 412, MessageLockLostError),
    "PreconditionFailed": Code(412001, 412),
    "GenericPreconditionFailed": Code(412000, 412),
    "MessageTooLarge": Code(413001, 413, MessageTooLargeError),
    "GenericRequestEntityTooLarge": Code(413000, 413, MessageTooLargeError),
    "TooManyDevices": Code(413002, 413),
    "ThrottlingException": Code(429001, 429, ThrottledError, transient=True),
    "GenericTooManyRequests": Code(429000, 429, ThrottledError, transient=True),
    "ThrottleBacklogLimitExceeded": Code(429002, 429, ThrottledError, transient=True),
    "ThrottlingBacklogTimeout": Code(429003, 429, ThrottledError, transient=True),
    "ThrottlingMaxActiveJobCountExceeded": Code(429004, 429, ThrottledError, transient=True),
    "DeviceThrottlingLimitExceeded": Code(429005, 429, ThrottledError, transient=True),
    "ServerError": Code(500001, 500, transient=True),
    "GenericTimeout": Code(500008, 500, transient=True),
    "GenericBadGateway": Code(502000, 502, transient=True),
    "ServiceUnavailable": Code(503001, 503, transient=True),
    "GenericServiceUnavailable": Code(503000, 503, transient=True),
    "PartitionNotFound": Code(503003, 503, transient=True),
    "ServerBusy": Code(503005, 503, transient=True),
    "ReceiveLinkOpensThrottled": Code(503008, 503, ThrottledError, transient=True),
}
NAME_OF: Final[Mapping[int, str]] = {row.hub_code: name for name, row in CODES.items()}

STATUSES: Final[Mapping[int, str | None]] = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorized",
    403: None,  # suspended, over the quota, not in this tier: a bare 403 does not tell
    404: "DeviceNotFound",
    405: "GenericMethodNotAllowed",
    409: "DeviceAlreadyExists",
    412: "DeviceMessageLockLost",
    413: "MessageTooLarge",
    429: "ThrottlingException",
    500: "ServerError",
    502: "GenericBadGateway",
    503: "ServiceUnavailable",
}
"""The error that a status stands for where the answer does not name one."""


class _Details(NamedTuple):
    """What the body of an answer says."""

    text: str = ""
    name: str | None = None
    number: int | None = None
    tracking_id: str | None = None


def error_from_http(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    doing: str = "the hub refused the request",
    now: datetime | None = None,
) -> C2dError:
    """Return the error to raise for an answer that is no success.

    Args:
        status: The HTTP status.
        headers: The answer's headers, names in any case.
        body: The answer's body; anything that is not IoT Hub's JSON is ignored.
        doing: What was being done, to begin the text with.
        now: What time it is here, to be compared with the hub's where it refuses the credential.
    """
    if status < 400:
        return PeerProtocolError(f"{doing}: the answer has status {status}, which is not one of IoT Hub's")
    folded = {name.lower(): value for name, value in headers.items()}
    details = _details(body)
    # The header is right where the two differ: the .NET SDK takes the number only where the header names the same.
    name = _known(folded.get(ERROR_CODE_HEADER)) or _known(details.name) or NAME_OF.get(details.number or 0)
    row = CODES.get(name or STATUSES.get(status) or "")
    error = ServiceError if row is None else row.error
    text = f"{doing}: {details.text or 'no description'} ({name or f'status {status}'})"
    skew = _clock_skew(folded.get("date"), now) if error is UnauthorizedError else None
    made = error(
        text if skew is None else f"{text}; {_skew_text(skew)}",
        hub_code=_hub_code(name, details.number, row),
        transient=status in (408, 429) or status >= 500 if row is None else row.transient,
        retry_after=_retry_after(folded.get("retry-after")),
        tracking_id=details.tracking_id,
    )
    if isinstance(made, UnauthorizedError):
        made.clock_skew = skew
    return made


def _clock_skew(date: str | None, now: datetime | None) -> timedelta | None:
    if date is None or now is None:
        return None
    try:
        skew = now - parse_http_time(date)
    except ValueError:
        return None
    return skew if abs(skew) > MAX_CLOCK_SKEW else None


def _skew_text(skew: timedelta) -> str:
    seconds = round(abs(skew).total_seconds())
    side = "ahead of" if skew > timedelta(0) else "behind"
    return f"this machine's clock is {seconds} s {side} the hub's, so its tokens end at the wrong time: set the clock"


def _known(name: str | None) -> str | None:
    return name if name in CODES else None


def _hub_code(name: str | None, number: int | None, row: Code | None) -> int | None:
    if name is None and number is not None:
        return number
    return None if row is None else row.hub_code


def _details(body: bytes) -> _Details:
    values = _object(body)
    message, exception = values.get("message"), values.get("exceptionmessage")
    text = message if isinstance(message, str) else ""
    tracking_id = _tracking_id(exception) or _tracking_id(text)
    match = CODE_IN_TEXT.match(text)
    if match is not None:
        return _Details(match["text"].strip()[:MAX_TEXT_LENGTH], match["name"], None, tracking_id)
    inner = _object(text.encode("utf-8", "replace")) if text.startswith("{") else {}
    if not inner:
        return _Details(text[:MAX_TEXT_LENGTH], tracking_id=tracking_id)
    inner_text, inner_id = inner.get("message"), inner.get("trackingid")
    return _Details(
        inner_text[:MAX_TEXT_LENGTH] if isinstance(inner_text, str) else "",
        number=_number(inner.get("errorcode")),
        tracking_id=inner_id[:MAX_TEXT_LENGTH] if isinstance(inner_id, str) and inner_id else tracking_id,
    )


def _object(body: bytes) -> dict[str, object]:
    """Return a JSON object with its keys in lower case, empty where the body is none."""
    if len(body) > MAX_BODY_BYTES:
        return {}
    try:
        parsed: object = from_json(body, cache_strings=False)
    except ValueError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    return {key.lower(): value for key, value in cast("dict[str, object]", parsed).items()}


def _tracking_id(text: object) -> str | None:
    match = TRACKING_ID_IN_TEXT.search(text) if isinstance(text, str) else None
    return match.group(1) if match else None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if len(text) == 6 and text.isascii() and text.isdigit() else None


def _retry_after(value: str | None) -> timedelta | None:
    # Seconds only: a date (RFC 9110, 10.2.3) would need a clock that agrees with the hub's.
    if value is None or not (value.isascii() and value.isdigit() and len(value) <= 9):
        return None
    return timedelta(seconds=min(int(value), MAX_RETRY_AFTER_SECONDS))


def http_from_error(error: C2dError, now: datetime) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body with which the hub tells of an error at a time."""
    name = name_of(error)
    headers = {ERROR_CODE_HEADER: name, "Content-Type": "application/json; charset=utf-8"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    body = {
        "Message": f"ErrorCode:{name};{error}",
        "ExceptionMessage": f"Tracking ID:{error.tracking_id or ''}-G:0-TimeStamp:{now:%m/%d/%Y %H:%M:%S}",
    }
    return CODES[name].status, headers, to_json(body)


def name_of(error: C2dError) -> str:
    """Return IoT Hub's name for an error."""
    named = NAME_OF.get(error.hub_code or 0)
    if named is not None:
        return named
    if isinstance(error, InvalidInputError):
        return "ArgumentInvalid"
    for name, row in CODES.items():
        if row.error is type(error) and row.error is not ServiceError:
            return name
    return "ServerError"
