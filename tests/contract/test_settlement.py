from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import AlreadySettledError, FeedbackStatus, MessageLockLostError, Settlement, UnsupportedSettlementError

from .conftest import receiver, records

if TYPE_CHECKING:
    from c2dkit import CloudSender, FeedbackStream, ReceivedMessage
    from c2dkit.hub import LocalHub

SUPPORTED = {"amqp": frozenset(Settlement), "mqtt": frozenset({Settlement.COMPLETE})}


async def settle(message: ReceivedMessage[object], settlement: Settlement) -> None:
    await {
        Settlement.COMPLETE: message.complete,
        Settlement.ABANDON: message.abandon,
        Settlement.REJECT: message.reject,
    }[settlement]()


@pytest.mark.parametrize("settlement", Settlement)
async def test_a_settlement_reaches_the_hub_or_is_refused(
    hub: LocalHub, sender: CloudSender, feedback: FeedbackStream, transport: str, settlement: Settlement
) -> None:
    receipt = await sender.send("dev-1", "x", ack="full")
    async with receiver(hub, transport) as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
            if settlement not in SUPPORTED[transport]:
                with pytest.raises(UnsupportedSettlementError) as caught:
                    await settle(message, settlement)
                assert (caught.value.settlement, caught.value.transport) == (settlement, transport)
                assert caught.value.supported == SUPPORTED[transport]
                await message.complete()  # it is still held
                settlement = Settlement.COMPLETE
            else:
                await settle(message, settlement)
            if settlement is Settlement.ABANDON:
                again = await anext(messages)
                assert (again.message_id, again.delivery_count) == (receipt.message_id, 1)
                return
            (record,) = await records(feedback, 1)
    status = {Settlement.COMPLETE: FeedbackStatus.SUCCESS, Settlement.REJECT: FeedbackStatus.REJECTED}[settlement]
    assert (record.original_message_id, record.device_id, record.status) == (receipt.message_id, "dev-1", status)
    assert hub.queue_depth("dev-1") == 0


async def test_nothing_is_acknowledged_before_the_application_says_so(
    hub: LocalHub, sender: CloudSender, transport: str
) -> None:
    await sender.send("dev-1", "x")
    for _ in range(2):
        async with receiver(hub, transport) as messages:
            with anyio.fail_after(5):
                message = await anext(messages)
        assert message.payload == "x"
        assert hub.queue_depth("dev-1") == 1


async def test_a_message_is_settled_once(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    await sender.send("dev-1", "x")
    async with receiver(hub, transport) as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
            await message.complete()
            with pytest.raises(AlreadySettledError) as caught:
                await message.complete()
    assert caught.value.first is Settlement.COMPLETE


async def test_of_two_tasks_that_settle_one_gets_through(hub: LocalHub, sender: CloudSender) -> None:
    await sender.send("dev-1", "x")
    refused: list[AlreadySettledError] = []

    async def reject() -> None:
        try:
            await message.reject()
        except AlreadySettledError as error:
            refused.append(error)

    async with receiver(hub, "amqp") as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(message.complete)
                tasks.start_soon(reject)
    assert [error.first for error in refused] == [Settlement.COMPLETE]


async def test_messages_completed_out_of_order_are_all_completed(
    hub: LocalHub, sender: CloudSender, feedback: FeedbackStream, transport: str
) -> None:
    sent = [(await sender.send("dev-1", f"{n}", ack="full")).message_id for n in range(5)]
    async with receiver(hub, transport) as messages:
        with anyio.fail_after(5):
            held = [await anext(messages) for _ in sent]
            for message in reversed(held[1:]):
                await message.complete()
            if transport == "mqtt":  # the acknowledgments wait for the first message's turn (MQTT-4.6.0-2)
                await anyio.wait_all_tasks_blocked()
                assert hub.queue_depth("dev-1") == 5
            await held[0].complete()
            confirmed = await records(feedback, 5)
    assert {record.original_message_id for record in confirmed} == set(sent)
    assert {record.status for record in confirmed} == {FeedbackStatus.SUCCESS}


async def test_different_outcomes_in_one_turn_stay_different(
    hub: LocalHub, sender: CloudSender, feedback: FeedbackStream
) -> None:
    sent = [(await sender.send("dev-1", f"{n}", ack="full")).message_id for n in range(4)]
    async with receiver(hub, "amqp") as messages:
        with anyio.fail_after(5):
            held = [await anext(messages) for _ in sent]
            async with anyio.create_task_group() as tasks:
                for message, settlement in zip(held, [Settlement.COMPLETE, Settlement.REJECT] * 2, strict=True):
                    tasks.start_soon(settle, message, settlement)
            found = {record.original_message_id: record.status for record in await records(feedback, 4)}
    assert found == dict(zip(sent, [FeedbackStatus.SUCCESS, FeedbackStatus.REJECTED] * 2, strict=True))


async def test_a_lost_lock_is_the_hubs_word(hub: LocalHub, sender: CloudSender) -> None:
    await sender.send("dev-1", "x")
    async with receiver(hub, "amqp", prefetch=1) as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
            hub.clock.advance(timedelta(seconds=61))
            with pytest.raises(MessageLockLostError) as caught:
                await message.complete()
            assert caught.value.hub_code == 412002
            again = await anext(messages)
            assert (again.body, again.delivery_count) == (b"x", 0)
            await again.complete()
    assert hub.queue_depth("dev-1") == 0
