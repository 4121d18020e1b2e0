"""The official SDKs' own fault commands: each device cuts what is its own, and comes back by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import CloudSender

from .conftest import node, node_environment, python, running

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub

    from .conftest import Program


def environment(hub: LocalHub) -> dict[str, str]:
    return {
        "DEVICE_CONNECTION_STRING": hub.device_connection_string("dev-1"),
        "CA_FILE": str(hub.ca_file),
        "NODE_EXTRA_CA_CERTS": str(hub.ca_file),
    }


async def send(hub: LocalHub, text: str) -> None:
    trust = hub.ssl_context()
    with anyio.fail_after(20):
        async with CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust) as sender:
            await sender.send("dev-1", text)


async def receives(hub: LocalHub, device: Program, text: str) -> None:
    await send(hub, text)
    assert await device.line("received") == f"received {text}"


async def test_the_python_sdk_over_mqtt(standard_hub: LocalHub) -> None:
    async with running(python("sdk/faulty_device.py"), environment(standard_hub)) as device:
        await device.line("connected")
        await receives(standard_hub, device, "before")
        await device.tell("KillTcp")
        await device.line("disconnected")
        await device.line("connected")
        await receives(standard_hub, device, "after")


@pytest.mark.parametrize(
    ("transport", "operation"),
    [
        ("azure-iot-device-amqp", "KillAmqpC2DLink"),
        ("azure-iot-device-amqp", "KillAmqpSession"),
        ("azure-iot-device-amqp", "KillTcp"),
        ("azure-iot-device-mqtt", "KillTcp"),
        ("azure-iot-device-mqtt", "ShutDownMqtt"),
    ],
)
async def test_the_node_sdk(standard_hub: LocalHub, transport: str, operation: str) -> None:
    told = {**environment(standard_hub), **node_environment(), "DEVICE_TRANSPORT": transport}
    async with running(node("sdk/faulty_device.js"), told) as device:
        await device.line("connected")
        await receives(standard_hub, device, "before")
        core = standard_hub._core
        assert core is not None
        await device.tell(f"{operation} 60")
        await device.line("sent")
        (fault,) = core.faults._all
        standard_hub.clock.advance(timedelta(minutes=1))
        assert (fault.is_over, fault.count) == (True, 1)
        await receives(standard_hub, device, "after")


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("InvokeThrottling", "ThrottlingError"),
        ("InvokeMaxMessageQuota", "IotHubQuotaExceededError"),
        ("InvokeAuthError", "UnauthorizedError"),
    ],
)
async def test_the_node_sdk_is_refused(standard_hub: LocalHub, operation: str, error: str) -> None:
    told = {**environment(standard_hub), **node_environment(), "DEVICE_TRANSPORT": "azure-iot-device-amqp"}
    told["NO_RETRY"] = "1"  # else the SDK sends again until the time is over
    async with running(node("sdk/faulty_device.js"), told) as device:
        await device.line("connected")
        await device.tell(f"{operation} 0")
        await device.line("sent")
        await device.tell("nothing 0")
        assert await device.line("refused") == f"refused {error}"
