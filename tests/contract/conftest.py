"""The suite through the public API: every test that takes `transport` runs over each device transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit import CloudSender, DeviceReceiver, FeedbackStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from c2dkit import FeedbackRecord
    from c2dkit.hub import LocalHub

    Receive = Callable[..., DeviceReceiver[object]]

DEVICE_TRANSPORTS = ["amqp", "mqtt"]


@pytest.fixture(params=DEVICE_TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def sender(hub: LocalHub) -> AsyncIterator[CloudSender]:
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=hub.ssl_context()
    ) as sender:
        yield sender


@pytest.fixture
async def feedback(hub: LocalHub) -> AsyncIterator[FeedbackStream]:
    async with FeedbackStream.from_connection_string(
        hub.service_connection_string, ssl_context=hub.ssl_context()
    ) as stream:
        yield stream


def receiver(hub: LocalHub, transport: str, device_id: str = "dev-1", *, prefetch: int = 10) -> DeviceReceiver[object]:
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string(device_id),
        transport=transport,
        prefetch=prefetch,
        ssl_context=hub.ssl_context(),
    )


async def records(stream: FeedbackStream, count: int) -> list[FeedbackRecord]:
    found: list[FeedbackRecord] = []
    async for record in stream:
        found.append(record)
        if len(found) == count:
            break
    return found
