"""How a run ends: drain, the second cancellation, and what is left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import FeedbackStatus
from c2dkit.testing.contract._bench import until
from tests.handling.conftest import Calls, tasks_of_a_run

if TYPE_CHECKING:
    from c2dkit import ReceivedMessage
    from c2dkit.testing.contract._bench import Device

LONG = timedelta(minutes=10)


async def test_cancelling_lets_the_handlers_under_way_end_and_begins_no_other(device: Device) -> None:
    under_way, waiting, unseen = (device.send(properties={"unit": "a"}) for _ in range(3))
    calls = Calls()
    async with device.receiver(prefetch=1) as receiver:
        run = asyncio.create_task(receiver.run(calls, key=lambda message: message.properties["unit"], drain=LONG))
        await until(lambda: len(calls.begun) == 1)
        await anyio.wait_all_tasks_blocked()
        run.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not run.done()
        calls.let(under_way)
        with pytest.raises(asyncio.CancelledError):
            await run
        assert tasks_of_a_run() == []
        await device.ended(under_way, FeedbackStatus.SUCCESS)
    assert calls.begun == calls.ended == [under_way]
    await until(lambda: device.hub.held("dev-1") == 0)
    assert [message_id for message_id, _ in device.waiting()] == [waiting, unseen]


async def test_what_has_not_ended_when_drain_is_over_is_cancelled_and_comes_again(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    async with device.receiver() as receiver:
        run = asyncio.create_task(receiver.run(calls, drain=timedelta(0)))
        await until(lambda: len(calls.begun) == 1)
        assert tasks_of_a_run() == ["Handling.handle", "Run._take"]
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert tasks_of_a_run() == []
        assert calls.ended == []
    async with device.receiver() as receiver:
        assert (await anext(receiver)).message_id == sent


async def test_a_second_cancellation_does_not_wait(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    async with device.receiver() as receiver:
        run = asyncio.create_task(receiver.run(calls, drain=LONG))
        await until(lambda: len(calls.begun) == 1)
        for _ in range(2):
            run.cancel()
            await anyio.wait_all_tasks_blocked()
        assert run.cancelled()
        assert tasks_of_a_run() == []
    assert calls.ended == []
    assert [message_id for message_id, _ in device.waiting()] == [sent]


async def test_a_handler_that_cleans_up_is_waited_for_and_its_error_tells_nothing_of_the_message(
    device: Device,
) -> None:
    sent = device.send()
    begun, clean = asyncio.Event(), asyncio.Event()

    async def handle(_: ReceivedMessage[object]) -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            await clean.wait()
            raise RuntimeError("the valve is stuck")

    async with device.receiver() as receiver:
        run = asyncio.create_task(receiver.run(handle, drain=timedelta(0)))
        await begun.wait()
        run.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not run.done()
        clean.set()
        with pytest.raises(asyncio.CancelledError):
            await run
        await anyio.wait_all_tasks_blocked()
        assert [message_id for message_id, _ in device.waiting()] == [sent]
        assert device.hub.held("dev-1") == 1


async def test_cancelling_during_the_clean_up_leaves_nothing_behind(device: Device) -> None:
    device.send()
    begun, clean = asyncio.Event(), asyncio.Event()

    async def handle(_: ReceivedMessage[object]) -> None:
        begun.set()
        while not clean.is_set():
            with suppress(asyncio.CancelledError):
                await clean.wait()

    async with device.receiver() as receiver:
        run = asyncio.create_task(receiver.run(handle, drain=timedelta(0)))
        await begun.wait()
        for _ in range(3):
            run.cancel()
            await anyio.wait_all_tasks_blocked()
        assert not run.done()
        clean.set()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert tasks_of_a_run() == []


async def test_a_scope_of_anyio_drains_too(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    async with device.receiver() as receiver, anyio.create_task_group() as group:
        group.start_soon(receiver.run, calls)
        await until(lambda: len(calls.begun) == 1)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(10):
                await anyio.wait_all_tasks_blocked()
            calls.let(sent)
            await device.ended(sent, FeedbackStatus.SUCCESS)
    assert calls.ended == [sent]


async def test_closing_the_receiver_drains(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    async with device.receiver() as receiver:
        run = asyncio.create_task(receiver.run(calls, drain=LONG))
        await until(lambda: len(calls.begun) == 1)
    await anyio.wait_all_tasks_blocked()
    assert not run.done()
    calls.let(sent)
    await run
    assert calls.ended == [sent]
    assert [message_id for message_id, _ in device.waiting()] == [sent]
