"""Proves ``_requirements/lifecycle.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    ClosedError,
    ConnectionState,
    FeedbackStatus,
    InvalidInputError,
    LinkError,
    MessageLockLostError,
    ServiceError,
)
from c2dkit.testing.contract._bench import SOON, complete, until
from c2dkit.testing.contract._mark import requirement

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import Device

__all__ = ["TestLifecycle"]


@pytest.mark.anyio
class TestLifecycle:
    @requirement("life:misuse")
    async def test_misuse(self, device: Device) -> None:
        with pytest.raises(InvalidInputError, match="prefetch"):
            device.receiver(prefetch=0)
        messages = device.receiver()
        with pytest.raises(ClosedError, match="async with"):
            await anext(messages)
        async with messages:
            with pytest.raises(ClosedError, match="once"):
                await messages.__aenter__()
        with pytest.raises(ClosedError, match="once"):
            await messages.__aenter__()

    @requirement("life:close-ends-iteration")
    async def test_close_ends_iteration(self, device: Device) -> None:
        ended: list[int] = []

        async def iterate(number: int) -> None:
            async for _ in messages:
                pass
            ended.append(number)

        async with anyio.create_task_group() as tasks, device.receiver() as messages:
            for number in range(2):
                tasks.start_soon(iterate, number)
            await anyio.wait_all_tasks_blocked()
            assert ended == []
        assert sorted(ended) == [0, 1]
        with pytest.raises(StopAsyncIteration):
            await anext(messages)

    @requirement("life:close-gives-back")
    async def test_close_gives_back(self, device: Device) -> None:
        sent = [device.send() for _ in range(3)]
        async with device.receiver() as messages:
            await anext(messages)
        await until(lambda: device.hub.held("dev-1") == 0)
        assert [message_id for message_id, _ in device.waiting()] == sent

    @requirement("life:close-not-counted")
    async def test_close_not_counted(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            await anext(messages)
        await until(lambda: device.hub.held("dev-1") == 0)
        assert device.waiting() == [(sent, 0)]

    @requirement("life:close-disconnects")
    async def test_close_disconnects(self, device: Device) -> None:
        device.send()
        async with device.receiver() as messages:
            await anext(messages)
        await device.leg.aclose()
        await until(lambda: device.hub.connection_count == 0)

    @requirement("life:own-exception")
    async def test_own_exception(self, device: Device) -> None:
        with pytest.raises(ZeroDivisionError):
            async with device.receiver():
                _ = 1 / 0

    @requirement("life:lost")
    async def test_lost(self, device: Device) -> None:
        async with device.receiver() as messages:
            await device.hub.disconnect_all()
            for _ in range(2):
                with pytest.raises(LinkError) as caught:
                    await anext(messages)
                assert caught.value.transient

    @requirement("life:resumes")
    async def test_resumes(self, device: Device) -> None:
        states: list[ConnectionState] = []

        async def follow() -> None:
            states.extend([status.state async for status in messages.connection])

        messages = device.receiver(retry=SOON)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            async with messages:
                for _ in range(3):
                    sent = device.send()
                    held = await anext(messages)
                    await device.hub.disconnect_all()
                    again = await anext(messages)
                    assert held.message_id == again.message_id == sent
                    with pytest.raises(MessageLockLostError):
                        await held.complete()
                    await again.complete()
                    await device.ended(sent, FeedbackStatus.SUCCESS)
        outage = [ConnectionState.CONNECTED, ConnectionState.RETRYING]
        assert [state for state in states if state in outage][:2] == outage
        assert states.count(ConnectionState.CONNECTED) == 4
        assert states[-1] is ConnectionState.CLOSED
        assert messages.connection.status.cause is None

    @requirement("life:no-resuming")
    async def test_no_resuming(self, device: Device) -> None:
        async with device.receiver(retry=SOON) as messages:
            device.hub.disable_device("dev-1")
            with pytest.raises(ServiceError) as caught:
                await anext(messages)
        assert not caught.value.transient
        assert messages.connection.status.cause is caught.value

    @requirement("life:body-undisturbed")
    async def test_body_undisturbed(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            await anext(messages)
            await device.hub.disconnect_all()
            await until(lambda: device.hub.connection_count == 0)
            await anyio.wait_all_tasks_blocked()
        assert device.waiting() == [(sent, 0)]

    @requirement("life:take-over")
    async def test_take_over(self, device: Device) -> None:
        async with device.receiver() as old, device.receiver() as new:
            with pytest.raises(LinkError):
                await anext(old)
            sent = device.send()
            assert (await anext(new)).message_id == sent

    @requirement("life:reopen")
    async def test_reopen(self, device: Device) -> None:
        for _ in range(3):
            sent = device.send()
            async with device.receiver() as messages:
                message = await anext(messages)
                assert message.message_id == sent
                await complete(device, message)
                await until(lambda: not device.waiting())
