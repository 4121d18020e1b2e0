"""The transport ``azure-iot-hub`` against a local hub on the ports that the library dials."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import certifi
import msrest.exceptions
import pytest
import requests.exceptions
import uamqp.errors

from c2dkit import (
    C2dError,
    CloudSender,
    ConnectError,
    DeviceReceiver,
    EntraCredential,
    FeedbackStatus,
    FeedbackStream,
    InvalidInputError,
    InvalidMessageError,
    MessageLockLostError,
    RetryPolicy,
    ServiceCredential,
    ServiceError,
    Settlement,
    UnauthorizedError,
)
from c2dkit.hub import HubOptions, LocalHub, TokenIssuer
from c2dkit.transports import PollingInterval, ServiceOperation
from c2dkit.transports._azure_iot_hub import AzureIotHubServiceTransport
from c2dkit.transports._azure_iot_hub_errors import ERRORS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import ModuleType

ONCE = RetryPolicy.none()  # what a transport does by itself shows only where nothing is tried again

SECONDS = 30
SOON = PollingInterval.every(timedelta(milliseconds=10))
ISSUER = TokenIssuer.create()
ORIGINAL = certifi.where()
ORIGINAL_PEM = Path(ORIGINAL).read_bytes()


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[LocalHub]:
    options = HubOptions(feedback_interval=timedelta(0))
    async with LocalHub(
        host="127.0.0.76", amqp_port=5671, mqtt_port=8883, https_port=443, options=options, issuers=[ISSUER]
    ) as hub:
        # The library trusts what certifi and requests name.
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(ORIGINAL_PEM + hub.ca_file.read_bytes())
        monkeypatch.setattr(certifi, "where", lambda: str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        yield hub


def transport(connection_string: str) -> AzureIotHubServiceTransport:
    return AzureIotHubServiceTransport(ServiceCredential.from_connection_string(connection_string))


async def test_the_loop_closes_with_every_property(hub: LocalHub) -> None:
    shared = transport(hub.service_connection_string)
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    device = DeviceReceiver.from_connection_string(hub.device_connection_string("dev-1"), ssl_context=hub.ssl_context())
    with anyio.fail_after(SECONDS):
        async with CloudSender(shared, retry=ONCE) as sender, FeedbackStream(shared, retry=ONCE) as feedback, device:
            await sender.send(
                "dev-1",
                b"\x00\xff",
                message_id="My Message ID",
                correlation_id="c-1",
                ack="full",
                content_type="application/x-thing",
                content_encoding="x-raw",
                expires_at=expires_at,
                properties={"colour": "röd", "empty": ""},
            )
            message = await anext(device)
            assert (message.body, message.message_id, message.correlation_id) == (b"\x00\xff", "My Message ID", "c-1")
            assert (message.content_type, message.content_encoding) == ("application/x-thing", "x-raw")
            assert message.expires_at == expires_at
            assert dict(message.properties) == {"colour": "röd", "empty": ""}
            await message.complete()
            record = await anext(feedback)
    assert (record.original_message_id, record.status) == ("My Message ID", FeedbackStatus.SUCCESS)


async def test_a_batch_is_abandoned_comes_again_and_is_completed(hub: LocalHub) -> None:
    shared = transport(hub.service_connection_string)
    with anyio.fail_after(SECONDS):
        async with CloudSender(shared, retry=ONCE) as sender:
            await sender.send("dev-1", "x", ack="full", message_id="one")
            assert await sender.purge("dev-1") == 1
        first = await shared.open_feedback()
        await first.settle(await first.receive(), Settlement.ABANDON)
        again = await first.receive()
        await first.close()  # what is held is given back
        with pytest.raises(MessageLockLostError):
            await first.settle(again, Settlement.COMPLETE)
        second = await shared.open_feedback()
        batch = await second.receive()
        await second.settle(batch, Settlement.COMPLETE)
        await second.close()
    assert [record.status for record in batch.records] == [FeedbackStatus.PURGED]


async def test_queue_depth_needs_the_right_to_read_the_registry(hub: LocalHub) -> None:
    with anyio.fail_after(SECONDS):
        async with CloudSender(transport(hub.owner_connection_string), retry=ONCE) as sender:
            await sender.send("dev-1", "x")
            assert await sender.queue_depth("dev-1") == 1
        async with CloudSender(transport(hub.service_connection_string), retry=ONCE) as sender:
            with pytest.raises(UnauthorizedError):
                await sender.queue_depth("dev-1")


async def test_a_message_that_is_not_taken_is_an_error_and_the_next_one_is_sent(hub: LocalHub) -> None:
    with anyio.fail_after(SECONDS):
        async with CloudSender(transport(hub.service_connection_string), retry=ONCE) as sender:
            with pytest.raises(ServiceError, match="does not say why") as caught:
                await sender.send("nobody", "x")
            assert type(caught.value.__cause__) is Exception
            await sender.send("dev-1", "x")
    assert hub.queue_depth("dev-1") == 1


async def test_a_wrong_key_is_an_error_that_does_not_show_it(hub: LocalHub) -> None:
    start, _, key = hub.service_connection_string.partition("SharedAccessKey=")
    forged = key[::-1].lstrip("=") + "="
    wrong = transport(f"{start}SharedAccessKey={forged}")

    async def send() -> None:
        async with CloudSender(wrong, retry=ONCE):
            pytest.fail("it opened")

    async def receive() -> None:
        async with FeedbackStream(wrong, retry=ONCE) as feedback:
            await anext(feedback)

    for operation in (send, receive, partial(wrong.purge, "dev-1"), partial(wrong.queue_depth, "dev-1")):
        with anyio.fail_after(SECONDS), pytest.raises(UnauthorizedError) as caught:
            await operation()
        assert forged not in f"{caught.value!r} {caught.value}"


async def test_a_hub_that_is_not_trusted_or_not_there_is_a_connect_error(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(certifi, "where", lambda: ORIGINAL)
    here = transport(hub.service_connection_string)
    nowhere = transport(hub.service_connection_string.replace(hub.host, "127.0.0.79"))
    for each, text in ((here, "not trusted .* certifi"), (nowhere, "cannot connect")):
        with anyio.fail_after(SECONDS), pytest.raises(ConnectError, match=text):
            await each.open_sender()
        with anyio.fail_after(SECONDS), pytest.raises(ConnectError):
            await each.purge("dev-1")


async def test_a_lost_connection_ends_the_sender_and_not_the_transport(hub: LocalHub) -> None:
    shared = transport(hub.service_connection_string)
    with anyio.fail_after(SECONDS):
        async with CloudSender(shared, retry=ONCE) as sender:
            await sender.send("dev-1", "x")
            await hub.disconnect_all()
            with pytest.raises(C2dError) as lost:
                await sender.send("dev-1", "x")
            assert lost.value.transient
            with pytest.raises(C2dError) as still:
                await sender.send("dev-1", "x")
            assert still.value.transient
        async with CloudSender(shared, retry=ONCE) as again:
            await again.send("dev-1", "x")


async def test_a_cancelled_send_does_not_hold_up_the_caller(hub: LocalHub) -> None:
    with anyio.fail_after(SECONDS):
        async with CloudSender(transport(hub.service_connection_string), retry=ONCE) as sender:
            with anyio.move_on_after(0):
                await sender.send("dev-1", "cancelled before its turn")
            await sender.send("dev-1", "sent")
    assert hub.queue_depth("dev-1") in {1, 2}


async def test_closing_ends_a_receive_of_feedback(hub: LocalHub) -> None:
    stream = FeedbackStream(transport(hub.service_connection_string), retry=ONCE)

    async def iterate() -> int:
        return len([record async for record in stream])

    async with stream:
        task = asyncio.create_task(iterate())
        await asyncio.sleep(0)
    with anyio.fail_after(20):
        assert await task == 0


async def test_a_device_id_that_an_address_has_to_escape(hub: LocalHub) -> None:
    hub.add_device("a%20#?b")
    with anyio.fail_after(SECONDS):
        async with CloudSender(transport(hub.service_connection_string), retry=ONCE) as sender:
            await sender.send("a%20#?b", "x")
    assert hub.queue_depth("a%20#?b") == 1


async def test_a_back_end_signs_in_with_entra_id(hub: LocalHub) -> None:
    shared = AzureIotHubServiceTransport(
        EntraCredential(host_name=hub.host, token_credential=ISSUER.credential()), polling=SOON
    )
    with anyio.fail_after(SECONDS):
        async with CloudSender(shared, retry=ONCE) as sender, FeedbackStream(shared, retry=ONCE) as feedback:
            await sender.send("dev-1", "x", ack="full", message_id="one")
            assert await sender.queue_depth("dev-1") == 1
            assert await sender.purge("dev-1") == 1
            assert (await anext(feedback)).original_message_id == "one"
    stranger = EntraCredential(host_name=hub.host, token_credential=TokenIssuer.create("x").credential())
    with anyio.fail_after(SECONDS), pytest.raises(UnauthorizedError):
        await AzureIotHubServiceTransport(stranger).purge("dev-1")


async def test_sends_of_many_tasks_take_turns(hub: LocalHub) -> None:
    with anyio.fail_after(SECONDS):
        async with (
            CloudSender(transport(hub.service_connection_string), retry=ONCE) as sender,
            anyio.create_task_group() as tasks,
        ):
            for number in range(10):
                tasks.start_soon(sender.send, "dev-1", f"{number}")
    assert hub.queue_depth("dev-1") == 10


async def test_what_the_library_cannot_send_is_refused_before_any_byte(hub: LocalHub) -> None:
    async with CloudSender(transport(hub.service_connection_string), retry=ONCE) as sender:
        with pytest.raises(InvalidMessageError, match="user_id"):
            await sender.send("dev-1", "x", user_id="me")
        with pytest.raises(InvalidMessageError, match="messageId"):
            await sender.send("dev-1", "x", properties={"messageId": "surprise"})
    assert hub.queue_depth("dev-1") == 0


def test_what_the_library_cannot_do_is_said_at_once() -> None:
    credential = ServiceCredential(host_name="hub.example.net", shared_access_key_name="s", shared_access_key="AQ==")
    assert AzureIotHubServiceTransport(credential).operations == frozenset(ServiceOperation)
    with pytest.raises(InvalidInputError, match="proxy"):
        AzureIotHubServiceTransport(credential, proxy="http://localhost:3128")
    with pytest.raises(InvalidInputError, match="port"):
        AzureIotHubServiceTransport(
            ServiceCredential(host_name="hub.example.net", port=1, shared_access_key_name="s", shared_access_key="AQ==")
        )


@pytest.mark.parametrize("module", [msrest.exceptions, requests.exceptions, uamqp.errors])
def test_every_exception_of_the_libraries_has_its_row(module: ModuleType) -> None:
    library = module.__name__.partition(".")[0]
    missing = [
        kind.__name__
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Exception)
        and not issubclass(kind, Warning)
        and kind.__module__.startswith(library)
        and not any(base.__name__ in ERRORS for base in kind.__mro__)
    ]
    assert missing == []
