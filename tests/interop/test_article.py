"""The article's two Node programs, and Microsoft's Python SDKs, against `c2dkit hub` and c2dkit's own clients."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import CloudSender, DeviceReceiver, FeedbackStatus, FeedbackStream

from .conftest import OfficialHub, Program, node, node_environment, python, running

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from c2dkit import FeedbackRecord

MESSAGE_ID = "My Message ID"
BODY = "Cloud to device message."
NODE_TRANSPORTS = ["azure-iot-device-mqtt", "azure-iot-device-amqp"]


def node_device(hub: OfficialHub, transport: str) -> AbstractAsyncContextManager[Program]:
    environment = {**hub.environment, **node_environment(), "DEVICE_TRANSPORT": transport}
    return running(node("article/simulated_device.js"), environment)


def node_back_end(hub: OfficialHub) -> AbstractAsyncContextManager[Program]:
    return running(node("article/send_c2d_message.js"), {**hub.environment, **node_environment()})


def trust(hub: OfficialHub) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=hub.ca_file)


async def feedback_for_node(back_end: Program) -> dict[str, str]:
    await back_end.line("Feedback message:")
    (record,) = json.loads(await back_end.line("["))
    assert isinstance(record, dict)
    return record


async def send_with_c2dkit(hub: OfficialHub) -> FeedbackRecord:
    async with (
        CloudSender.from_connection_string(hub.service, ssl_context=trust(hub)) as sender,
        FeedbackStream.from_connection_string(hub.service, ssl_context=trust(hub)) as feedback,
    ):
        await sender.send("dev-1", BODY, ack="full", message_id=MESSAGE_ID, properties={"colour": "red"})
        with anyio.fail_after(30):
            return await anext(feedback)


async def receive_with_c2dkit(hub: OfficialHub, transport: str) -> dict[str, object]:
    receiver = DeviceReceiver.from_connection_string(hub.device, transport=transport, ssl_context=trust(hub))
    with anyio.fail_after(30):
        async with receiver:
            message = await anext(receiver)
            await message.complete()
    return {
        "id": message.message_id,
        "correlation id": message.correlation_id,
        "content": (message.content_type, message.content_encoding),
        "body": message.body.decode(),
        "properties": dict(message.properties),
    }


@pytest.mark.parametrize("transport", NODE_TRANSPORTS)
async def test_node_to_node(official_hub: OfficialHub, transport: str) -> None:
    async with node_device(official_hub, transport) as device:
        await device.line("Client connected")
        async with node_back_end(official_hub) as back_end:
            assert await back_end.line("send status") == "send status: MessageEnqueued"
            assert await device.line("Id:") == f"Id: {MESSAGE_ID} Body: {BODY}"
            await device.line("complete sent")
            record = await feedback_for_node(back_end)
    assert (record["originalMessageId"], record["deviceId"]) == (MESSAGE_ID, "dev-1")
    assert (record["statusCode"], record["description"]) == ("Success", "Success")


@pytest.mark.parametrize("transport", ["amqp", "mqtt"])
async def test_node_back_end_to_c2dkit_device(official_hub: OfficialHub, transport: str) -> None:
    async with node_back_end(official_hub) as back_end:
        await back_end.line("send status: MessageEnqueued")
        received = await receive_with_c2dkit(official_hub, transport)
        assert (received["id"], received["body"]) == (MESSAGE_ID, BODY)
        record = await feedback_for_node(back_end)
    assert record["statusCode"] == "Success"


@pytest.mark.parametrize("transport", NODE_TRANSPORTS)
async def test_c2dkit_back_end_to_node_device(official_hub: OfficialHub, transport: str) -> None:
    async with node_device(official_hub, transport) as device:
        await device.line("Client connected")
        record = await send_with_c2dkit(official_hub)
        assert await device.line("Id:") == f"Id: {MESSAGE_ID} Body: {BODY}"
    assert (record.original_message_id, record.status) == (MESSAGE_ID, FeedbackStatus.SUCCESS)


async def test_c2dkit_back_end_to_azure_iot_device(official_hub: OfficialHub) -> None:
    async with running(python("sdk/device.py"), official_hub.environment) as device:
        await device.line("Client connected")
        record = await send_with_c2dkit(official_hub)
        assert await device.line("Id:") == f"Id: {MESSAGE_ID} Body: {BODY}"
        assert await device.line("Properties:") == "Properties: {'colour': 'red'}"
    assert (record.original_message_id, record.status) == (MESSAGE_ID, FeedbackStatus.SUCCESS)


@pytest.mark.parametrize("transport", ["amqp", "mqtt"])
async def test_azure_iot_hub_to_c2dkit_device(official_hub: OfficialHub, transport: str) -> None:
    async with (
        FeedbackStream.from_connection_string(official_hub.service, ssl_context=trust(official_hub)) as feedback,
        running(python("sdk/back_end.py"), official_hub.environment) as back_end,
    ):
        await back_end.line("sent")
        received = await receive_with_c2dkit(official_hub, transport)
        with anyio.fail_after(30):
            record = await anext(feedback)
    assert received == {
        "id": MESSAGE_ID,
        "correlation id": "c-1",
        "content": ("text/plain", "utf-8"),
        "body": BODY,
        "properties": {"colour": "red"},
    }
    assert (record.original_message_id, record.status) == (MESSAGE_ID, FeedbackStatus.SUCCESS)


async def test_azure_iot_hub_to_azure_iot_device(official_hub: OfficialHub) -> None:
    async with running(python("sdk/device.py"), official_hub.environment) as device:
        await device.line("Client connected")
        async with running(python("sdk/back_end.py"), official_hub.environment) as back_end:
            await back_end.line("sent")
        assert await device.line("Id:") == f"Id: {MESSAGE_ID} Body: {BODY}"
