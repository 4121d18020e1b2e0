from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import BaseModel

from c2dkit import (
    Ack,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    DeviceReceiver,
    InvalidInputError,
    LinkError,
    MessageLockLostError,
    PayloadError,
    TransportUnavailableError,
    UnauthorizedError,
)

from .conftest import receiver

if TYPE_CHECKING:
    from c2dkit import CloudSender
    from c2dkit.hub import LocalHub


class Reboot(BaseModel):
    delay_s: int


async def test_every_property_arrives_as_it_was_sent(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    properties = {"plain": "x", "awkward &=/#+% key": "awkward &=/#+% välue", "empty": ""}
    async with receiver(hub, transport) as messages:
        await sender.send(
            "dev-1",
            b"\x00\xff binary",
            ack="full",
            message_id="My Message ID",
            correlation_id="c-1",
            user_id="me",
            expires_at=expires_at,
            content_type="application/x-thing",
            content_encoding="x-raw",
            properties=properties,
        )
        with anyio.fail_after(5):
            message = await anext(messages)
        assert message.body == b"\x00\xff binary"
        assert message.payload == b"\x00\xff binary"
        assert message.message_id == "My Message ID"
        assert message.correlation_id == "c-1"
        assert message.user_id == "me"
        assert message.to == "/devices/dev-1/messages/deviceBound"
        assert message.expires_at == expires_at
        assert message.content_type == "application/x-thing"
        assert message.content_encoding == "x-raw"
        assert message.ack is Ack.FULL
        assert dict(message.properties) == properties
        await message.complete()


async def test_what_the_hub_adds_arrives_where_the_wire_carries_it(hub: LocalHub, sender: CloudSender) -> None:
    async with receiver(hub, "amqp") as messages:
        await sender.send("dev-1", "first")
        with anyio.fail_after(5):
            message = await anext(messages)
        assert message.sequence_number is not None
        assert message.delivery_count == 0
        assert message.lock_token is not None
        assert message.enqueued_at is not None
        assert abs(message.enqueued_at - datetime.now(UTC)) < timedelta(minutes=1)
    async with receiver(hub, "mqtt") as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
        assert (message.sequence_number, message.delivery_count, message.lock_token, message.enqueued_at) == (None,) * 4


async def test_messages_arrive_in_the_order_of_the_sends(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    bodies = [f"{number}".encode() for number in range(40)]
    for body in bodies:
        await sender.send("dev-1", body)
    received: list[bytes] = []
    async with receiver(hub, transport, prefetch=3) as messages:
        with anyio.fail_after(5):
            async for message in messages:
                received.append(message.body)
                await message.complete()
                if len(received) == len(bodies):
                    break
    assert received == bodies
    assert hub.queue_depth("dev-1") == 0


async def test_a_device_gets_its_own_messages_only(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    async with receiver(hub, transport, "dev-1") as one, receiver(hub, transport, "dev-2") as two:
        await sender.send("dev-2", "two")
        await sender.send("dev-1", "one")
        with anyio.fail_after(5):
            assert (await anext(one)).payload == "one"
            assert (await anext(two)).payload == "two"


async def test_payload_type_says_what_the_payload_is(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    messages = DeviceReceiver.from_connection_string(
        hub.device_connection_string("dev-1"),
        transport=transport,
        payload_type=Reboot,
        ssl_context=hub.ssl_context(),
    )
    async with messages:
        await sender.send("dev-1", Reboot(delay_s=5))
        await sender.send("dev-1", "not a Reboot")
        with anyio.fail_after(5):
            good, bad = await anext(messages), await anext(messages)
        assert good.payload == Reboot(delay_s=5)
        with pytest.raises(PayloadError) as caught:
            _ = bad.payload
        assert caught.value.body == bad.body == b"not a Reboot"
        await good.complete()
        await bad.complete()
    assert hub.queue_depth("dev-1") == 0


async def test_without_payload_type_the_content_type_decides(
    hub: LocalHub, sender: CloudSender, transport: str
) -> None:
    async with receiver(hub, transport) as messages:
        for payload in ({"a": [1, None]}, "text", b"bytes"):
            await sender.send("dev-1", payload)
            with anyio.fail_after(5):
                message = await anext(messages)
            assert message.payload == payload
            await message.complete()


async def test_several_tasks_share_a_receiver(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    received: list[str] = []

    async def work() -> None:
        async for message in messages:
            received.append(str(message.payload))
            await message.complete()

    async with receiver(hub, transport) as messages, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(work)
        for number in range(30):
            await sender.send("dev-1", f"{number:02}")
        with anyio.fail_after(5):
            while hub.queue_depth("dev-1"):
                await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert sorted(received) == [f"{number:02}" for number in range(30)]


async def test_a_cancelled_wait_loses_no_message(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    async with receiver(hub, transport) as messages:
        with anyio.move_on_after(0):
            await anext(messages)
        await sender.send("dev-1", "still there")
        with anyio.fail_after(5):
            assert (await anext(messages)).payload == "still there"


async def test_closing_ends_the_iteration_of_another_task_in_order(hub: LocalHub, transport: str) -> None:
    ended = anyio.Event()

    async def iterate() -> None:
        async for _ in messages:
            pass
        ended.set()

    with anyio.fail_after(5):
        messages = receiver(hub, transport)
        async with anyio.create_task_group() as tasks:
            async with messages:
                tasks.start_soon(iterate)
                await anyio.wait_all_tasks_blocked()
            await ended.wait()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)


async def test_a_lost_connection_ends_the_iteration_with_an_error(hub: LocalHub, transport: str) -> None:
    with anyio.fail_after(5):
        async with receiver(hub, transport) as messages:
            await hub.disconnect_all()
            with pytest.raises(ConnectionLostError) as caught:
                await anext(messages)
    assert caught.value.transient


async def test_a_lost_connection_does_not_disturb_the_body(hub: LocalHub, sender: CloudSender, transport: str) -> None:
    await sender.send("dev-1", "held")
    async with receiver(hub, transport) as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
            await hub.disconnect_all()
            with pytest.raises(LinkError):
                await anext(messages)
            with pytest.raises(MessageLockLostError):
                await message.complete()
            with pytest.raises(MessageLockLostError):
                await message.complete()
    assert hub.queue_depth("dev-1") == 1


async def test_the_users_own_exception_comes_out_as_it_is(hub: LocalHub, transport: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with receiver(hub, transport):
            _ = 1 / 0


async def test_a_new_receiver_takes_over_and_the_old_one_ends(
    hub: LocalHub, sender: CloudSender, transport: str
) -> None:
    async with receiver(hub, transport) as old, receiver(hub, transport) as new:
        with anyio.fail_after(5):
            with pytest.raises(LinkError):
                await anext(old)
            await sender.send("dev-1", "for the new one")
            assert (await anext(new)).payload == "for the new one"


async def test_a_wrong_key_is_refused(hub: LocalHub, transport: str) -> None:
    one, two = hub.device_connection_string("dev-1"), hub.device_connection_string("dev-2")
    forged = one.partition("SharedAccessKey=")[0] + "SharedAccessKey=" + two.partition("SharedAccessKey=")[2]
    messages = DeviceReceiver.from_connection_string(forged, transport=transport, ssl_context=hub.ssl_context())
    with anyio.fail_after(5), pytest.raises(UnauthorizedError) as caught:
        await messages.__aenter__()
    assert not caught.value.transient
    assert two.partition("SharedAccessKey=")[2] not in str(caught.value)


async def test_a_hub_that_is_not_trusted_is_refused(hub: LocalHub, transport: str) -> None:
    messages = DeviceReceiver.from_connection_string(hub.device_connection_string("dev-1"), transport=transport)
    with anyio.fail_after(5), pytest.raises(ConnectError, match="SSL_CERT_FILE") as caught:
        await messages.__aenter__()
    assert not caught.value.transient


async def test_nobody_listens(transport: str) -> None:
    messages = DeviceReceiver.from_connection_string(
        "HostName=localhost:1;DeviceId=dev-1;SharedAccessKey=c2VjcmV0", transport=transport
    )
    with anyio.fail_after(5), pytest.raises(ConnectError) as caught:
        await messages.__aenter__()
    assert caught.value.transient


async def test_misuse_is_told_at_once(hub: LocalHub, transport: str) -> None:
    messages = receiver(hub, transport)
    with pytest.raises(ClosedError, match="async with"):
        await anext(messages)
    with pytest.raises(InvalidInputError, match="prefetch"):
        receiver(hub, transport, prefetch=0)
    with pytest.raises(TransportUnavailableError, match="carrier-pigeon"):
        receiver(hub, "carrier-pigeon")
    async with messages:
        with pytest.raises(ClosedError, match="once"):
            await messages.__aenter__()
