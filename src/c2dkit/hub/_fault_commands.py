"""The faults that official SDKs ask for: telemetry with certain properties, and the sender's own connection suffers.

Source: the public end-to-end tests of the .NET, Java, Node and C SDKs. IoT Hub itself no longer obeys. What each
operation did in detail no document says, so the faults that stand for them are inferred.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from c2dkit._errors import InvalidInputError
from c2dkit.hub._faults import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit.hub._faults import FaultLink

__all__ = ["OPERATIONS", "fault_of"]

TYPE: Final = "aziothub_faultoperationtype"
DELAY: Final = "aziothub_faultoperationdelayinsecs"
DURATION: Final = "aziothub_faultoperationdurationinsecs"

DEFAULT_DURATION: Final = 5.0
"""Seconds for which a refusal lasts where the command does not say: the default of the .NET and Java tests."""


class Operation(NamedTuple):
    """What a command does here; ``kind`` None for a link that this hub does not have. ``lasts`` reads the duration."""

    kind: FaultKind | None
    link: FaultLink | None = None
    condition: str | None = None
    lasts: bool = False


OPERATIONS: Final[Mapping[str, Operation]] = {
    # Node's tests have the device come back by itself, which it does after neither a reset nor another condition.
    "KillTcp": Operation(FaultKind.DROP),
    "KillAmqpConnection": Operation(FaultKind.CLOSE, condition="amqp:internal-error"),
    "KillAmqpSession": Operation(FaultKind.END_SESSION),
    "KillAmqpCBSLinkReq": Operation(FaultKind.DETACH, "cbs-requests"),
    "KillAmqpCBSLinkResp": Operation(FaultKind.DETACH, "cbs-answers"),
    "KillAmqpD2CLink": Operation(FaultKind.DETACH, "events"),
    "KillAmqpC2DLink": Operation(FaultKind.DETACH, "devicebound"),
    "KillAmqpTwinLinkReq": Operation(None),
    "KillAmqpTwinLinkResp": Operation(None),
    "KillAmqpMethodReqLink": Operation(None),
    "KillAmqpMethodRespLink": Operation(None),
    "InvokeThrottling": Operation(FaultKind.THROTTLE, lasts=True),
    "InvokeMaxMessageQuota": Operation(FaultKind.QUOTA, lasts=True),
    "InvokeAuthError": Operation(FaultKind.REJECT_TOKEN, lasts=True),
    "ShutDownAmqp": Operation(FaultKind.CLOSE),
    "ShutDownMqtt": Operation(FaultKind.CLOSE),
}
"""By ``AzIoTHub_FaultOperationType``; ``AzIoTHub_FaultOperationCloseReason`` is free text, and read by nobody."""


def fault_of(properties: Mapping[str, object], device_id: str) -> Fault | None:
    """Return the fault that a device's telemetry asks for, or None where it asks for none that this hub has.

    Raises:
        InvalidInputError: It asks in a way that cannot be read.
    """
    values = {name.lower(): value for name, value in properties.items()}
    name = values.get(TYPE)
    if name is None:
        return None
    operation = OPERATIONS.get(str(name))
    if operation is None:
        raise InvalidInputError(f"there is no fault operation {str(name)[:40]!r}")
    if operation.kind is None:
        return None
    # What ends a connection, session or link does it once, and not to a connection of some later day.
    times, duration = (None, values.get(DURATION, DEFAULT_DURATION)) if operation.lasts else (1, DEFAULT_DURATION)
    return Fault(
        operation.kind,
        device=device_id,
        after=_seconds(values.get(DELAY, 0)),
        duration=_seconds(duration),
        times=times,
        link=operation.link,
        condition=operation.condition,
    )


def _seconds(value: object) -> timedelta:
    try:
        return timedelta(seconds=float(str(value)))
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{str(value)[:40]!r} is no number of seconds") from None
