"""What can be set on a hub, with the defaults and ranges of IoT Hub."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from c2dkit._errors import InvalidInputError
from c2dkit._rules.limits import EXPIRY_MAX, EXPIRY_MIN, LOCK_DURATION

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FEEDBACK_BATCH_SIZE", "LOCK_DURATION", "HubOptions", "Tier"]

# IoT Hub developer guide, "Send cloud-to-device messages": no setting changes it.
FEEDBACK_BATCH_SIZE: Final = 64

Tier: TypeAlias = Literal["S1", "S2", "S3"]
"""A tier of IoT Hub that has cloud-to-device messages."""

_TTL_RANGE: Final = (EXPIRY_MIN, EXPIRY_MAX)
_RANGES: Final[Mapping[str, tuple[int, int] | tuple[timedelta, timedelta]]] = {
    "default_ttl": _TTL_RANGE,
    "max_delivery_count": (1, 100),
    "feedback_ttl": _TTL_RANGE,
    "feedback_max_delivery_count": (1, 100),
    "feedback_lock_duration": (timedelta(seconds=5), timedelta(seconds=300)),
    "feedback_interval": (timedelta(0), timedelta(seconds=15)),
    "max_feedback_records": (FEEDBACK_BATCH_SIZE, 1_000_000),
    "max_devices": (1, 1_000_000),
    "token_grace": (timedelta(0), timedelta(minutes=15)),
    "max_connections": (1, 1_000_000),
    "units": (1, 200),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """Settings of a hub; the first five carry the names that IoT Hub's own settings have, less their prefixes.

    Source: IoT Hub developer guide, "Send cloud-to-device messages", "Cloud-to-device configuration options".

    Attributes:
        default_ttl: How long a message without an expiry of its own is kept; 1 minute to 2 days.
        max_delivery_count: A message is dead-lettered when it has come back this often; 1 to 100.
        feedback_ttl: How long a batch of feedback is kept; 1 minute to 2 days.
        feedback_max_delivery_count: A batch of feedback is dropped when it has come back this often; 1 to 100.
        feedback_lock_duration: How long a receiver may hold a batch of feedback; 5 to 300 seconds.
        feedback_interval: The least time between two batches that are not full; 0 to 15 seconds, 15 on IoT Hub.
        max_feedback_records: How many records are kept in batches; the oldest batches expire early beyond it. IoT Hub
            documents no such bound; 64 to 1,000,000.
        max_devices: How many devices the hub may have; 1 to 1,000,000, which is IoT Hub's quota.
        lock_expiry_counts: Whether a lock that expires raises the delivery count, as abandoning does. IoT Hub's
            pages of 2018 to 2022 say so, those of 2026 say that only abandoning counts. That it goes for feedback
            too is inferred.
        token_grace: How long a connection outlives the token that it was made with; 0 to 15 minutes. IoT Hub's pages
            speak of 5 and of 10 minutes over MQTT.
        max_connections: How many connections each port keeps at a time. IoT Hub documents no such bound; 1 to 1,000,000.
        tier: Whose throttles hold: S1, S2 or S3; None for none. IoT Hub delays what is above them first, this hub
            refuses it at once (429001).
        units: How many units the hub has; 1 to 200 (the range is inferred).
        daily_messages: How many messages a day (UTC) back ends may send, counted in blocks of 4 KB (403002); None for
            any number. IoT Hub's number goes with tier and units, and has to be given here.
        sdk_fault_commands: Whether a device may cut its own connection by telemetry with
            ``AzIoTHub_FaultOperationType``, as the end-to-end tests of the official SDKs do. IoT Hub no longer obeys;
            here those tests are to run as they are, and nobody writes that by chance.
        request_lock_timeout: Whether a lock over HTTPS lasts as long as the request says, in seconds, by the header or
            the query parameter ``iothub-messagelocktimeout``, which SDKs send: 5 to 300, what is beyond counts as the
            nearest (inferred). IoT Hub's pages say that a lock lasts 60 seconds.
        mqtt_rejects_early_messages: Whether a message that was sent before the device subscribed over MQTT is rejected,
            as IoT Hub was seen to do in 2022. Its page on MQTT says that it waits.
        omit_success_status: Whether a record of success leaves ``statusCode`` out, as IoT Hub was seen to do in 2015.

    Raises:
        InvalidInputError: A value is out of its range.
    """

    default_ttl: timedelta = timedelta(hours=1)
    max_delivery_count: int = 10
    feedback_ttl: timedelta = timedelta(hours=1)
    feedback_max_delivery_count: int = 10
    feedback_lock_duration: timedelta = timedelta(seconds=60)
    feedback_interval: timedelta = timedelta(seconds=15)
    max_feedback_records: int = 10_000
    max_devices: int = 1_000_000
    token_grace: timedelta = timedelta(0)
    max_connections: int = 10_000
    lock_expiry_counts: bool = False
    tier: Tier | None = None
    units: int = 1
    daily_messages: int | None = None
    sdk_fault_commands: bool = True
    request_lock_timeout: bool = False
    mqtt_rejects_early_messages: bool = False
    omit_success_status: bool = False

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InvalidInputError(f"{name} must be {least} to {most}, not {value}")
        if self.tier is not None and self.tier not in get_args(Tier):
            raise InvalidInputError(f"tier must be one of {', '.join(get_args(Tier))}, or None")
        if self.daily_messages is not None and self.daily_messages < 0:
            raise InvalidInputError("daily_messages must be 0 or more, or None")
