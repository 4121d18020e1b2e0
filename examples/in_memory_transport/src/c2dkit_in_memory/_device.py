"""The port for devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit import (
    ClosedError,
    ConnectionLostError,
    FeedbackStatus,
    InvalidInputError,
    MessageLockLostError,
    Settlement,
)
from c2dkit.transports import Delivery, Ending
from c2dkit_in_memory._hub import LOCK, MemoryHub

if TYPE_CHECKING:
    import ssl

    from c2dkit import C2dError, DeviceCredential
    from c2dkit.transports import DeviceLink
    from c2dkit_in_memory._hub import Device

__all__ = ["InMemoryDeviceTransport"]


class InMemoryDeviceTransport:
    """One device of a ``MemoryHub``; it can complete, abandon and reject."""

    name: str = "in-memory"
    settlements: frozenset[Settlement] = frozenset(Settlement)

    def __init__(
        self, credential: DeviceCredential, *, ssl_context: ssl.SSLContext | None = None, proxy: str | None = None
    ) -> None:
        if proxy is not None:
            raise InvalidInputError("the in-memory transport has no way through a proxy")
        self._credential = credential

    async def open(self, *, prefetch: int) -> DeviceLink:
        """See ``DeviceTransport.open``; nothing is fetched before it is asked for."""
        hub = MemoryHub.find(self._credential.host_name)
        return _Link(hub, hub.authorize_device(self._credential))


class _Link:
    def __init__(self, hub: MemoryHub, device: Device) -> None:
        self._hub = hub
        self._device = device
        self.ending = Ending()
        older = device.link
        device.link = self
        hub.links[self] = None
        if older is not None:
            older.lose(ConnectionLostError("another receiver of the device has taken over", hub_code=409002))

    async def receive(self) -> Delivery:
        while True:
            self.ending.check()
            # Nothing is awaited between taking a message and returning it, so a cancellation cannot lose it.
            item = self._device.queue.take(self, now=self._hub.catch_up(), lock_for=LOCK)
            if item is not None:
                message = item.value._replace(
                    sequence_number=item.sequence_number,
                    enqueued_at=item.enqueued_at,
                    delivery_count=item.delivery_count,
                )
                return Delivery(message, item.lock_token, item.lock_token)
            await self._hub.change()

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        if self.ending.error is not None:
            raise MessageLockLostError("the link that held the lock has ended") from self.ending.error
        queue, lock_token = self._device.queue, str(delivery.tag)
        with self._hub.changing():
            if settlement is Settlement.ABANDON:
                queue.abandon(lock_token)
            elif settlement is Settlement.REJECT:
                queue.end(lock_token, FeedbackStatus.REJECTED)
            else:
                queue.end(lock_token, FeedbackStatus.SUCCESS)

    async def close(self) -> None:
        self.lose(ClosedError("the receiver is closed"))

    def lose(self, error: C2dError) -> None:
        if not self.ending.come(error):
            return
        self._hub.links.pop(self, None)
        if self._device.link is self:
            self._device.link = None
        with self._hub.changing():
            self._device.queue.release(self)
