"""This transport as legs of c2dkit's contract suite; for tests, and needs pytest."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from c2dkit import DeviceCredential, FeedbackStatus, ServiceCredential
from c2dkit.testing.contract import DeviceLeg, Reason, ServiceLeg
from c2dkit_in_memory._device import InMemoryDeviceTransport
from c2dkit_in_memory._hub import LOCK, MemoryHub
from c2dkit_in_memory._service import InMemoryServiceTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from c2dkit.transports import DeviceTransport, Message, ServiceTransport

__all__ = ["InMemoryDeviceLeg", "InMemoryServiceLeg", "MemoryHubView", "memory_hub"]

DEVICES = ("dev-1", "dev-2")


class MemoryHubView:
    """A ``MemoryHub`` as the suite sees it; see ``c2dkit.testing.contract.HubView``."""

    trust: Path | None = None

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._outcomes: dict[str, FeedbackStatus] = {}

    @property
    def connection_count(self) -> int:
        return len(self._hub.links)

    def device_credential(self, device_id: str) -> DeviceCredential:
        key = self._hub.device(device_id).key
        return DeviceCredential(host_name=self._hub.host_name, device_id=device_id, shared_access_key=key)

    def service_credential(self) -> ServiceCredential:
        return ServiceCredential(
            host_name=self._hub.host_name,
            shared_access_key_name="service",
            shared_access_key=self._hub.service_key,
        )

    def now(self) -> datetime:
        return self._hub.now()

    def advance(self, delta: timedelta) -> None:
        self._hub.advance(delta)

    def send(self, message: Message) -> None:
        self._hub.send(message)

    def queue(self, device_id: str) -> Sequence[Message]:
        self._hub.catch_up()
        return [
            item.value._replace(
                sequence_number=item.sequence_number,
                enqueued_at=item.enqueued_at,
                delivery_count=item.delivery_count,
            )
            for item in self._hub.device(device_id).queue.items
        ]

    def held(self, device_id: str) -> int:
        self._hub.catch_up()
        return sum(item.lock_token is not None for item in self._hub.device(device_id).queue.items)

    def finish(self, message_id: str, status: FeedbackStatus) -> None:
        if status is FeedbackStatus.EXPIRED:
            self.advance(timedelta(minutes=6))
            return
        queues = [self._hub.device(device_id).queue for device_id in DEVICES]
        (queue,) = (queue for queue in queues for item in queue.items if item.value.message_id == message_id)
        with self._hub.changing() as now:
            if status is FeedbackStatus.PURGED:
                queue.purge()
            while item := queue.take(self, now=now, lock_for=LOCK):
                if item.value.message_id == message_id and item.lock_token is not None:
                    if status is FeedbackStatus.DELIVERY_COUNT_EXCEEDED:
                        queue.abandon(item.lock_token)
                    else:
                        queue.end(item.lock_token, status)
            queue.release(self)

    def outcomes(self) -> Mapping[str, FeedbackStatus]:
        now = self._hub.catch_up()
        while item := self._hub.feedback.take(self, now=now, lock_for=LOCK):
            self._outcomes[item.value.original_message_id] = item.value.status
            self._hub.feedback.end(item.lock_token or "", FeedbackStatus.SUCCESS)
        return self._outcomes

    def disable_device(self, device_id: str) -> None:
        self._hub.disable(device_id)

    async def disconnect_all(self) -> None:
        self._hub.disconnect_all()


@asynccontextmanager
async def memory_hub() -> AsyncGenerator[MemoryHubView]:
    """A hub of its own for each test."""
    yield MemoryHubView(MemoryHub(f"{uuid4()}.in-memory", DEVICES))


class InMemoryDeviceLeg(DeviceLeg):
    """The port for devices."""

    name = "in-memory"
    lacks = frozenset({Reason.IN_PROCESS, Reason.LOCK_TIME, Reason.HUB_PROPERTIES, Reason.VALUELESS})
    hubs = (memory_hub,)

    def transport(self, credential: DeviceCredential, trust: Path | None) -> DeviceTransport:
        return InMemoryDeviceTransport(credential)


class InMemoryServiceLeg(ServiceLeg):
    """The port for back ends."""

    name = "in-memory"
    lacks = frozenset({Reason.IN_PROCESS})
    hubs = (memory_hub,)

    def transport(self, credential: ServiceCredential, trust: Path | None) -> ServiceTransport:
        return InMemoryServiceTransport(credential)
