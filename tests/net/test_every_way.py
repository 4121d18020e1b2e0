"""Whole transports over every way to a hub: TLS or a WebSocket, straight or through a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from c2dkit import (
    CloudSender,
    ConnectError,
    ConnectionLostError,
    ConnectionState,
    DeviceReceiver,
    FeedbackStatus,
    FeedbackStream,
    InvalidInputError,
    ServiceCredential,
    UnauthorizedError,
)
from c2dkit._models import Message
from c2dkit.transports import AmqpServiceTransport

from .conftest import ConnectProxy, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from c2dkit.hub import LocalHub

DEVICE_TRANSPORTS = ["amqp", "amqp-ws", "mqtt", "mqtt-ws"]
SERVICE_TRANSPORTS = ["amqp", "amqp-ws"]
PROXY = "http://me:p%40ss@127.0.0.1:{}"


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield


def device(hub: LocalHub, transport: str, proxy: str | None) -> DeviceReceiver[object]:
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string("dev-1"), transport=transport, ssl_context=hub.ssl_context(), proxy=proxy
    )


@pytest.mark.parametrize("through_proxy", [False, True])
@pytest.mark.parametrize("service", SERVICE_TRANSPORTS)
@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
async def test_a_message_its_settlement_and_its_feedback(
    hub: LocalHub, transport: str, service: str, *, through_proxy: bool
) -> None:
    servant = ConnectProxy("me:p@ss")
    string, trust = hub.service_connection_string, hub.ssl_context()
    async with serving(servant.serve) as peer:
        proxy = PROXY.format(peer.port) if through_proxy else None
        async with (
            device(hub, transport, proxy) as receiver,
            CloudSender.from_connection_string(string, transport=service, ssl_context=trust, proxy=proxy) as sender,
            FeedbackStream.from_connection_string(string, transport=service, ssl_context=trust, proxy=proxy) as stream,
        ):
            await sender.send("dev-1", bytes(65_000), ack="full", message_id="1")
            message = await anext(receiver)
            assert message.body == bytes(65_000)
            await message.complete()
            record = await anext(stream)
    assert (record.original_message_id, record.status) == ("1", FeedbackStatus.SUCCESS)
    assert servant.targets == [f"localhost:{hub.port}"] * (3 if through_proxy else 0)


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
async def test_a_proxy_that_refuses(hub: LocalHub, transport: str) -> None:
    servant = ConnectProxy("me:other")
    async with serving(servant.serve) as peer:
        with pytest.raises(ConnectError, match="HTTP 407"):
            await device(hub, transport, PROXY.format(peer.port)).__aenter__()
    assert (servant.refused, servant.targets, hub.connection_count) == (1, [], 0)


@pytest.mark.parametrize("transport", ["amqp-ws", "mqtt-ws"])
async def test_a_refused_credential_is_told_through_a_websocket(hub: LocalHub, transport: str) -> None:
    stolen = hub.device_connection_string("dev-2").replace("dev-2", "dev-1")
    receiver = DeviceReceiver.from_connection_string(stolen, transport=transport, ssl_context=hub.ssl_context())
    with pytest.raises(UnauthorizedError):
        await receiver.__aenter__()


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
@pytest.mark.parametrize("url", ["https://proxy:3128", "http://me:s3cret@proxy", "proxy:3128"])
async def test_what_is_no_proxy_is_refused_at_once(hub: LocalHub, transport: str, url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        device(hub, transport, url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("transport", SERVICE_TRANSPORTS)
@pytest.mark.parametrize("kind", [CloudSender, FeedbackStream])
async def test_so_it_is_for_a_back_end(hub: LocalHub, kind: type[CloudSender | FeedbackStream], transport: str) -> None:
    with pytest.raises(InvalidInputError):
        kind.from_connection_string(hub.service_connection_string, transport=transport, proxy="https://proxy:3128")


@pytest.mark.parametrize("transport", ["amqp-ws", "mqtt-ws"])
async def test_a_lost_connection_is_told_through_a_websocket(hub: LocalHub, transport: str) -> None:
    async with device(hub, transport, None) as receiver:
        await hub.disconnect_all()
        status = await receiver.connection.wait_for(ConnectionState.RETRYING)
    assert isinstance(status.cause, ConnectionLostError)


async def test_the_environment_names_no_proxy(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for transport in [*DEVICE_TRANSPORTS, "https"]:
        hub._state.send(Message(b"x", to="/devices/dev-1/messages/devicebound"))
        async with device(hub, transport, None) as receiver:
            await (await anext(receiver)).complete()


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
async def test_a_transport_says_its_name(hub: LocalHub, transport: str) -> None:
    assert device(hub, transport, None)._transport.name == transport


@pytest.mark.parametrize("transport", SERVICE_TRANSPORTS)
async def test_a_connection_that_its_last_user_closes_is_not_joined(hub: LocalHub, transport: str) -> None:
    credential = ServiceCredential.from_connection_string(hub.service_connection_string)
    shared = AmqpServiceTransport(credential, ssl_context=hub.ssl_context(), websocket=transport == "amqp-ws")
    for turns in range(6):
        async with anyio.create_task_group() as tasks:
            first = await CloudSender(shared).__aenter__()
            tasks.start_soon(first.__aexit__, None, None, None)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            async with CloudSender(shared) as second:
                await second.send("dev-1", "hello")
    assert hub.queue_depth("dev-1") == 6
