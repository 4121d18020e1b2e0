"""The values that every layer speaks of: a cloud-to-device message, a feedback record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["NO_PROPERTIES", "Ack", "AckWord", "FeedbackRecord", "FeedbackStatus", "Message"]

NO_PROPERTIES: Final[Mapping[str, str | None]] = MappingProxyType({})


AckWord: TypeAlias = Literal["none", "positive", "negative", "full"]
"""The words of `Ack`."""


class Ack(StrEnum):
    """Which delivery feedback a sender asks for (system property ``iothub-ack``)."""

    NONE = "none"
    """No feedback."""
    POSITIVE = "positive"
    """A record when the device completes the message."""
    NEGATIVE = "negative"
    """A record when the message is dead-lettered: rejected, expired, delivered too often, purged."""
    FULL = "full"
    """A record in both cases."""


class Message(NamedTuple):
    """One cloud-to-device message as it travels, whatever the wire.

    The fields up to ``properties`` are the sender's. The last three are the hub's and are None before the hub has
    seen the message, and on a wire that does not carry them (MQTT).
    """

    body: bytes
    message_id: str | None = None
    correlation_id: str | None = None
    user_id: str | None = None
    to: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    ack: Ack | None = None
    properties: Mapping[str, str | None] = NO_PROPERTIES
    sequence_number: int | None = None
    enqueued_at: datetime | None = None
    delivery_count: int | None = None


class FeedbackStatus(StrEnum):
    """What became of a message (feedback key ``statusCode``)."""

    SUCCESS = "Success"
    EXPIRED = "Expired"
    DELIVERY_COUNT_EXCEEDED = "DeliveryCountExceeded"
    REJECTED = "Rejected"
    PURGED = "Purged"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """What became of one message whose sender asked for feedback.

    Attributes:
        original_message_id: The message id that the sender gave.
        device_id: The device that the message was for.
        device_generation_id: Changes when a device is deleted and created again under its old id.
        status: What became of the message.
        description: The hub's text for the status.
        enqueued_at: When it happened (not when the message was sent), in UTC.
    """

    original_message_id: str
    device_id: str
    device_generation_id: str
    status: FeedbackStatus
    description: str
    enqueued_at: datetime
