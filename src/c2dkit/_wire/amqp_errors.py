"""How AMQP 1.0 spells an error of IoT Hub, both ways, as one table.

Sources: the Node and .NET SDKs' tables of AMQP conditions; IoT Hub REST reference, "Common error codes". That a
number belongs to a condition of the same name is inferred.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from c2dkit._errors import (
    C2dError,
    ConnectionLostError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    MessageLockLostError,
    MessageTooLargeError,
    QuotaExceededError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
)
from c2dkit._protocols.amqp import AmqpError, Symbol
from c2dkit._wire.times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["CONDITIONS", "Condition", "amqp_from_error", "error_from_amqp"]

TRACKING_ID: Final = Symbol("com.microsoft:tracking-id")
IS_FILTERED: Final = Symbol("com.microsoft:is-filtered")
TRACKING_ID_IN_TEXT: Final = re.compile(r"Tracking ?ID:\s?([0-9A-Za-z:_.-]{8,128})", re.IGNORECASE)


class Condition(NamedTuple):
    """One AMQP error condition: what c2dkit raises for it, the hub's code, and whether trying again may help."""

    error: type[C2dError]
    hub_code: int | None = None
    transient: bool = False


CONDITIONS: Final[Mapping[str, Condition]] = {
    "amqp:not-found": Condition(DeviceNotFoundError, 404001),
    "amqp:resource-limit-exceeded": Condition(DeviceQueueFullError, 403004),
    "amqp:link:message-size-exceeded": Condition(MessageTooLargeError, 413001),
    "amqp:unauthorized-access": Condition(UnauthorizedError, 401003),
    "com.microsoft:message-lock-lost": Condition(MessageLockLostError, 412002),
    "com.microsoft:quota-exceeded": Condition(QuotaExceededError, 403002),
    "com.microsoft:device-container-throttled": Condition(ThrottledError, 429001, transient=True),
    "com.microsoft:device-already-exists": Condition(ServiceError, 409001),
    "amqp:not-allowed": Condition(ServiceError, 400003),
    "amqp:not-implemented": Condition(ServiceError),
    "amqp:internal-error": Condition(ServiceError, 500001, transient=True),
    "com.microsoft:argument-error": Condition(ServiceError, 400004),
    "com.microsoft:argument-out-of-range": Condition(ServiceError, 400004),
    "com.microsoft:precondition-failed": Condition(ServiceError, 412001),
    "com.microsoft:iot-hub-suspended": Condition(ServiceError, 403001),
    "com.microsoft:iot-hub-not-found-error": Condition(ServiceError, 401001),
    "com.microsoft:timeout": Condition(ServiceError, 500008, transient=True),
    "amqp:resource-locked": Condition(ServiceError, transient=True),
    "amqp:connection:forced": Condition(ConnectionLostError, transient=True),
    "amqp:link:detach-forced": Condition(ConnectionLostError, transient=True),
    # A second receive link for a device takes over from the first: 409002 LinkCreationConflict.
    "amqp:link:stolen": Condition(ConnectionLostError, 409002, transient=True),
}
OTHER: Final = Condition(ServiceError)
NOT_FOUND: Final = "amqp:not-found"
ADDRESS_NOT_FOUND: Final = 404006
"""Two errors of IoT Hub have one condition: no such device, and no such address."""


def error_from_amqp(error: AmqpError | None, *, doing: str) -> C2dError:
    """Return the error to raise for what the hub answered.

    Args:
        error: The hub's error, or None where it refused without one.
        doing: What was being done, to begin the text with.
    """
    if error is None:
        return ServiceError(f"{doing}: the hub refused and gave no reason")
    condition = CONDITIONS.get(error.condition, OTHER)
    details = _details(error.description)
    text = str(details.get("message") or error.description or "no description")
    return condition.error(
        f"{doing}: {text} ({error.condition})",
        hub_code=_code(details.get("errorCode")) or condition.hub_code,
        transient=condition.transient,
        tracking_id=_tracking_id(error, details),
    )


def _details(description: str | None) -> Mapping[str, object]:
    # The hub's description of a refused link is a JSON text with errorCode, trackingId, message and timestampUtc.
    if description is None or not description.startswith("{"):
        return {}
    try:
        parsed: object = json.loads(description)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}


def _code(value: object) -> int | None:
    text = str(value)
    return int(text) if len(text) == 6 and text.isascii() and text.isdigit() else None


def _tracking_id(error: AmqpError, details: Mapping[str, object]) -> str | None:
    for value in ((error.info or {}).get(TRACKING_ID), details.get("trackingId")):
        if isinstance(value, str) and value:
            return value
    match = TRACKING_ID_IN_TEXT.search(error.description or "")
    return match.group(1) if match else None


def amqp_from_error(error: C2dError, *, detached_at: datetime | None = None) -> AmqpError:
    """Return the error with which the hub tells of one: the first row that says the same.

    Args:
        error: What the hub has to tell.
        detached_at: When, where it is told by the end of a link, whose description was seen to be a JSON text. That of
            a refused message is plain text (inferred).
    """
    condition = _condition(error)
    info: dict[str, object] = {} if error.tracking_id is None else {TRACKING_ID: error.tracking_id}
    if condition == NOT_FOUND and detached_at is not None:
        info[IS_FILTERED] = True
    description = str(error) if detached_at is None else _description(error, detached_at)
    return AmqpError(condition, description, info or None)


def _condition(error: C2dError) -> str:
    if error.hub_code == ADDRESS_NOT_FOUND:
        return NOT_FOUND
    for condition, row in CONDITIONS.items():
        if row.error is type(error) and row.hub_code == error.hub_code:
            return condition
    for condition, row in CONDITIONS.items():
        if row.error is type(error) and row.error is not ServiceError:
            return condition
    return "amqp:internal-error"


def _description(error: C2dError, now: datetime) -> str:
    return json.dumps(
        {
            "errorCode": error.hub_code,
            "trackingId": error.tracking_id,
            "message": str(error),
            "timestampUtc": format_time(now),
        }
    )
