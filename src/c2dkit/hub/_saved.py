"""What of a hub outlives its process: everything but connections and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from c2dkit._models import FeedbackRecord, Message
    from c2dkit.hub._identities import Device, Policy

__all__ = ["Saved", "SavedDevice", "SavedEntry", "SavedQueue", "SavedState"]

T = TypeVar("T")


class SavedEntry(NamedTuple, Generic[T]):
    """One item of a queue; one that was locked waits again, not counted (inferred)."""

    item: T
    sequence_number: int
    enqueued_at: datetime
    expires_at: datetime
    delivery_count: int
    redelivered: bool


class SavedQueue(NamedTuple, Generic[T]):
    """A queue; ``entries`` are in the order of their sequence numbers."""

    last_sequence_number: int
    entries: tuple[SavedEntry[T], ...]


class SavedDevice(NamedTuple):
    """A device and its queue."""

    device: Device
    queue: SavedQueue[Message]


class SavedState(NamedTuple):
    """Devices and feedback.

    Attributes:
        devices: All devices.
        records: Those that wait for their batch, oldest first.
        batches: The queue of batches.
        last_batch_at: When the last batch was made; None where there was none yet.
    """

    devices: tuple[SavedDevice, ...]
    records: tuple[FeedbackRecord, ...]
    batches: SavedQueue[tuple[FeedbackRecord, ...]]
    last_batch_at: datetime | None


class Saved(NamedTuple):
    """A hub.

    Attributes:
        state: Devices, messages and feedback.
        policies: The shared access policies, by name.
        authority: The hub's own certificate authority: its certificate and its private key, each in PEM.
        authorities: The other certificate authorities that are trusted, each in PEM.
        sessions: The filters and QoS of MQTT sessions that outlive their connection, by device id.
        clock_offset: How far the hub's clock had been moved.
    """

    state: SavedState
    policies: Mapping[str, Policy]
    authority: tuple[bytes, bytes]
    authorities: tuple[bytes, ...]
    sessions: Mapping[str, Mapping[str, int]]
    clock_offset: timedelta
