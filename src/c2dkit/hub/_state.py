"""The life of every message in a hub: pure, with the time passed in, so that a test needs no waiting.

A message is Enqueued until a receiver takes it. Then it is Invisible, locked by that receiver, until it is Completed
(complete), Enqueued again (abandon, the lock's end) or Dead lettered (reject, expiry, too many deliveries). What became
of it goes to the feedback queue where its sender asked for that.

Source: IoT Hub developer guide, "Send cloud-to-device messages". Where the guide is silent the comment says "inferred".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from c2dkit._errors import DeviceNotFoundError, DeviceQueueFullError, MessageTooLargeError, ServiceError
from c2dkit._models import FeedbackStatus
from c2dkit._rules.limits import DEVICE_QUEUE_DEPTH, EXPIRY_MAX, ID_LENGTH, MESSAGE_BYTES
from c2dkit._rules.validation import check_device_id, message_size
from c2dkit._wire.amqp import device_of
from c2dkit.hub._agenda import Agenda
from c2dkit.hub._changes import (
    DeviceRemoved,
    DeviceSaved,
    MessageEnded,
    MessageEnqueued,
    MessageLocked,
    MessagePutBack,
)
from c2dkit.hub._feedback import FeedbackQueue, record_of
from c2dkit.hub._identities import DeviceSettings, apply_settings, new_device, new_etag
from c2dkit.hub._keys import Keys, new_key
from c2dkit.hub._options import LOCK_DURATION
from c2dkit.hub._queue import LockQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from c2dkit._models import FeedbackRecord, Message
    from c2dkit.hub._changes import Change
    from c2dkit.hub._identities import Device
    from c2dkit.hub._keys import KeyName
    from c2dkit.hub._options import HubOptions
    from c2dkit.hub._queue import Entry, PutBack
    from c2dkit.hub._saved import SavedState

__all__ = ["HubState", "Locked", "LockedFeedback"]

RANDOM_KEYS: Final = Keys()
NEW_DEVICE: Final = DeviceSettings()


class Locked(NamedTuple):
    """A message in the hands of one receiver.

    Attributes:
        message: With its sequence number, enqueued time and delivery count.
        lock_token: Settles the message; a new one on every delivery.
        redelivered: Whether it was delivered before, counted or not (the DUP flag on MQTT).
    """

    message: Message
    lock_token: UUID
    redelivered: bool


class LockedFeedback(NamedTuple):
    """A batch of feedback in the hands of one receiver; ``enqueued_at`` is when the batch was made."""

    records: tuple[FeedbackRecord, ...]
    lock_token: UUID
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class _DeviceQueueObserver:
    """Tells what happens in the queue of one device."""

    device: Device
    changed: Callable[[Change], None]
    add_record: Callable[[FeedbackRecord, datetime], None]
    mark_ready: Callable[[str], None]

    def put(self, entry: Entry[Message]) -> None:
        self.changed(MessageEnqueued(self.device.device_id, entry))

    def locked(self, entry: Entry[Message]) -> None:
        self.changed(MessageLocked(self.device.device_id, entry))

    def put_back(self, entry: Entry[Message], cause: PutBack) -> None:
        self.changed(MessagePutBack(self.device.device_id, entry, cause))

    def ended(self, entry: Entry[Message], status: FeedbackStatus, now: datetime) -> None:
        self.changed(MessageEnded(self.device.device_id, entry, status))
        record = record_of(entry.item, self.device, status, now)
        if record is not None:
            self.add_record(record, now)

    def ready(self) -> None:
        self.mark_ready(self.device.device_id)


class HubState:
    """The devices of one hub, their queues, and the feedback queue.

    Every method first does what is due by then, so the answers are right even where `tick` comes late. Whoever
    receives under a holder must end with `release_holder`.

    Args:
        options: The hub's settings.
        now: The time, aware and never going back.
        keys: Makes and checks the keys of devices.

    Attributes:
        on_ready: Called with a device id, or None for feedback, once something can be received there; it may call
            the state again.
    """

    def __init__(self, options: HubOptions, now: Callable[[], datetime], *, keys: Keys = RANDOM_KEYS) -> None:
        self.on_ready: Callable[[str | None], None] = lambda _: None
        self._options = options
        self._now = now
        self._keys = keys
        self._agenda = Agenda()
        self._devices: dict[str, Device] = {}
        self._queues: dict[str, LockQueue[Message]] = {}
        self._ready: dict[str | None, None] = {}
        self._subscribers: list[Callable[[Change], None]] = []
        self._feedback = FeedbackQueue(
            options, self._agenda, changed=self._changed, ready=partial(self._mark_ready, None), now=now()
        )
        self._holders: dict[object, set[LockQueue[Message]]] = {}

    @property
    def devices(self) -> Mapping[str, Device]:
        """All devices by id, a live view."""
        return MappingProxyType(self._devices)

    def subscribe(self, subscriber: Callable[[Change], None]) -> None:
        """Have every change told as it happens; the subscriber must not call the state."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Callable[[Change], None]) -> None:
        """Undo `subscribe`."""
        self._subscribers.remove(subscriber)

    def restore(self, saved: SavedState) -> None:
        """Take over what was saved, in the place of devices of the same ids, and do what fell due in the meantime."""
        for device, queue in saved.devices:
            if device.device_id in self._queues:
                self._queues[device.device_id].clear()
            self._adopt(device).restore(queue)
        self._feedback.restore(saved)
        self._catch_up()

    def add_device(self, device_id: str, settings: DeviceSettings = NEW_DEVICE) -> Device:
        """Register a device with an empty queue.

        Raises:
            InvalidInputError: The id breaks the rules for device ids, or the hub may not have such a key.
            ServiceError: There is such a device (409001), or there are too many (413002).
        """
        check_device_id(device_id)
        if device_id in self._devices:
            raise ServiceError(f"there is a device {device_id!r} already", hub_code=409001)
        if len(self._devices) >= self._options.max_devices:
            raise ServiceError(f"the hub has {self._options.max_devices} devices, as many as it may", hub_code=413002)
        device = new_device(device_id, settings, now=self._now(), keys=self._keys)
        self._adopt(device)
        self._changed(DeviceSaved(device, is_new=True))
        return device

    def update_device(self, device_id: str, settings: DeviceSettings, *, etag: str | None = None) -> Device:
        """Change a device, whose queue stays; whoever is connected as the device learns of it.

        Raises:
            DeviceNotFoundError: There is no such device.
            ServiceError: ``etag`` is not the device's (412001).
            InvalidInputError: The hub may not have such a key.
        """
        device = self._matching(device_id, etag)
        apply_settings(device, settings, now=self._now(), keys=self._keys)
        self._saved(device)
        return device

    def remove_device(self, device_id: str, *, etag: str | None = None) -> None:
        """Delete a device with its queue and its feedback, less what is in a batch already (inferred).

        Whoever receives for it learns of it.

        Raises:
            DeviceNotFoundError: There is no such device.
            ServiceError: ``etag`` is not the device's (412001).
        """
        self._matching(device_id, etag)
        self._catch_up()
        del self._devices[device_id]
        queue = self._queues.pop(device_id)
        queue.clear()
        for held in self._holders.values():  # HTTPS, whose locks belong to no connection, is one that is never released
            held.discard(queue)
        self._feedback.drop_records(device_id)
        self._changed(DeviceRemoved(device_id))
        self._mark_ready(device_id)
        self._notify()

    def set_enabled(self, device_id: str, *, enabled: bool) -> None:
        """Enable or disable a device; whoever is connected as the device learns of it.

        Raises:
            DeviceNotFoundError: There is no such device.
        """
        device = self.device(device_id)
        device.set_enabled(enabled=enabled, now=self._now())
        self._saved(device)

    def rotate_key(self, device_id: str, key: KeyName) -> None:
        """Put a random key in the place of one of a device's; whoever is connected by it learns of it.

        Raises:
            DeviceNotFoundError: There is no such device.
        """
        device = self.device(device_id)
        if key == "primary":
            device.primary_key = new_key()
        else:
            device.secondary_key = new_key()
        device.etag = new_etag()
        self._saved(device)

    def device(self, device_id: str) -> Device:
        """Return a device, enabled or not.

        Raises:
            DeviceNotFoundError: There is none of that id.
        """
        device = self._devices.get(device_id)
        if device is None:
            raise DeviceNotFoundError(f"the hub has no device {device_id[:ID_LENGTH]!r}")
        return device

    def queue_depth(self, device_id: str) -> int:
        """Return how many messages the device's queue holds, locked ones included.

        Raises:
            DeviceNotFoundError: There is no such device.
        """
        self.device(device_id)
        self.tick()
        return len(self._queues[device_id])

    def messages(self, device_id: str) -> Sequence[Entry[Message]]:
        """Return what the device's queue holds, locked ones included, by sequence number; to be read at once.

        Raises:
            DeviceNotFoundError: There is no such device.
        """
        self.device(device_id)
        self.tick()
        return self._queues[device_id].entries()

    @property
    def message_count(self) -> int:
        """How many messages all queues hold, locked ones included."""
        self.tick()
        return sum(map(len, self._queues.values()))

    def all_messages(self) -> Iterator[tuple[str, Entry[Message]]]:
        """Go through what all queues hold, device by device, as `messages` has it; to be read at once."""
        self.tick()
        for device_id, queue in self._queues.items():
            if len(queue):  # a hub may have a million devices, and most of them nothing
                for entry in queue.entries():
                    yield device_id, entry

    def send(self, message: Message) -> None:
        """Queue a message for the device that ``message.to`` names.

        Raises:
            ServiceError: ``to`` names no device (400004, inferred).
            DeviceNotFoundError: The device is unknown or disabled.
            DeviceQueueFullError: The queue holds 50 messages.
            MessageTooLargeError: The message is larger than 64 KB.
        """
        device_id = device_of(message.to or "")
        if device_id is None:
            raise ServiceError("the message's `to` is not the address of a device", hub_code=400004)
        queue = self._queue(device_id)
        if (size := message_size(message)) > MESSAGE_BYTES:
            raise MessageTooLargeError(f"the message has {size} bytes, more than the {MESSAGE_BYTES} that a hub takes")
        now = self._catch_up()
        if len(queue) >= DEVICE_QUEUE_DEPTH:
            raise DeviceQueueFullError(
                f"the messages queued for the device would exceed the queue limit of {DEVICE_QUEUE_DEPTH}"
            )
        queue.put(message, now=now, expires_at=self._expiry(message, now))
        self._notify()

    def receive(self, device_id: str, *, holder: object, lock_for: timedelta | None = LOCK_DURATION) -> Locked | None:
        """Lock the device's first message for a holder; None where none waits.

        Args:
            device_id: The device.
            holder: Who holds the message, by identity: a link or a connection.
            lock_for: How long the lock lasts; None lets it last until it is settled or its holder is released (MQTT).

        Raises:
            DeviceNotFoundError: The device is unknown or disabled.
        """
        queue = self._queue(device_id)
        now = self._catch_up()
        taken = queue.receive(holder, lock_until=None if lock_for is None else now + lock_for)
        if taken is None:
            return None
        self._holders.setdefault(holder, set()).add(queue)
        entry, token = taken
        message = entry.item._replace(
            sequence_number=entry.sequence_number,
            enqueued_at=entry.enqueued_at,
            delivery_count=entry.delivery_count,
        )
        return Locked(message, token, entry.redelivered)

    def complete(self, device_id: str, lock_token: UUID) -> None:
        """Remove a locked message: it has been processed.

        Raises:
            MessageLockLostError: The lock is over, or never was.
            DeviceNotFoundError: The device is unknown or disabled.
        """
        queue = self._queue(device_id)
        queue.end(lock_token, FeedbackStatus.SUCCESS, self._catch_up())
        self._notify()

    def redeliver(self, device_id: str, lock_token: UUID) -> bool:
        """Put a locked message back, not counted, unless it was delivered before; returns whether it was put back.

        Raises:
            MessageLockLostError: The lock is over, or never was.
            DeviceNotFoundError: The device is unknown or disabled.
        """
        put_back = self._queue(device_id).redeliver(lock_token, self._catch_up())
        self._notify()
        return put_back

    def abandon(self, device_id: str, lock_token: UUID) -> None:
        """Give a locked message back and raise its delivery count, at the maximum dead-letter it.

        Raises:
            MessageLockLostError: The lock is over, or never was.
            DeviceNotFoundError: The device is unknown or disabled.
        """
        queue = self._queue(device_id)
        queue.abandon(lock_token, self._catch_up())
        self._notify()

    def reject(self, device_id: str, lock_token: UUID) -> None:
        """Dead-letter a locked message.

        Raises:
            MessageLockLostError: The lock is over, or never was.
            DeviceNotFoundError: The device is unknown or disabled.
        """
        queue = self._queue(device_id)
        queue.end(lock_token, FeedbackStatus.REJECTED, self._catch_up())
        self._notify()

    def purge(self, device_id: str) -> int:
        """Dead-letter all messages of a device, locked ones included (inferred), and return how many there were.

        Raises:
            DeviceNotFoundError: There is no such device.
        """
        self.device(device_id)
        purged = self._queues[device_id].purge(self._catch_up())
        self._notify()
        return purged

    def release_holder(self, holder: object) -> None:
        """Give back all that a holder holds, messages and feedback, at once and without counting (inferred)."""
        now = self._catch_up()
        for queue in self._holders.pop(holder, ()):
            queue.release(holder, now)
        self._feedback.release(holder, now)
        self._notify()

    def receive_feedback(self, holder: object) -> LockedFeedback | None:
        """Lock the oldest batch of feedback for a holder; None where none waits."""
        taken = self._feedback.receive(holder, self._catch_up())
        if taken is None:
            return None
        entry, token = taken
        return LockedFeedback(entry.item, token, entry.enqueued_at)

    def complete_feedback(self, lock_token: UUID) -> None:
        """Remove a locked batch of feedback.

        Raises:
            MessageLockLostError: The lock is over, or never was.
        """
        self._feedback.complete(lock_token, self._catch_up())

    def abandon_feedback(self, lock_token: UUID) -> None:
        """Give a locked batch of feedback back and raise its delivery count, at the maximum drop it.

        Raises:
            MessageLockLostError: The lock is over, or never was.
        """
        self._feedback.abandon(lock_token, self._catch_up())
        self._notify()

    def tick(self) -> None:
        """Do what is due: end locks, expire messages and feedback, make a batch of feedback."""
        self._catch_up()

    def next_deadline(self) -> datetime | None:
        """Return when `tick` has something to do next, or None."""
        return self._agenda.next_deadline()

    def _adopt(self, device: Device) -> LockQueue[Message]:
        """Have a device with an empty queue."""
        self._devices[device.device_id] = device
        queue = self._queues[device.device_id] = LockQueue(
            self._agenda,
            max_delivery_count=self._options.max_delivery_count,
            lock_expiry_counts=self._options.lock_expiry_counts,
            observer=_DeviceQueueObserver(device, self._changed, self._feedback.add, self._mark_ready),
        )
        return queue

    def _catch_up(self) -> datetime:
        now = self._now()
        while timed := self._agenda.pop_due(now):
            timed.fire(now)
        self._notify()
        return now

    def _queue(self, device_id: str) -> LockQueue[Message]:
        """Return the queue of a device that is enabled."""
        if not self.device(device_id).enabled:
            raise DeviceNotFoundError(f"the device {device_id!r} is disabled")
        return self._queues[device_id]

    def _expiry(self, message: Message, now: datetime) -> datetime:
        """Return when the message expires: kept 48 hours at most, whatever it says (that it is capped is inferred)."""
        if message.expires_at is None:
            return now + self._options.default_ttl
        return min(message.expires_at, now + EXPIRY_MAX)

    def _matching(self, device_id: str, etag: str | None) -> Device:
        """Return a device if it has an ETag; None stands for any."""
        device = self.device(device_id)
        if etag is not None and etag != device.etag:
            raise ServiceError(
                f"the device {device_id!r} has changed: its ETag is {device.etag}, not {etag[:ID_LENGTH]}; read it again",
                hub_code=412001,
            )
        return device

    def _saved(self, device: Device) -> None:
        self._changed(DeviceSaved(device))
        self._mark_ready(device.device_id)
        self._notify()

    def _changed(self, change: Change) -> None:
        for subscriber in self._subscribers:
            subscriber(change)

    def _notify(self) -> None:
        """Call `on_ready`, now that nothing is half done."""
        if self._ready:
            ready, self._ready = self._ready, {}
            for key in ready:
                self.on_ready(key)

    def _mark_ready(self, key: str | None) -> None:
        self._ready[key] = None
