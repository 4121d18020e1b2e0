"""What may be said of a message after the hub has not taken it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    AlreadySettledError,
    CloudSender,
    DeviceReceiver,
    ReceivedMessage,
    RetryPolicy,
    UnauthorizedError,
)
from c2dkit.hub import Fault, FaultKind

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub

ONCE = RetryPolicy.none()


@pytest.fixture
async def waiting(hub: LocalHub) -> None:
    """A message that waits for dev-1."""
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=hub.ssl_context()
    ) as sender:
        await sender.send("dev-1", b"x")


def receiver(hub: LocalHub) -> DeviceReceiver[object]:
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string("dev-1"), transport="https", ssl_context=hub.ssl_context(), retry=ONCE
    )


async def complete_in_vain(hub: LocalHub, message: ReceivedMessage[object]) -> None:
    fault = hub.inject(Fault(FaultKind.REJECT_TOKEN, device="dev-1", duration=timedelta(hours=1)))
    with pytest.raises(UnauthorizedError):
        await message.complete()
    fault.withdraw()


async def test_what_was_refused_over_https_can_be_said_again(hub: LocalHub, waiting: None) -> None:
    async with receiver(hub) as messages:
        message = await anext(messages)
        await complete_in_vain(hub, message)
        assert (message.settlement, hub.queue_depth("dev-1")) == (None, 1)
        await message.complete()
        assert hub.queue_depth("dev-1") == 0
        with pytest.raises(AlreadySettledError):
            await message.complete()


async def test_what_was_refused_over_https_is_given_back_at_the_close(hub: LocalHub, waiting: None) -> None:
    async with receiver(hub) as messages:
        await complete_in_vain(hub, await anext(messages))
    async with receiver(hub) as messages:  # its one poll finds nothing while the lock lasts
        with anyio.fail_after(20):
            assert (await anext(messages)).body == b"x"
