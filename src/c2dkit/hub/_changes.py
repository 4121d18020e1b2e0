"""What happens in a hub's state, told as it happens: what a store writes down and a person at the screen reads.

An entry in a change is the queue's own. Whoever is told reads it at once, for it goes on changing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from c2dkit._models import FeedbackRecord, FeedbackStatus, Message
    from c2dkit.hub._identities import Device
    from c2dkit.hub._queue import Entry, PutBack

__all__ = [
    "BatchEnded",
    "BatchLocked",
    "BatchMade",
    "BatchPutBack",
    "Change",
    "DeviceRemoved",
    "DeviceSaved",
    "MessageEnded",
    "MessageEnqueued",
    "MessageLocked",
    "MessagePutBack",
    "RecordMade",
]


class DeviceSaved(NamedTuple):
    """A device is new, or something of it has changed."""

    device: Device
    is_new: bool = False


class DeviceRemoved(NamedTuple):
    """A device is gone, with its messages and with the records of it that are in no batch yet."""

    device_id: str


class MessageEnqueued(NamedTuple):
    """A message was accepted."""

    device_id: str
    entry: Entry[Message]


class MessageLocked(NamedTuple):
    """A receiver got a message."""

    device_id: str
    entry: Entry[Message]


class MessagePutBack(NamedTuple):
    """A message that was locked waits again, its delivery count raised or not."""

    device_id: str
    entry: Entry[Message]
    cause: PutBack


class MessageEnded(NamedTuple):
    """A message left the queue."""

    device_id: str
    entry: Entry[Message]
    status: FeedbackStatus


class RecordMade(NamedTuple):
    """A record of feedback waits for its batch."""

    record: FeedbackRecord


class BatchMade(NamedTuple):
    """All records that waited are a batch."""

    entry: Entry[tuple[FeedbackRecord, ...]]


class BatchLocked(NamedTuple):
    """A receiver got a batch."""

    entry: Entry[tuple[FeedbackRecord, ...]]


class BatchPutBack(NamedTuple):
    """A batch that was locked waits again, its delivery count raised or not."""

    entry: Entry[tuple[FeedbackRecord, ...]]
    cause: PutBack


class BatchEnded(NamedTuple):
    """A batch left its queue: completed, expired, or given back too often."""

    entry: Entry[tuple[FeedbackRecord, ...]]
    status: FeedbackStatus


Change: TypeAlias = (
    DeviceSaved
    | DeviceRemoved
    | MessageEnqueued
    | MessageLocked
    | MessagePutBack
    | MessageEnded
    | RecordMade
    | BatchMade
    | BatchLocked
    | BatchPutBack
    | BatchEnded
)
