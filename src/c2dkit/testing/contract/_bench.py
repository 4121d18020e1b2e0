"""What the tests work with: one side under test, and its hub."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypedDict, TypeVar

import anyio.lowlevel

from c2dkit import CloudSender, DeviceReceiver, FeedbackStream, RetryPolicy, Settlement
from c2dkit._models import Ack, Message
from c2dkit._wire.amqp import device_address
from c2dkit.testing.contract._collection import common_hub
from c2dkit.testing.contract._legs import DeviceLeg, Leg, ServiceLeg

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Unpack

    from c2dkit import DeviceCredential, FeedbackRecord, FeedbackStatus, ReceivedMessage, ServiceCredential
    from c2dkit._payloads import DefaultPayload
    from c2dkit.testing.contract._hub_view import HubView
    from c2dkit.transports import DeviceTransport, ServiceTransport

__all__ = [
    "EXPIRES_IN",
    "ONCE",
    "SOON",
    "BackEnd",
    "Device",
    "Fields",
    "Site",
    "cancelled_at",
    "complete",
    "opened",
    "records",
    "settle",
    "until",
]

LegT = TypeVar("LegT", bound=Leg)

ONCE: Final = RetryPolicy.none()
"""What a transport does by itself shows only where nothing is tried again."""

SOON: Final = RetryPolicy(first_delay=timedelta(milliseconds=1), max_delay=timedelta(milliseconds=10))

EXPIRES_IN: Final = timedelta(minutes=5)
"""When a message of the tests expires; before any token does."""


class Fields(TypedDict, total=False):
    """What a test may set of a message."""

    message_id: str | None
    correlation_id: str | None
    user_id: str | None
    content_type: str | None
    content_encoding: str | None
    expires_at: datetime | None
    ack: Ack | None
    properties: Mapping[str, str | None]


class Site(Generic[LegT]):
    """A leg and the hub that it is tested against."""

    def __init__(self, leg: LegT, hub: HubView) -> None:
        self.leg = leg
        self.hub = hub

    def send(self, body: bytes = b"x", *, device_id: str = "dev-1", **fields: Unpack[Fields]) -> str:
        """Queue a message at the hub, past any back end, and return its id."""
        message = Message(
            body,
            message_id=str(uuid.uuid4()),
            to=device_address(device_id),
            ack=Ack.FULL,
            expires_at=self.hub.now().replace(microsecond=0) + EXPIRES_IN,
        )._replace(**fields)
        self.hub.send(message)
        return message.message_id or ""

    def waiting(self, device_id: str = "dev-1") -> list[tuple[str | None, int | None]]:
        """Return id and delivery count of each message in a device's queue."""
        return [(message.message_id, message.delivery_count) for message in self.hub.queue(device_id)]


class Device(Site[DeviceLeg]):
    """Devices on the leg under test."""

    @property
    def settlements(self) -> frozenset[Settlement]:
        """What the wire can say."""
        return self.transport().settlements

    def credential(self, device_id: str = "dev-1") -> DeviceCredential:
        """Return what a device connects with."""
        return self.hub.device_credential(device_id)

    def transport(self, credential: DeviceCredential | None = None, *, trust: Path | None = None) -> DeviceTransport:
        """Make a transport of ``dev-1`` and this hub, or of others."""
        return self.leg.transport(credential or self.credential(), trust or self.hub.trust)

    def receiver(
        self, device_id: str = "dev-1", *, prefetch: int = 10, retry: RetryPolicy = ONCE
    ) -> DeviceReceiver[DefaultPayload]:
        """Make a receiver; nothing is opened yet."""
        return DeviceReceiver(self.transport(self.credential(device_id)), prefetch=prefetch, retry=retry)

    def became(self, message_id: str) -> FeedbackStatus | None:
        """Return how a message ended, or None where it has not."""
        return self.hub.outcomes().get(message_id)

    async def ended(self, message_id: str, status: FeedbackStatus) -> None:
        """Wait until a message has ended, and check how."""
        await until(lambda: self.became(message_id) is not None)
        assert self.became(message_id) is status


class BackEnd(Site[ServiceLeg]):
    """A back end on the leg under test."""

    def credential(self) -> ServiceCredential:
        """Return what it connects with."""
        return self.hub.service_credential()

    def transport(self, credential: ServiceCredential | None = None, *, trust: Path | None = None) -> ServiceTransport:
        """Make a transport to this hub, or to another."""
        return self.leg.transport(credential or self.credential(), trust or self.hub.trust)

    def sender(self, *, retry: RetryPolicy = ONCE) -> CloudSender:
        """Make a sender; nothing is opened yet."""
        return CloudSender(self.transport(), retry=retry)

    def feedback(self, *, retry: RetryPolicy = ONCE) -> FeedbackStream:
        """Make a feedback stream; nothing is opened yet."""
        return FeedbackStream(self.transport(), retry=retry)

    def queued(self, device_id: str = "dev-1") -> Message:
        """Return the one message that waits for a device."""
        (message,) = self.hub.queue(device_id)
        return message


@asynccontextmanager
async def opened(*legs: Leg) -> AsyncGenerator[HubView]:
    """Open a hub that all these legs can run against, and put everything away in the end."""
    hub_factory = common_hub(legs)
    assert hub_factory is not None
    async with hub_factory() as hub:
        try:
            yield hub
        finally:
            for leg in legs:
                await leg.aclose()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until the hub shows it, as long as the test may take.

    Nothing tells when a hub has taken in what a client only sends, such as an acknowledgment on MQTT, so this looks
    in every turn of the event loop.
    """
    while not is_so():
        await anyio.lowlevel.checkpoint()


async def settle(message: ReceivedMessage[object], settlement: Settlement) -> None:
    """Settle a message."""
    verbs = {
        Settlement.COMPLETE: message.complete,
        Settlement.ABANDON: message.abandon,
        Settlement.REJECT: message.reject,
    }
    await verbs[settlement]()


async def complete(device: Device, message: ReceivedMessage[object]) -> None:
    """Complete a message, on legs whose client has not done so by itself."""
    if Settlement.COMPLETE in device.settlements:
        await message.complete()


async def records(stream: FeedbackStream, count: int) -> list[FeedbackRecord]:
    """Return the next records of a stream."""
    return [await anext(stream) for _ in range(count)]


async def cancelled_at(number: int, operation: Callable[[], Coroutine[object, object, object]]) -> bool:
    """Start an operation and cancel it as it waits for the ``number``-th time; return whether it waited so often.

    It may end all the same, where what it waited for came in the same turn of the event loop.
    """
    scope = anyio.CancelScope()
    waits = _Waits(operation(), number, scope.cancel)
    with scope:
        await waits
    return waits.count >= number


class _Waits:
    """Awaits a coroutine, and calls ``then`` when it has handed its ``number``-th wait to the event loop."""

    def __init__(self, coroutine: Coroutine[object, object, object], number: int, then: Callable[[], object]) -> None:
        self.count = 0
        self._coroutine = coroutine
        self._number = number
        self._then = then

    def __await__(self) -> Generator[object, object, object]:
        resume: Callable[[], object] = partial(self._coroutine.send, None)
        while True:
            try:
                waited_for = resume()
            except StopIteration as end:
                return end.value
            self.count += 1
            if self.count == self._number:
                self._then()
            try:
                resume = partial(self._coroutine.send, (yield waited_for))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the coroutine
                resume = partial(self._coroutine.throw, error)
