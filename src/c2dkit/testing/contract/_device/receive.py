"""Proves ``_requirements/receive.py``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import Ack, C2dError, DeviceReceiver, FeedbackStatus, PayloadError, Settlement
from c2dkit._models import Message
from c2dkit._rules.validation import message_size
from c2dkit._wire.amqp import device_address
from c2dkit.testing.contract._bench import ONCE, complete, until
from c2dkit.testing.contract._mark import requirement
from c2dkit.testing.contract._samples import BODIES, CONTENT, IDS, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from c2dkit import ReceivedMessage
    from c2dkit.testing.contract._bench import Device, Fields

__all__ = ["TestReceive"]

LARGEST = 65_536


@dataclass
class Reboot:
    delay_s: int


async def receive(device: Device, body: bytes = b"x", **fields: Unpack[Fields]) -> ReceivedMessage[object]:
    """Send one message past any back end and return it as the device gets it."""
    device.send(body, **fields)
    async with device.receiver() as messages:
        return await anext(messages)


@pytest.mark.anyio
class TestReceive:
    @requirement("receive:body")
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    async def test_body(self, device: Device, body: bytes) -> None:
        assert (await receive(device, body)).body == body

    @requirement("receive:largest")
    async def test_largest(self, device: Device) -> None:
        empty = Message(b"", message_id="id", to=device_address("dev-1"), ack=Ack.NONE)
        body = bytes(LARGEST - message_size(empty))
        device.hub.send(empty._replace(body=body))
        async with device.receiver() as messages:
            assert (await anext(messages)).body == body

    @requirement("receive:system-properties")
    async def test_system_properties(self, device: Device) -> None:
        expires_at = device.hub.now().replace(microsecond=0) + timedelta(minutes=10)
        message = await receive(
            device,
            message_id="My Message ID",
            correlation_id="c-1",
            user_id="me",
            expires_at=expires_at,
            content_type="application/json",
            content_encoding="utf-8",
        )
        assert message.message_id == "My Message ID"
        assert message.correlation_id == "c-1"
        assert message.user_id == "me"
        assert message.expires_at == expires_at
        assert message.content_type == "application/json"
        assert message.content_encoding == "utf-8"

    @requirement("receive:to")
    async def test_to(self, device: Device) -> None:
        assert (await receive(device)).to == device_address("dev-1")

    @requirement("receive:absent")
    async def test_absent(self, device: Device) -> None:
        message = await receive(device, message_id=None, expires_at=None, ack=None)
        assert (message.message_id, message.correlation_id, message.user_id, message.expires_at) == (None,) * 4
        assert (message.content_type, message.content_encoding, message.ack) == (None,) * 3
        assert dict(message.properties) == {}

    @requirement("receive:ack")
    @pytest.mark.parametrize("ack", Ack)
    async def test_ack(self, device: Device, ack: Ack) -> None:
        assert (await receive(device, ack=ack)).ack is ack

    @requirement("receive:ids")
    @pytest.mark.parametrize("name", IDS.values(), ids=IDS)
    async def test_ids(self, device: Device, name: str) -> None:
        message = await receive(device, message_id=name, correlation_id=name, user_id=name)
        assert (message.message_id, message.correlation_id, message.user_id) == (name,) * 3

    @requirement("receive:content")
    @pytest.mark.parametrize(("content_type", "content_encoding"), CONTENT.values(), ids=CONTENT)
    async def test_content(self, device: Device, content_type: str | None, content_encoding: str | None) -> None:
        message = await receive(device, content_type=content_type, content_encoding=content_encoding)
        assert (message.content_type, message.content_encoding) == (content_type, content_encoding)

    @requirement("receive:properties")
    @pytest.mark.parametrize("properties", PROPERTIES.values(), ids=PROPERTIES)
    async def test_properties(self, device: Device, properties: Mapping[str, str]) -> None:
        assert dict((await receive(device, properties=properties)).properties) == properties

    @requirement("receive:valueless")
    async def test_valueless(self, device: Device) -> None:
        message = await receive(device, properties={"flag": None, "empty": ""})
        assert dict(message.properties) == {"flag": None, "empty": ""}

    @requirement("receive:valueless-is-empty")
    async def test_valueless_is_empty(self, device: Device) -> None:
        message = await receive(device, properties={"flag": None, "empty": ""})
        assert dict(message.properties) == {"flag": "", "empty": ""}

    @requirement("receive:hub-properties")
    async def test_hub_properties(self, device: Device) -> None:
        device.send()
        (queued,) = device.hub.queue("dev-1")
        assert queued.enqueued_at is not None
        async with device.receiver() as messages:
            message = await anext(messages)
        assert message.sequence_number == queued.sequence_number
        assert message.delivery_count == 0
        assert message.lock_token is not None
        assert message.enqueued_at is not None
        assert abs(message.enqueued_at - queued.enqueued_at) < timedelta(seconds=1)

    @requirement("receive:no-hub-properties")
    async def test_no_hub_properties(self, device: Device) -> None:
        message = await receive(device)
        assert (message.sequence_number, message.delivery_count, message.lock_token) == (None,) * 3
        assert message.enqueued_at is None

    @requirement("receive:order")
    async def test_order(self, device: Device) -> None:
        bodies = [f"{number}".encode() for number in range(40)]
        for body in bodies:
            device.send(body)
        received: list[bytes] = []
        async with device.receiver(prefetch=3) as messages:
            async for message in messages:
                received.append(message.body)
                await complete(device, message)
                if len(received) == len(bodies):
                    break
        assert received == bodies

    @requirement("receive:own")
    async def test_own(self, device: Device) -> None:
        async with device.receiver("dev-1") as one, device.receiver("dev-2") as two:
            device.send(b"two", device_id="dev-2")
            device.send(b"one", device_id="dev-1")
            assert (await anext(one)).body == b"one"
            assert (await anext(two)).body == b"two"

    @requirement("receive:queued")
    async def test_queued(self, device: Device) -> None:
        sent = [device.send() for _ in range(3)]
        async with device.receiver() as messages:
            assert [(await anext(messages)).message_id for _ in sent] == sent

    @requirement("receive:prefetch")
    async def test_prefetch(self, device: Device) -> None:
        sent = [device.send() for _ in range(20)]
        async with device.receiver(prefetch=4) as messages:
            first = await anext(messages)
            # One is in the application's hands; the hub may have given out as many more as `prefetch` says.
            assert 1 <= device.hub.held("dev-1") <= 1 + 4
            await complete(device, first)
            for _ in sent[1:]:
                assert device.hub.held("dev-1") <= 1 + 4
                await complete(device, await anext(messages))
            await until(lambda: not device.waiting())

    @requirement("receive:shared")
    async def test_shared(self, device: Device) -> None:
        sent = [device.send() for _ in range(30)]
        received: list[str | None] = []

        async def work() -> None:
            async for message in messages:
                received.append(message.message_id)
                await complete(device, message)

        async with device.receiver() as messages, anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(work)
            await until(lambda: not device.waiting() and len(received) == len(sent))
            tasks.cancel_scope.cancel()
        assert sorted(received, key=str) == sorted(sent)

    @requirement("receive:two-receivers")
    async def test_two_receivers(self, device: Device) -> None:
        sent = [device.send() for _ in range(10)]
        received: list[str | None] = []

        async def iterate(messages: DeviceReceiver[object]) -> None:
            try:
                async for message in messages:
                    received.append(message.message_id)
                    await complete(device, message)
            except C2dError:
                return  # the other one has taken over

        async with device.receiver() as one, device.receiver() as two, anyio.create_task_group() as tasks:
            tasks.start_soon(iterate, one)
            tasks.start_soon(iterate, two)
            await until(lambda: len(device.hub.outcomes()) == len(sent) and set(received) == set(sent))
            tasks.cancel_scope.cancel()
        assert set(device.hub.outcomes().values()) == {FeedbackStatus.SUCCESS}

    @requirement("receive:payload-type", "settle:unreadable")
    async def test_payload_type(self, device: Device) -> None:
        device.send(b'{"delay_s": 5}', content_type="application/json", content_encoding="utf-8")
        bad_id = device.send(b"not a Reboot", content_type="text/plain", content_encoding="utf-8")
        async with DeviceReceiver(device.transport(), payload_type=Reboot, retry=ONCE) as messages:
            good, bad = await anext(messages), await anext(messages)
            assert good.payload == Reboot(delay_s=5)
            with pytest.raises(PayloadError) as caught:
                _ = bad.payload
            assert caught.value.body == bad.body == b"not a Reboot"
            if Settlement.COMPLETE in device.settlements:
                await good.complete()
                await bad.complete()
            await device.ended(bad_id, FeedbackStatus.SUCCESS)

    @requirement("receive:default-payload")
    @pytest.mark.parametrize(
        ("body", "content_type", "payload"),
        [
            (b'{"a":[1,null]}', "application/json", {"a": [1, None]}),
            (b"text", "text/plain", "text"),
            (b"bytes", "application/octet-stream", b"bytes"),
            (b"bytes", None, b"bytes"),
        ],
    )
    async def test_default_payload(
        self, device: Device, body: bytes, content_type: str | None, payload: object
    ) -> None:
        message = await receive(device, body, content_type=content_type)
        assert message.payload == payload
