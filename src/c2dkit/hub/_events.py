"""What happens in a hub as somebody who watches it sees it: who comes and goes, what becomes of messages and feedback.

No event has a body, a property or a key of anything. Ids come from strangers, so no more than 128 characters of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from c2dkit._models import Ack, FeedbackStatus
from c2dkit._rules.limits import ID_LENGTH
from c2dkit.hub._changes import (
    BatchEnded,
    BatchLocked,
    BatchMade,
    BatchPutBack,
    DeviceRemoved,
    DeviceSaved,
    MessageEnded,
    MessageEnqueued,
    MessageLocked,
    MessagePutBack,
    RecordMade,
)
from c2dkit.hub._queue import PutBack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from c2dkit._models import FeedbackRecord, Message
    from c2dkit.hub._changes import Change
    from c2dkit.hub._queue import Entry

__all__ = [
    "NAMES",
    "ConnectionEvent",
    "DeviceEvent",
    "EventsMissed",
    "FeedbackBatchEvent",
    "FeedbackEvent",
    "HubEvent",
    "MessageEvent",
    "document_of",
    "event_of",
]

Step: TypeAlias = Literal[
    "queued",
    "locked",
    "completed",
    "abandoned",
    "rejected",
    "lock_expired",
    "released",
    "expired",
    "delivery_count_exceeded",
    "purged",
]
"""One step of a message, or of a batch of feedback, through its queue; one step, one event."""


class ConnectionEvent(NamedTuple):
    """A client has signed in, was refused, or is gone. HTTPS has no connections: of it, refusals only.

    Attributes:
        at: When, by the hub's clock.
        what: ``"connected"``, once for each client of a connection; ``"disconnected"``; ``"refused"``.
        protocol: ``"AMQP"``, ``"MQTT"`` or ``"HTTPS"``.
        websocket: Whether the protocol goes through a WebSocket.
        peer: The client's address and port.
        client: A device id, or the name of a policy; None for one that was refused.
        reason: Why it was refused or is gone; None for one that has signed in.
    """

    at: datetime
    what: Literal["connected", "disconnected", "refused"]
    protocol: str
    websocket: bool
    peer: str
    client: str | None
    reason: str | None


class DeviceEvent(NamedTuple):
    """A device was added, changed or removed; ``enabled`` is None for one that is gone."""

    at: datetime
    what: Literal["added", "changed", "removed"]
    device_id: str
    enabled: bool | None


class MessageEvent(NamedTuple):
    """A message has taken a step.

    Attributes:
        at: When, by the hub's clock.
        what: The step; ``"released"`` means that its holder is gone. The one that ends a delivery and the message at
            once, such as the last abandon, is told as the end: ``"delivery_count_exceeded"``.
        device_id: Whose queue it is in.
        message_id: Its first 128 characters, or None.
        sequence_number: Its number in that queue.
        body_bytes: The size of its body.
        ack: The feedback that its sender asks for.
        expires_at: When it expires.
        delivery_count: How many deliveries have counted so far.
        protocol: What it is delivered over, where it is ``"locked"``.
        locked_until: When the lock ends, where it is ``"locked"``; None where that lasts as long as the connection.
    """

    at: datetime
    what: Step
    device_id: str
    message_id: str | None
    sequence_number: int
    body_bytes: int
    ack: Ack
    expires_at: datetime
    delivery_count: int
    protocol: str | None
    locked_until: datetime | None


class FeedbackEvent(NamedTuple):
    """A message has ended, and its sender gets a record of that; ``message_id`` may be empty."""

    at: datetime
    device_id: str
    message_id: str
    status: FeedbackStatus


class FeedbackBatchEvent(NamedTuple):
    """A batch of feedback has taken a step.

    Attributes:
        at: When, by the hub's clock.
        what: The step; ``"queued"`` means that the batch was made, ``"locked"`` that a back end has got it.
        sequence_number: Its number among all batches.
        record_count: How many records it has.
        delivery_count: How many deliveries have counted so far.
    """

    at: datetime
    what: Step
    sequence_number: int
    record_count: int
    delivery_count: int


class EventsMissed(NamedTuple):
    """So many events were lost here, because their reader was slow; ``at`` is that of the last of them."""

    at: datetime
    event_count: int


HubEvent: TypeAlias = ConnectionEvent | DeviceEvent | MessageEvent | FeedbackEvent | FeedbackBatchEvent | EventsMissed
"""Anything that can be seen to happen in a hub."""

NAMES: Final[Mapping[type[HubEvent], str]] = {
    ConnectionEvent: "connection",
    DeviceEvent: "device",
    MessageEvent: "message",
    FeedbackEvent: "feedback",
    FeedbackBatchEvent: "feedback_batch",
    EventsMissed: "missed",
}
"""What the kinds of events are called in JSON."""

_PUT_BACK: Final[Mapping[PutBack, Step]] = {
    PutBack.ABANDONED: "abandoned",
    PutBack.LOCK_EXPIRED: "lock_expired",
    PutBack.RELEASED: "released",
}
_ENDED: Final[Mapping[FeedbackStatus, Step]] = {
    FeedbackStatus.SUCCESS: "completed",
    FeedbackStatus.REJECTED: "rejected",
    FeedbackStatus.EXPIRED: "expired",
    FeedbackStatus.DELIVERY_COUNT_EXCEEDED: "delivery_count_exceeded",
    FeedbackStatus.PURGED: "purged",
}


def event_of(change: Change, now: datetime) -> HubEvent:
    """Return what a change of the state looks like from outside."""
    event: HubEvent
    match change:
        case MessageEnqueued(device_id, entry):
            event = _message(now, "queued", device_id, entry)
        case MessageLocked(device_id, entry):
            event = _message(now, "locked", device_id, entry)
        case MessageEnded(device_id, entry, status):
            event = _message(now, _ENDED[status], device_id, entry)
        case MessagePutBack(device_id, entry, cause):
            event = _message(now, _PUT_BACK[cause], device_id, entry)
        case RecordMade(record):
            event = FeedbackEvent(now, record.device_id, record.original_message_id[:ID_LENGTH], record.status)
        case DeviceSaved(device, is_new):
            event = DeviceEvent(now, "added" if is_new else "changed", device.device_id, device.enabled)
        case DeviceRemoved(device_id):
            event = DeviceEvent(now, "removed", device_id, None)
        case BatchMade(batch):
            event = _batch(now, "queued", batch)
        case BatchLocked(batch):
            event = _batch(now, "locked", batch)
        case BatchPutBack(batch, cause):
            event = _batch(now, _PUT_BACK[cause], batch)
        case BatchEnded(batch, status):
            event = _batch(now, _ENDED[status], batch)
    return event


def document_of(event: HubEvent) -> dict[str, object]:
    """Return an event as one JSON object has it, less that times are not text yet."""
    return {"event": NAMES[type(event)], **event._asdict()}


def _message(now: datetime, what: Step, device_id: str, entry: Entry[Message]) -> MessageEvent:
    message, locked = entry.item, what == "locked"
    return MessageEvent(
        now,
        what,
        device_id,
        None if message.message_id is None else message.message_id[:ID_LENGTH],
        entry.sequence_number,
        len(message.body),
        message.ack or Ack.NONE,
        entry.expires_at,
        entry.delivery_count,
        getattr(entry.holder, "protocol", None) if locked else None,  # to a queue a holder may be anything
        entry.deadline if locked else None,
    )


def _batch(now: datetime, what: Step, entry: Entry[tuple[FeedbackRecord, ...]]) -> FeedbackBatchEvent:
    return FeedbackBatchEvent(now, what, entry.sequence_number, len(entry.item), entry.delivery_count)
