"""The time that a lock has, and what a run makes of it. The messages have waited: see ``Aged``."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import FeedbackStatus, OnError
from c2dkit.testing.contract._bench import until
from tests.handling.conftest import Calls, aged, running

if TYPE_CHECKING:
    from c2dkit import ReceivedMessage
    from c2dkit.testing.contract._bench import Device

ALMOST = 54.9
"""A tenth of a second before a message is given up."""


def has_lock_time(device: Device) -> bool:
    return device.leg.name != "mqtt"


async def test_lock_remaining(device: Device) -> None:
    device.send()
    async with aged(device, 20) as receiver:
        message = await anext(receiver)
        remaining = message.lock_remaining
        if not has_lock_time(device):
            assert remaining is None
        else:
            assert remaining is not None
            assert timedelta(seconds=30) < remaining <= timedelta(seconds=40)
    assert message.lock_remaining == timedelta(0)


async def test_lock_remaining_is_never_negative(device: Device) -> None:
    device.send()
    async with aged(device, 70) as receiver:
        assert (await anext(receiver)).lock_remaining == (timedelta(0) if has_lock_time(device) else None)


async def test_a_handler_that_would_outlive_its_lock_is_cancelled_and_the_delivery_counts(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    async with aged(device, ALMOST) as receiver, running(receiver.run(calls, on_error="hold")):
        if has_lock_time(device):
            await device.ended(sent, FeedbackStatus.DELIVERY_COUNT_EXCEEDED)
            assert calls.begun == [sent] * 10
            assert calls.ended == []
        else:
            await until(lambda: len(calls.begun) == 1)
            calls.let(sent)
            await device.ended(sent, FeedbackStatus.SUCCESS)


async def test_a_handler_that_has_settled_has_all_the_time(device: Device) -> None:
    device.send()
    too_late = asyncio.Event()
    outcomes: list[str] = []

    async def handle(message: ReceivedMessage[object]) -> None:
        await message.complete()
        asyncio.get_running_loop().call_later(0.3, too_late.set)
        try:
            await too_late.wait()
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise
        outcomes.append("ended")

    async with aged(device, ALMOST) as receiver, running(receiver.run(handle)):
        await until(lambda: bool(outcomes))
    assert outcomes == ["ended"]


async def test_a_handler_that_ends_although_it_is_cancelled_has_succeeded(device: Device) -> None:
    sent = device.send()

    async def handle(_: ReceivedMessage[object]) -> None:
        if has_lock_time(device):
            with pytest.raises(asyncio.CancelledError):
                await anyio.sleep_forever()

    async with aged(device, ALMOST) as receiver, running(receiver.run(handle)):
        await device.ended(sent, FeedbackStatus.SUCCESS)


async def test_an_error_at_the_end_of_the_lock_is_no_reason_to_reject(device: Device) -> None:
    sent = device.send()

    async def handle(_: ReceivedMessage[object]) -> None:
        if has_lock_time(device):
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                raise RuntimeError("the valve is stuck") from None

    on_error = OnError.REJECT if has_lock_time(device) else OnError.HOLD
    async with aged(device, ALMOST) as receiver, running(receiver.run(handle, on_error=on_error)):
        await until(lambda: device.became(sent) is not None)
    expected = FeedbackStatus.DELIVERY_COUNT_EXCEEDED if has_lock_time(device) else FeedbackStatus.SUCCESS
    assert device.became(sent) is expected


async def test_a_time_out_of_the_handlers_own_is_an_error_of_it(device: Device) -> None:
    sent = device.send()
    failed = asyncio.Event()

    async def handle(_: ReceivedMessage[object]) -> None:
        failed.set()
        async with asyncio.timeout(0):
            await anyio.sleep_forever()

    async with device.receiver() as receiver, running(receiver.run(handle, on_error="hold")):
        await failed.wait()
        await anyio.wait_all_tasks_blocked()
        assert device.waiting() == [(sent, 0)]


async def test_a_message_that_has_waited_too_long_is_not_begun_and_not_counted(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    calls.let(sent)
    async with aged(device, 56) as receiver, running(receiver.run(calls)):
        if not has_lock_time(device):
            await device.ended(sent, FeedbackStatus.SUCCESS)
            return
        await until(lambda: device.hub.held("dev-1") == 1)
        await anyio.wait_all_tasks_blocked()
        assert device.waiting() == [(sent, 0)]
    assert calls.begun == []
