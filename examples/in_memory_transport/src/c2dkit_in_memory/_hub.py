"""A hub in this process: the queues of its devices, and one for feedback.

Source of the numbers and of the life cycle: IoT Hub developer guide, "Send cloud-to-device messages".
"""

from __future__ import annotations

import base64
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakValueDictionary

import anyio

from c2dkit import (
    Ack,
    ConnectError,
    ConnectionLostError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    FeedbackRecord,
    FeedbackStatus,
    UnauthorizedError,
)
from c2dkit_in_memory._queue import Queue

if TYPE_CHECKING:
    from collections.abc import Generator

    from c2dkit import C2dError, DeviceCredential, ServiceCredential
    from c2dkit.transports import Message

__all__ = ["LOCK", "Device", "Link", "MemoryHub"]

LOCK: Final = timedelta(seconds=60)
TTL: Final = timedelta(hours=1)
QUEUE_DEPTH: Final = 50
MAX_DELIVERY_COUNT: Final = 10
ADDRESS: Final = re.compile(r"/devices/(.+)/messages/devicebound", re.IGNORECASE)

hubs: Final[WeakValueDictionary[str, MemoryHub]] = WeakValueDictionary()


class Link(Protocol):
    """Whoever is connected."""

    def lose(self, error: C2dError) -> None:
        """End with an error."""
        ...


def new_key() -> str:
    """Return a random key."""
    return base64.b64encode(os.urandom(32)).decode()


@dataclass(eq=False)
class Device:
    """A device with its queue, and the one link that may receive from it."""

    device_id: str
    queue: Queue[Message]
    key: str = field(default_factory=new_key, repr=False)
    enabled: bool = True
    link: Link | None = None


class MemoryHub:
    """A hub that is found by its host name as long as it exists.

    Args:
        host_name: What connection strings call it.
        devices: The ids of its devices.
    """

    def __init__(self, host_name: str, devices: tuple[str, ...] = ("dev-1",)) -> None:
        self.host_name = host_name
        self.service_key = new_key()
        self.links: dict[Link, None] = {}
        self.feedback: Queue[FeedbackRecord] = Queue(MAX_DELIVERY_COUNT, lambda record, status: None)
        self._offset = timedelta(0)
        self._changed = anyio.Event()
        self._devices: dict[str, Device] = {}
        for device_id in devices:
            self._devices[device_id] = Device(device_id, Queue(MAX_DELIVERY_COUNT, partial(self._ended, device_id)))
        hubs[host_name] = self

    @staticmethod
    def find(host_name: str) -> MemoryHub:
        """Return the hub of that name; raises ConnectError."""
        hub = hubs.get(host_name)
        if hub is None:
            raise ConnectError(f"there is no hub {host_name} in this process")
        return hub

    def now(self) -> datetime:
        """Return the hub's time."""
        return datetime.now(UTC) + self._offset

    def advance(self, delta: timedelta) -> None:
        """Move the hub's time forward."""
        self._offset += delta
        self.catch_up()

    def device(self, device_id: str) -> Device:
        """Return a device; raises DeviceNotFoundError."""
        device = self._devices.get(device_id)
        if device is None:
            raise DeviceNotFoundError(f"there is no device {device_id!r}")
        return device

    def enabled_device(self, device_id: str) -> Device:
        """Return a device that may receive and be sent to; raises DeviceNotFoundError."""
        device = self.device(device_id)
        if not device.enabled:
            raise DeviceNotFoundError(f"the device {device_id!r} is disabled")
        return device

    def disable(self, device_id: str) -> None:
        """Disable a device, and end its link."""
        device = self.device(device_id)
        device.enabled = False
        if device.link is not None:
            device.link.lose(DeviceNotFoundError(f"the device {device_id!r} is disabled"))

    def disconnect_all(self) -> None:
        """End every link."""
        for link in list(self.links):
            link.lose(ConnectionLostError("the hub ended the connection"))

    def authorize_device(self, credential: DeviceCredential) -> Device:
        """Return the device that this credential is for; raises ServiceError."""
        device = self.enabled_device(credential.device_id)
        self._check(credential, device.key)
        return device

    def authorize_service(self, credential: ServiceCredential) -> None:
        """Check a back end's credential; raises UnauthorizedError."""
        self._check(credential, self.service_key)

    def _check(self, credential: DeviceCredential | ServiceCredential, key: str) -> None:
        token = credential.token(datetime.now(UTC))
        if credential.shared_access_key != key or token.expires_at <= self.now():
            raise UnauthorizedError("the key is wrong, or the token has expired")

    def send(self, message: Message) -> None:
        """Queue a message; raises ServiceError."""
        match = ADDRESS.fullmatch(message.to or "")
        device = self.enabled_device(match[1] if match else "")
        with self.changing() as now:
            if len(device.queue.items) >= QUEUE_DEPTH:
                raise DeviceQueueFullError(f"the queue of {device.device_id!r} is full")
            device.queue.put(message, now=now, expires_at=message.expires_at or now + TTL)

    def catch_up(self) -> datetime:
        """Do what is due, and return the time."""
        now = self.now()
        for queue in self._queues():
            if queue.catch_up(now):
                self.notify()
        return now

    @contextmanager
    def changing(self) -> Generator[datetime]:
        """Do what is due, let the body change the queues, and wake whoever waits for that."""
        yield self.catch_up()
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait until something has changed, or is due."""
        deadlines = [deadline for queue in self._queues() if (deadline := queue.next_deadline())]
        wait = min(((deadline - self.now()).total_seconds() for deadline in deadlines), default=None)
        with anyio.move_on_after(wait):
            await self._changed.wait()

    def _queues(self) -> list[Queue[Message] | Queue[FeedbackRecord]]:
        return [self.feedback, *(device.queue for device in self._devices.values())]

    def _ended(self, device_id: str, message: Message, status: FeedbackStatus) -> None:
        wanted = {Ack.FULL, Ack.POSITIVE if status is FeedbackStatus.SUCCESS else Ack.NEGATIVE}
        if message.ack in wanted:
            now = self.now()
            record = FeedbackRecord(
                original_message_id=message.message_id or "",
                device_id=device_id,
                device_generation_id="638000000000000000",
                status=status,
                description=status.value,
                enqueued_at=now,
            )
            self.feedback.put(record, now=now, expires_at=now + TTL)
