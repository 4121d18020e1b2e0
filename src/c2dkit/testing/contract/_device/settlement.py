"""Proves ``_requirements/settlement.py``."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from c2dkit import (
    AlreadySettledError,
    FeedbackStatus,
    LinkError,
    MessageLockLostError,
    Settlement,
    UnsupportedSettlementError,
)
from c2dkit.testing.contract._bench import settle, until
from c2dkit.testing.contract._mark import requirement

if TYPE_CHECKING:
    from c2dkit import ReceivedMessage
    from c2dkit.testing.contract._bench import Device

__all__ = ["TestSettlement"]

STATUS: Final = {Settlement.COMPLETE: FeedbackStatus.SUCCESS, Settlement.REJECT: FeedbackStatus.REJECTED}
MAX_DELIVERY_COUNT: Final = 10


async def refused(device: Device, message: ReceivedMessage[object], settlement: Settlement) -> None:
    """Check that a settlement is refused, and that the hub shows what it showed before."""
    before = device.waiting(), dict(device.hub.outcomes()), device.hub.held("dev-1")
    with pytest.raises(UnsupportedSettlementError) as caught:
        await settle(message, settlement)
    transport = device.transport()
    assert (caught.value.settlement, caught.value.transport) == (settlement, transport.name)
    assert caught.value.supported == transport.settlements
    assert (device.waiting(), dict(device.hub.outcomes()), device.hub.held("dev-1")) == before


@pytest.mark.anyio
class TestSettlement:
    @requirement("settle:outcome")
    @pytest.mark.parametrize("settlement", Settlement)
    async def test_outcome(self, device: Device, settlement: Settlement) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            message = await anext(messages)
            if settlement not in device.settlements:
                await refused(device, message, settlement)
                if Settlement.COMPLETE in device.settlements:  # it is still held
                    await message.complete()
                    await device.ended(sent, FeedbackStatus.SUCCESS)
                return
            await settle(message, settlement)
            if settlement is Settlement.ABANDON:
                await until(lambda: device.waiting() == [(sent, 1)])
            else:
                await device.ended(sent, STATUS[settlement])
                assert device.waiting() == []

    @requirement("settle:not-before")
    async def test_not_before(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            assert (await anext(messages)).message_id == sent
            await until(lambda: device.hub.held("dev-1") == 1)
            assert device.waiting() == [(sent, 0)]
        assert device.became(sent) is None
        async with device.receiver() as messages:
            assert (await anext(messages)).message_id == sent

    @requirement("settle:once")
    async def test_once(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            message = await anext(messages)
            await message.complete()
            for settlement in device.settlements:
                with pytest.raises(AlreadySettledError) as caught:
                    await settle(message, settlement)
                assert caught.value.first is Settlement.COMPLETE
            await device.ended(sent, FeedbackStatus.SUCCESS)

    @requirement("settle:once-of-two-tasks")
    async def test_once_of_two_tasks(self, device: Device) -> None:
        sent = device.send()
        refusals: list[Settlement] = []

        async def second() -> None:
            try:
                await settle(message, min(device.settlements, key=lambda each: each is Settlement.COMPLETE))
            except AlreadySettledError as error:
                refusals.append(error.first)

        async with device.receiver() as messages:
            message = await anext(messages)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(message.complete)
                tasks.start_soon(second)
            await device.ended(sent, FeedbackStatus.SUCCESS)
        assert refusals == [Settlement.COMPLETE]

    @requirement("settle:other-task")
    async def test_other_task(self, device: Device) -> None:
        sent = [device.send() for _ in range(3)]
        hand_over, take_over = anyio.create_memory_object_stream["ReceivedMessage[object]"](0)

        async def settler() -> None:
            async with take_over:
                async for message in take_over:
                    await message.complete()

        async with device.receiver() as messages:
            async with anyio.create_task_group() as tasks, hand_over:
                tasks.start_soon(settler)
                for _ in sent:
                    await hand_over.send(await anext(messages))
                hand_over.close()
            for each in sent:
                await device.ended(each, FeedbackStatus.SUCCESS)

    @requirement("settle:out-of-order")
    async def test_out_of_order(self, device: Device) -> None:
        sent = [device.send() for _ in range(6)]
        async with device.receiver() as messages:
            held = [await anext(messages) for _ in sent]
            for index in (3, 5, 1, 2, 4, 0):
                await held[index].complete()
            for each in sent:
                await device.ended(each, FeedbackStatus.SUCCESS)

    @requirement("settle:mixed")
    async def test_mixed(self, device: Device) -> None:
        sent = [device.send() for _ in range(6)]
        wanted = sorted(device.settlements & set(STATUS)) * 3
        async with device.receiver() as messages:
            held = [await anext(messages) for _ in sent]
            async with anyio.create_task_group() as tasks:
                for message, settlement in zip(held, wanted, strict=False):
                    tasks.start_soon(settle, message, settlement)
            for each, settlement in zip(sent, wanted, strict=False):
                await device.ended(each, STATUS[settlement])

    @requirement("settle:after-close")
    async def test_after_close(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            message = await anext(messages)
        for _ in range(2):
            with pytest.raises(MessageLockLostError):
                await message.complete()
        assert device.became(sent) is None
        async with device.receiver() as messages:
            assert (await anext(messages)).message_id == sent

    @requirement("settle:after-loss")
    async def test_after_loss(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            message = await anext(messages)
            await device.hub.disconnect_all()
            await until(lambda: device.hub.connection_count == 0)
            with pytest.raises(LinkError):
                await anext(messages)
            for settlement in [*device.settlements] * 2:
                with pytest.raises(MessageLockLostError):
                    await settle(message, settlement)
        assert device.waiting() == [(sent, 0)]

    @requirement("settle:lock-ends")
    async def test_lock_ends(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver(prefetch=1) as messages:
            message = await anext(messages)
            device.hub.advance(timedelta(seconds=61))
            with suppress(MessageLockLostError):
                await message.complete()
            again = await anext(messages)
            assert (again.message_id, again.delivery_count) == (sent, 0)
            await again.complete()
            await device.ended(sent, FeedbackStatus.SUCCESS)

    @requirement("settle:lock-lost")
    @pytest.mark.parametrize("settlement", Settlement)
    async def test_lock_lost(self, device: Device, settlement: Settlement) -> None:
        sent = device.send()
        async with device.receiver(prefetch=1) as messages:
            message = await anext(messages)
            device.hub.advance(timedelta(seconds=61))
            for _ in range(2):
                with pytest.raises(MessageLockLostError) as caught:
                    await settle(message, settlement)
                assert caught.value.hub_code == 412002
        assert device.waiting() == [(sent, 0)]

    @requirement("settle:lock-stays")
    async def test_lock_stays(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            message = await anext(messages)
            device.hub.advance(timedelta(seconds=61))
            await message.complete()
            await device.ended(sent, FeedbackStatus.SUCCESS)

    @requirement("settle:delivery-count")
    async def test_delivery_count(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver(prefetch=1) as messages:
            if Settlement.ABANDON not in device.settlements:
                await refused(device, await anext(messages), Settlement.ABANDON)
                return
            for count in range(MAX_DELIVERY_COUNT):
                message = await anext(messages)
                assert (message.message_id, message.delivery_count) == (sent, count)
                await message.abandon()
            await device.ended(sent, FeedbackStatus.DELIVERY_COUNT_EXCEEDED)
