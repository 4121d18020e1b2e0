from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    ClosedError,
    CloudSender,
    ConnectionLostError,
    FeedbackStatus,
    FeedbackStream,
    ServiceCredential,
)
from c2dkit.transports import AmqpServiceTransport

from .conftest import receiver, records

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub


def stream(hub: LocalHub) -> FeedbackStream:
    return FeedbackStream.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context())


async def complete(hub: LocalHub, count: int) -> None:
    async with receiver(hub, "amqp") as messages:
        for _ in range(count):
            await (await anext(messages)).complete()


async def fail_after_reading(hub: LocalHub) -> None:
    async with stream(hub) as feedback:
        await records(feedback, 1)
        _ = 1 / 0


async def test_the_record_tells_the_whole_story(hub: LocalHub, sender: CloudSender, feedback: FeedbackStream) -> None:
    await sender.send("dev-1", "x", ack="full", message_id="My Message ID")
    with anyio.fail_after(5):
        await complete(hub, 1)
        (record,) = await records(feedback, 1)
    assert record.original_message_id == "My Message ID"
    assert record.device_id == "dev-1"
    assert record.device_generation_id.isdigit()
    assert record.status is FeedbackStatus.SUCCESS
    assert record.description == "Success"
    assert abs(record.enqueued_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_an_expired_message_is_reported(hub: LocalHub, sender: CloudSender, feedback: FeedbackStream) -> None:
    await sender.send("dev-1", "x", ack="negative", expires_in=timedelta(minutes=5))
    hub.clock.advance(timedelta(minutes=6))
    with anyio.fail_after(5):
        (record,) = await records(feedback, 1)
    assert record.status is FeedbackStatus.EXPIRED


async def test_records_left_unread_come_again(hub: LocalHub, sender: CloudSender) -> None:
    sent = [(await sender.send("dev-1", "x", ack="full")).message_id for _ in range(3)]
    with anyio.fail_after(5):
        await complete(hub, 3)
        found: list[str] = []
        async with stream(hub) as first:
            found += [record.original_message_id for record in await records(first, 3)]
        assert found == sent  # the block was left in order after the last record: the batch is completed
        await sender.send("dev-1", "x", ack="full", message_id="again")
        await complete(hub, 1)
        with pytest.raises(ZeroDivisionError):
            await fail_after_reading(hub)
        async with stream(hub) as third:
            (record,) = await records(third, 1)
    assert record.original_message_id == "again"


async def test_a_sender_and_a_stream_share_one_connection(hub: LocalHub) -> None:
    credential = ServiceCredential.from_connection_string(hub.service_connection_string)
    shared = AmqpServiceTransport(credential, ssl_context=hub.ssl_context())
    with anyio.fail_after(5):
        async with FeedbackStream(shared) as feedback:
            async with CloudSender(shared) as sender:
                assert hub.connection_count == 1
                await sender.send("dev-1", "x", ack="full")
            await complete(hub, 1)
            (record,) = await records(feedback, 1)  # the sender is closed, the connection is not
        assert record.status is FeedbackStatus.SUCCESS
        async with CloudSender(shared) as sender:  # the transport opens a new connection when it is needed again
            await sender.send("dev-1", "x")


async def test_a_lost_connection_ends_the_iteration_with_an_error(hub: LocalHub) -> None:
    with anyio.fail_after(5):
        async with stream(hub) as feedback:
            await hub.disconnect_all()
            with pytest.raises(ConnectionLostError):
                await anext(feedback)


async def test_closing_ends_the_iteration_of_another_task_in_order(hub: LocalHub) -> None:
    async def iterate() -> None:
        async for _ in feedback:
            pass

    feedback = stream(hub)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, feedback:
            tasks.start_soon(iterate)
            await anyio.wait_all_tasks_blocked()
    with pytest.raises(ClosedError):
        await anext(stream(hub))
