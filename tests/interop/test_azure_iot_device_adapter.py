"""The transport `azure-iot-device` on real clients of that package, synchronous and asynchronous, against the hub."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread
from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, ProvisioningDeviceClient, exceptions
from azure.iot.device.aio import IoTHubDeviceClient as AioClient
from azure.iot.device.iothub.pipeline import exceptions as pipeline_exceptions

from c2dkit import (
    C2dError,
    CloudSender,
    ConnectError,
    ConnectionLostError,
    DeviceReceiver,
    FeedbackStatus,
    FeedbackStream,
    InvalidInputError,
    RetryPolicy,
    UnauthorizedError,
    UnsupportedSettlementError,
)
from c2dkit.transports._azure_iot_device import AzureIotDeviceTransport
from c2dkit.transports._azure_iot_device_errors import ERRORS, error_from_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from c2dkit.hub import LocalHub
    from c2dkit.transports._ports import DeviceTransport

# What that package does when a client is made, and what paho-mqtt 1.6.1 does when a connection ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*socket.socket fd:pytest.PytestUnraisableExceptionWarning"),
]

Client = Any  # of a package without types for this project's checks
CLIENTS = [IoTHubDeviceClient, AioClient]

ONCE = RetryPolicy.none()  # what a transport does by itself shows only where nothing is tried again


async def call(function: Callable[[], object]) -> None:
    pending = await to_thread.run_sync(function)
    if inspect.isawaitable(pending):
        await pending


@asynccontextmanager
async def shut_down_after(client: Client) -> AsyncIterator[Client]:
    try:
        yield client
    finally:
        await call(client.shutdown)


@pytest.fixture(params=CLIENTS, ids=["sync", "aio"])
async def client(request: pytest.FixtureRequest, standard_hub: LocalHub) -> AsyncIterator[Client]:
    made = request.param.create_from_connection_string(
        standard_hub.device_connection_string("dev-1"),
        server_verification_cert=standard_hub.ca_file.read_text("utf-8"),
        connection_retry_interval=1,
    )
    async with shut_down_after(made):
        yield made


@pytest.fixture
async def sender(standard_hub: LocalHub) -> AsyncIterator[CloudSender]:
    async with CloudSender.from_connection_string(
        standard_hub.service_connection_string, ssl_context=standard_hub.ssl_context()
    ) as opened:
        yield opened


async def bodies(receiver: DeviceReceiver[Any], count: int) -> list[str]:
    with anyio.fail_after(20):
        return [(await anext(receiver)).body.decode() for _ in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - what that client's threads do has no event here
            await anyio.sleep(0.02)


def test_it_is_a_device_transport() -> None:
    made = IoTHubDeviceClient.create_from_symmetric_key("AAAA", "127.0.0.77", "dev-1")
    transport: DeviceTransport = AzureIotDeviceTransport(made)
    assert (transport.name, transport.settlements) == ("azure-iot-device", frozenset())


def test_only_a_device_client_is_taken() -> None:
    module = IoTHubModuleClient.create_from_connection_string(
        "HostName=127.0.0.77;DeviceId=dev-1;ModuleId=m;SharedAccessKey=AAAA"
    )
    for wrong in (module, "HostName=127.0.0.77", None, IoTHubDeviceClient):
        with pytest.raises(InvalidInputError, match="no IoTHubDeviceClient"):
            AzureIotDeviceTransport(wrong)


async def test_every_property_arrives(client: Client, sender: CloudSender) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    properties = {"colour": "red", "a&b=c/d": "#+% \U0001f600", "empty": ""}
    async with DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as receiver:
        await sender.send(
            "dev-1",
            {"on": True},
            message_id="m-1",
            correlation_id="c-1",
            user_id="u-1",
            ack="full",
            expires_at=expires_at,
            properties=properties,
        )
        with anyio.fail_after(20):
            message = await anext(receiver)
    assert (message.payload, message.body) == ({"on": True}, b'{"on":true}')
    assert (message.message_id, message.correlation_id, message.user_id) == ("m-1", "c-1", "u-1")
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert (message.ack, message.expires_at) == ("full", expires_at)
    assert dict(message.properties) == properties
    assert (message.to, message.lock_token, message.sequence_number) == (None, None, None)


async def test_messages_keep_their_order(client: Client, sender: CloudSender) -> None:
    for number in range(50):
        await sender.send("dev-1", str(number))
    async with DeviceReceiver(AzureIotDeviceTransport(client), prefetch=5, retry=ONCE) as receiver:
        assert await bodies(receiver, 50) == [str(number) for number in range(50)]


async def test_what_was_delivered_is_acknowledged_and_cannot_be_settled(
    client: Client, sender: CloudSender, standard_hub: LocalHub
) -> None:
    async with (
        FeedbackStream.from_connection_string(
            standard_hub.service_connection_string, ssl_context=standard_hub.ssl_context()
        ) as feedback,
        DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as receiver,
    ):
        await sender.send("dev-1", b"x", ack="full", message_id="m-1")
        with anyio.fail_after(20):
            message = await anext(receiver)
            record = await anext(feedback)
        for settle in (message.complete, message.abandon, message.reject):
            with pytest.raises(UnsupportedSettlementError, match="azure-iot-device cannot"):
                await settle()
    assert (record.original_message_id, record.status) == ("m-1", FeedbackStatus.SUCCESS)
    assert standard_hub.queue_depth("dev-1") == 0


async def test_what_a_slow_application_has_not_read_stays_at_the_hub(
    client: Client, sender: CloudSender, standard_hub: LocalHub
) -> None:
    transport = AzureIotDeviceTransport(client)
    async with DeviceReceiver(transport, prefetch=2, retry=ONCE) as receiver:
        for number in range(2):
            await sender.send("dev-1", str(number))
        await until(lambda: not client._mqtt_pipeline.feature_enabled["c2d"])
        for number in range(2, 42):
            await sender.send("dev-1", str(number))
        assert (len(transport._unread), standard_hub.queue_depth("dev-1")) == (2, 40)
        assert await bodies(receiver, 42) == [str(number) for number in range(42)]


async def test_disconnecting_with_unread_messages_loses_nothing(client: Client, sender: CloudSender) -> None:
    transport = AzureIotDeviceTransport(client)
    async with DeviceReceiver(transport, prefetch=1, retry=ONCE) as receiver:
        for number in range(20):
            await sender.send("dev-1", str(number))
        await until(lambda: len(transport._unread) > 0)
        with anyio.fail_after(20):
            # In the loop, as an application with the asynchronous client does it: it must not need the loop to end.
            await client.disconnect() if isinstance(client, AioClient) else client.disconnect()
            await call(client.connect)
        seen: set[str] = set()
        while len(seen) < 20:  # what was not acknowledged when the connection ended comes a second time
            seen.update(await bodies(receiver, 1))


async def test_closing_ends_a_receive_and_restores_the_handlers(
    client: Client, sender: CloudSender, standard_hub: LocalHub
) -> None:
    seen: list[bytes] = []
    states: list[bool] = []
    client.on_background_exception = print
    client.on_connection_state_change = lambda: states.append(client.connected)
    old = lambda message: seen.append(message.data)  # noqa: E731 - compared by identity below
    await to_thread.run_sync(setattr, client, "on_message_received", old)
    handlers = (client.on_message_received, client.on_connection_state_change, client.on_background_exception)
    receiver = DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE)

    async def iterate() -> list[str]:
        return [message.body.decode() async for message in receiver]

    async with receiver:
        task = asyncio.create_task(iterate())
        await sender.send("dev-1", b"1")
        await until(lambda: states[-1:] == [True])
        await until(lambda: standard_hub.queue_depth("dev-1") == 0)  # else the reconnection may bring it again
        await client.disconnect() if isinstance(client, AioClient) else await to_thread.run_sync(client.disconnect)
        await until(lambda: states[-1:] == [False])  # what was replaced is still called
        await call(client.connect)
    with anyio.fail_after(20):
        assert await task == ["1"]
    assert (client.on_message_received, client.on_connection_state_change, client.on_background_exception) == handlers
    await sender.send("dev-1", b"2")
    await until(lambda: seen == [b"2"])


async def test_without_an_old_handler_closing_unsubscribes(
    client: Client, sender: CloudSender, standard_hub: LocalHub
) -> None:
    transport = AzureIotDeviceTransport(client)
    async with DeviceReceiver(transport, retry=ONCE):
        pass
    assert client.on_message_received is None
    assert client.connected
    await sender.send("dev-1", b"kept")
    assert standard_hub.queue_depth("dev-1") == 1
    async with DeviceReceiver(transport, retry=ONCE) as receiver:
        assert await bodies(receiver, 1) == ["kept"]


async def test_what_was_not_handed_over_waits_for_the_next_receiver(client: Client, sender: CloudSender) -> None:
    transport = AzureIotDeviceTransport(client)
    async with DeviceReceiver(transport, retry=ONCE) as receiver:
        for number in range(3):
            await sender.send("dev-1", str(number))
        assert await bodies(receiver, 1) == ["0"]
        await until(lambda: len(transport._unread) == 2)
    async with DeviceReceiver(transport, retry=ONCE) as receiver:
        await sender.send("dev-1", "3")
        assert await bodies(receiver, 3) == ["1", "2", "3"]


async def test_coroutine_handlers_that_were_replaced_are_called(standard_hub: LocalHub) -> None:
    client = AioClient.create_from_connection_string(
        standard_hub.device_connection_string("dev-1"),
        server_verification_cert=standard_hub.ca_file.read_text("utf-8"),
    )
    called = threading.Event()

    async def on_state() -> None:
        called.set()

    client.on_connection_state_change = on_state
    async with shut_down_after(client), DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE):
        assert await to_thread.run_sync(called.wait, 10)
    assert client.on_connection_state_change is on_state


async def test_receiving_goes_on_when_that_client_has_reconnected(
    client: Client, sender: CloudSender, standard_hub: LocalHub
) -> None:
    states: list[bool] = []
    client.on_connection_state_change = lambda: states.append(client.connected)
    async with DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as receiver:
        await sender.send("dev-1", b"1")
        assert await bodies(receiver, 1) == ["1"]
        await standard_hub.disconnect_all()
        await until(lambda: len(states) >= 3 and states[-1])
        async with CloudSender.from_connection_string(
            standard_hub.service_connection_string, ssl_context=standard_hub.ssl_context()
        ) as again:
            await again.send("dev-1", b"2")
        assert await bodies(receiver, 1) == ["2"]


async def test_a_client_without_a_connection_ends_the_receiver(client: Client) -> None:
    transport = AzureIotDeviceTransport(client, reconnect_within=timedelta(milliseconds=100))
    async with DeviceReceiver(transport, retry=ONCE) as receiver:
        await call(client.disconnect)
        with anyio.fail_after(20), pytest.raises(ConnectionLostError, match=r"without a connection for 0\.1 s"):
            await anext(receiver)
    assert not client.connected  # closing has not connected it to unsubscribe


async def test_a_receiver_after_a_disconnect_gets_everything(client: Client, sender: CloudSender) -> None:
    transport = AzureIotDeviceTransport(client, reconnect_within=timedelta(milliseconds=100))
    async with DeviceReceiver(transport, retry=ONCE) as receiver:
        await call(client.disconnect)
        with anyio.fail_after(20), pytest.raises(ConnectionLostError):
            await anext(receiver)
    await sender.send("dev-1", b"1")
    async with DeviceReceiver(transport, retry=ONCE) as receiver:
        await sender.send("dev-1", b"2")
        assert await bodies(receiver, 2) == ["1", "2"]
    assert client.on_message_received is None


async def test_a_client_that_gives_up_ends_the_receiver_at_once(client: Client, standard_hub: LocalHub) -> None:
    async with DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as receiver:
        standard_hub.disable_device("dev-1")
        await standard_hub.disconnect_all()
        with anyio.fail_after(20), pytest.raises(UnauthorizedError, match="lost its connection"):
            await anext(receiver)


async def test_a_client_that_was_shut_down_cannot_be_opened(client: Client, standard_hub: LocalHub) -> None:
    other = type(client).create_from_connection_string(
        standard_hub.device_connection_string("dev-2"),
        server_verification_cert=standard_hub.ca_file.read_text("utf-8"),
    )
    await call(other.shutdown)
    with pytest.raises(ConnectError, match=r"shut down|not running"):
        async with DeviceReceiver(AzureIotDeviceTransport(other), retry=ONCE):
            pytest.fail("it opened")


async def test_a_second_receiver_takes_over(client: Client, sender: CloudSender) -> None:
    async with (
        DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as first,
        DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as second,
    ):
        with anyio.fail_after(20), pytest.raises(ConnectionLostError, match="another receiver") as taken:
            await anext(first)
        assert taken.value.hub_code == 409002
        await sender.send("dev-1", b"1")
        assert await bodies(second, 1) == ["1"]


async def test_a_wrong_key_is_unauthorized(standard_hub: LocalHub) -> None:
    wrong = standard_hub.device_connection_string("dev-1").rpartition("=")[0].rpartition("=")[0] + "=AAAAAAAAAAA="
    for kind in CLIENTS:
        client = kind.create_from_connection_string(
            wrong, server_verification_cert=standard_hub.ca_file.read_text("utf-8")
        )
        async with shut_down_after(client):
            with pytest.raises(UnauthorizedError, match="azure-iot-device cannot connect") as refused:
                async with DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE):
                    pytest.fail("it opened")
            assert not refused.value.transient
            assert client.on_message_received is None


async def test_a_hub_that_is_not_there_is_a_connect_error() -> None:
    client = AioClient.create_from_symmetric_key("AAAA", "127.0.0.78", "dev-1")
    async with shut_down_after(client):
        with pytest.raises(ConnectError, match="cannot connect") as missed:
            async with DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE):
                pytest.fail("it opened")
        assert missed.value.transient


@pytest.mark.parametrize("kind", CLIENTS, ids=["sync", "aio"])
async def test_a_client_with_a_certificate(
    kind: Client, standard_hub: LocalHub, sender: CloudSender, tmp_path: Path
) -> None:
    standard_hub.add_device("dev-x", ca_signed=True)
    pem = tmp_path / "dev-x.pem"
    pem.write_bytes(standard_hub.issue_certificate("dev-x"))
    client = kind.create_from_x509_certificate(
        X509(str(pem), str(pem)),
        standard_hub.host,
        "dev-x",
        server_verification_cert=standard_hub.ca_file.read_text("utf-8"),
    )
    async with shut_down_after(client), DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as receiver:
        await sender.send("dev-x", b"1")
        assert await bodies(receiver, 1) == ["1"]


@pytest.mark.parametrize("kind", CLIENTS, ids=["sync", "aio"])
async def test_a_client_that_was_provisioned(kind: Client, standard_hub: LocalHub, sender: CloudSender) -> None:
    """The Device Provisioning Service assigns a hub and a device id; its documentation makes the client from them.

    `ProvisioningDeviceClient.register` answers with `assigned_hub` and `device_id`, and the application goes on with
    `create_from_symmetric_key(symmetric_key, hostname=assigned_hub, device_id=device_id)`, or the one for certificates.
    """
    assert callable(ProvisioningDeviceClient.create_from_symmetric_key)
    assigned = dict(part.split("=", 1) for part in standard_hub.device_connection_string("dev-2").split(";"))
    client = kind.create_from_symmetric_key(
        assigned["SharedAccessKey"],
        hostname=assigned["HostName"],
        device_id=assigned["DeviceId"],
        server_verification_cert=standard_hub.ca_file.read_text("utf-8"),
    )
    async with shut_down_after(client), DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE) as receiver:
        await sender.send("dev-2", b"1")
        assert await bodies(receiver, 1) == ["1"]


async def test_a_cancelled_open_leaves_the_client_as_it_was(client: Client) -> None:
    with anyio.move_on_after(0.001):
        async with DeviceReceiver(AzureIotDeviceTransport(client), retry=ONCE):
            pytest.fail("it opened")
    assert (client.on_connection_state_change, client.on_background_exception) == (None, None)


def exception_classes(module: object) -> list[type[Exception]]:
    return [found for _, found in inspect.getmembers(module, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("kind", [*exception_classes(exceptions), *exception_classes(pipeline_exceptions)])
def test_every_exception_of_that_package_is_in_the_table(kind: type[Exception]) -> None:
    bases = [base.__name__ for base in kind.__mro__ if base not in Exception.__mro__]
    assert any(name in ERRORS for name in bases)
    error = error_from_client(kind("why"), doing="connecting")
    assert isinstance(error, C2dError)
    assert str(error) == "connecting: why"
    assert type(error.__cause__) is kind
