"""A device on each of the wires that differ, and what its tests work with."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from c2dkit import ConnectionState, DeviceReceiver
from c2dkit.testing.contract._bench import Device, opened
from tests.contract.legs import DEVICE_LEGS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable

    from c2dkit import ReceivedMessage, Settlement
    from c2dkit.transports import Delivery, DeviceLink, DeviceTransport, Ending

SECONDS: Final = 20


@pytest.fixture(params=["amqp", "mqtt", "https"])
async def device(request: pytest.FixtureRequest) -> AsyncIterator[Device]:
    leg = next(leg for leg in DEVICE_LEGS if leg.name == request.param)
    async with opened(leg) as hub:
        yield Device(leg, hub)


def tasks_of_a_run() -> list[str]:
    """Return what the tasks of a run are doing."""
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return sorted(name for name in names if name in {"Run._take", "Handling.handle"})


@asynccontextmanager
async def running(run: Awaitable[None]) -> AsyncGenerator[asyncio.Task[None]]:
    """Have a run in a task of its own, which is cancelled and leaves none behind."""
    task = asyncio.ensure_future(run)
    assert isinstance(task, asyncio.Task)
    try:
        with anyio.fail_after(SECONDS):
            yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert tasks_of_a_run() == []


class Calls:
    """A handler that tells who has begun and ended, and lets each go when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str | None] = []
        self.ended: list[str | None] = []
        self.most = 0
        self._running = 0
        self._may_end: dict[str | None, asyncio.Event] = {}

    def let(self, message_id: str) -> None:
        self._event(message_id).set()

    async def __call__(self, message: ReceivedMessage[object]) -> None:
        self.begun.append(message.message_id)
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            await self._event(message.message_id).wait()
        finally:
            self._running -= 1
        self.ended.append(message.message_id)

    def _event(self, message_id: str | None) -> asyncio.Event:
        return self._may_end.setdefault(message_id, asyncio.Event())


async def lose_connection(device: Device, receiver: DeviceReceiver[object]) -> None:
    """Drop the connection, and wait until the receiver knows; HTTPS has none."""
    noticed = asyncio.create_task(receiver.connection.wait_for(ConnectionState.RETRYING))
    await asyncio.sleep(0)
    await device.hub.disconnect_all()
    if device.leg.name == "https":
        noticed.cancel()
    await asyncio.wait([noticed])


class Aged:
    """A transport whose messages reached this process some seconds ago."""

    def __init__(self, transport: DeviceTransport, seconds: float) -> None:
        self.name = transport.name
        self.settlements: frozenset[Settlement] = transport.settlements
        self._transport = transport
        self._seconds = seconds

    async def open(self, *, prefetch: int) -> DeviceLink:
        return _AgedLink(await self._transport.open(prefetch=prefetch), self._seconds)


class _AgedLink:
    def __init__(self, link: DeviceLink, seconds: float) -> None:
        self._link = link
        self._seconds = seconds

    @property
    def ending(self) -> Ending:
        return self._link.ending

    async def receive(self) -> Delivery:
        delivery = await self._link.receive()
        delivery.received_at -= self._seconds
        return delivery

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        await self._link.settle(delivery, settlement)

    async def close(self) -> None:
        await self._link.close()


def aged(device: Device, seconds: float) -> DeviceReceiver[object]:
    """Make a receiver of messages that have waited."""
    return DeviceReceiver(Aged(device.transport(), seconds))
