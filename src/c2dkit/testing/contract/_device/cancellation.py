"""Proves ``_requirements/cancellation.py``."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from c2dkit import AlreadySettledError, FeedbackStatus, MessageLockLostError
from c2dkit.testing.contract._bench import cancelled_at, until
from c2dkit.testing.contract._mark import requirement

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import Device

__all__ = ["TestCancellation"]


@pytest.mark.anyio
class TestCancellation:
    @requirement("cancel:open")
    async def test_open(self, device: Device) -> None:
        for number in count(1):
            messages = device.receiver()
            waited = await cancelled_at(number, messages.__aenter__)
            await messages.__aexit__(None, None, None)
            await device.leg.aclose()
            await until(lambda: device.hub.connection_count == 0)
            if not waited:
                break
        sent = device.send()
        async with device.receiver() as messages:
            assert (await anext(messages)).message_id == sent

    @requirement("cancel:receive")
    async def test_receive(self, device: Device) -> None:
        received: list[str | None] = []
        sent: list[str] = []

        async def receive() -> None:
            received.append((await anext(messages)).message_id)

        async with device.receiver() as messages:
            for number in range(1, 13):
                if number % 2:
                    sent.append(device.send())
                    await cancelled_at(1 + number // 4, receive)
                else:
                    await cancelled_at(1, receive)
                    sent.append(device.send())
            while len(received) < len(sent):
                await receive()
        assert received == sent

    @requirement("cancel:settle")
    async def test_settle(self, device: Device) -> None:
        sent: list[str] = []
        async with device.receiver(prefetch=1) as messages:
            for number in count(1):
                sent.append(device.send())
                message = await anext(messages)
                if not await cancelled_at(number, message.complete):
                    break
                with pytest.raises((AlreadySettledError, MessageLockLostError)):
                    await message.complete()
            await device.ended(sent[-1], FeedbackStatus.SUCCESS)
        assert set(device.hub.outcomes().values()) == {FeedbackStatus.SUCCESS}

    @requirement("cancel:close")
    async def test_close(self, device: Device) -> None:
        for number in count(1):
            messages = await device.receiver().__aenter__()
            waited = await cancelled_at(number, lambda: messages.__aexit__(None, None, None))  # noqa: B023 - called here
            await device.leg.aclose()
            await until(lambda: device.hub.connection_count == 0)
            if not waited:
                break
