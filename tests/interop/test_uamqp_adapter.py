"""The transports `uamqp`, on that library, against the hub."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest
import uamqp
from uamqp import errors

from c2dkit import (
    C2dError,
    CloudSender,
    ConnectError,
    ConnectionLostError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    DeviceReceiver,
    EntraCredential,
    FeedbackStatus,
    FeedbackStream,
    InvalidInputError,
    MessageLockLostError,
    RetryPolicy,
    UnauthorizedError,
)
from c2dkit._models import Ack, Message
from c2dkit._protocols import amqp
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._wire import amqp as wire
from c2dkit.hub import LocalHub, TokenIssuer
from c2dkit.transports import _uamqp_auth
from c2dkit.transports._tokens import HubToken
from c2dkit.transports._uamqp import UamqpDeviceTransport, UamqpServiceTransport
from c2dkit.transports._uamqp_client import UamqpClient
from c2dkit.transports._uamqp_errors import ERRORS, error_from_uamqp
from c2dkit.transports._uamqp_message import make_message, wire_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from c2dkit.transports._ports import DeviceTransport, ServiceTransport

ONCE = RetryPolicy.none()  # what a transport does by itself shows only where nothing is tried again

WRONG_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def device(hub: LocalHub, device_id: str = "dev-1") -> UamqpDeviceTransport:
    credential = DeviceCredential.from_connection_string(hub.device_connection_string(device_id))
    return UamqpDeviceTransport(credential, ssl_context=hub.ssl_context())


def service(hub: LocalHub) -> UamqpServiceTransport:
    credential = ServiceCredential.from_connection_string(hub.owner_connection_string)
    return UamqpServiceTransport(credential, ssl_context=hub.ssl_context())


@pytest.fixture
async def sender(hub: LocalHub) -> AsyncIterator[CloudSender]:
    async with CloudSender(service(hub), retry=ONCE) as opened:
        yield opened


async def bodies(receiver: DeviceReceiver[object], count: int) -> list[str]:
    found: list[str] = []
    with anyio.fail_after(20):
        async for message in receiver:
            found.append(message.body.decode())
            await message.complete()
            if len(found) == count:
                break
    return found


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - the hub's side has no event here
            await anyio.sleep(0.01)


async def test_they_are_transports(hub: LocalHub) -> None:
    receives: DeviceTransport = device(hub)
    sends: ServiceTransport = service(hub)
    assert (receives.name, sends.name) == ("uamqp", "uamqp")


async def test_every_property_there_and_back(hub: LocalHub, sender: CloudSender) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    properties = {"colour": "red", "a&b=c/d": "#+% \U0001f600", "empty": ""}
    async with DeviceReceiver(device(hub), retry=ONCE) as receiver:
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
        await message.complete()
    assert (message.payload, message.body) == ({"on": True}, b'{"on":true}')
    assert (message.message_id, message.correlation_id, message.user_id) == ("m-1", "c-1", "u-1")
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert (message.ack, message.expires_at, message.to) == (
        "full",
        expires_at,
        "/devices/dev-1/messages/deviceBound",
    )
    assert dict(message.properties) == properties
    assert (message.sequence_number, message.delivery_count) == (1, 0)
    assert message.enqueued_at is not None
    assert message.lock_token is not None


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 65_000])
async def test_any_body(hub: LocalHub, sender: CloudSender, body: bytes) -> None:
    async with DeviceReceiver(device(hub), retry=ONCE) as receiver:
        await sender.send("dev-1", body)
        with anyio.fail_after(20):
            message = await anext(receiver)
        await message.complete()
    assert message.body == body


async def test_messages_keep_their_order(hub: LocalHub, sender: CloudSender) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(sender.send, "dev-1", str(number))
    async with DeviceReceiver(device(hub), prefetch=7, retry=ONCE) as receiver:
        assert await bodies(receiver, 50) == [str(number) for number in range(50)]


async def test_prefetch_bounds_what_waits_in_memory(hub: LocalHub, sender: CloudSender) -> None:
    for number in range(10):
        await sender.send("dev-1", str(number))
    link = await device(hub).open(prefetch=3)
    inbox = link._inbox  # type: ignore[attr-defined]
    await until(lambda: len(inbox._mailbox) == 3)
    await anyio.sleep(0.2)  # there is nothing to wait for: the point is that no more comes
    assert len(inbox._mailbox) == 3
    await link.close()
    await until(lambda: hub.connection_count == 1)  # the sender's
    assert hub.queue_depth("dev-1") == 10


async def test_each_settlement_and_its_feedback(hub: LocalHub) -> None:
    transport = service(hub)
    async with (
        CloudSender(transport, retry=ONCE) as sender,
        FeedbackStream(transport, retry=ONCE) as feedback,
        DeviceReceiver(device(hub), retry=ONCE) as receiver,
    ):
        assert hub.connection_count == 2  # sender and feedback share one
        with anyio.fail_after(30):
            await sender.send("dev-1", b"x", ack="full", message_id="completed")
            await (await anext(receiver)).complete()
            completed = await anext(feedback)
            await sender.send("dev-1", b"x", ack="full", message_id="rejected")
            await (await anext(receiver)).reject()
            rejected = await anext(feedback)
            await sender.send("dev-1", b"x", ack="full", message_id="abandoned")
            await (await anext(receiver)).abandon()
            again = await anext(receiver)
            await again.complete()
    assert (completed.original_message_id, completed.status) == ("completed", FeedbackStatus.SUCCESS)
    assert (rejected.original_message_id, rejected.status) == ("rejected", FeedbackStatus.REJECTED)
    assert (again.message_id, again.delivery_count) == ("abandoned", 1)
    await until(lambda: hub.connection_count == 0)


async def test_a_connection_that_its_last_user_closes_is_not_joined(hub: LocalHub) -> None:
    shared = service(hub)
    for turns in range(6):
        async with anyio.create_task_group() as tasks:
            first = await CloudSender(shared, retry=ONCE).__aenter__()
            tasks.start_soon(first.__aexit__, None, None, None)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            async with CloudSender(shared, retry=ONCE) as second:
                await second.send("dev-1", b"x")
    assert hub.queue_depth("dev-1") == 6


async def test_an_abandoned_batch_of_feedback_comes_again(hub: LocalHub) -> None:
    transport = service(hub)
    async with CloudSender(transport, retry=ONCE) as sender, DeviceReceiver(device(hub), retry=ONCE) as receiver:
        await sender.send("dev-1", b"x", ack="full", message_id="m-1")
        with anyio.fail_after(20):
            await (await anext(receiver)).complete()
            first = FeedbackStream(transport, retry=ONCE)
            await first.__aenter__()
            await anext(first)
            await first.__aexit__(RuntimeError, RuntimeError("the application's"), None)
            async with FeedbackStream(transport, retry=ONCE) as second:
                assert (await anext(second)).original_message_id == "m-1"


async def test_purge_and_queue_depth(hub: LocalHub, sender: CloudSender) -> None:
    await sender.send("dev-1", b"1")
    await sender.send("dev-1", b"2")
    assert await sender.queue_depth("dev-1") == 2
    assert await sender.purge("dev-1") == 2
    assert hub.queue_depth("dev-1") == 0


async def test_the_hubs_refusals_of_a_message(hub: LocalHub, sender: CloudSender) -> None:
    with pytest.raises(DeviceNotFoundError, match="refused the message") as unknown:
        await sender.send("nobody", b"x")
    assert (unknown.value.hub_code, unknown.value.transient) == (404001, False)
    for _ in range(50):
        await sender.send("dev-1", b"x")
    with pytest.raises(DeviceQueueFullError) as full:
        await sender.send("dev-1", b"x")
    assert full.value.hub_code == 403004
    await sender.send("dev-2", b"the link still works")


async def test_closing_ends_a_receive(hub: LocalHub) -> None:
    receiver = DeviceReceiver(device(hub), retry=ONCE)

    async def iterate() -> int:
        return len([message async for message in receiver])

    async with receiver:
        task = asyncio.create_task(iterate())
        await asyncio.sleep(0)
    with anyio.fail_after(20):
        assert await task == 0
    await until(lambda: hub.connection_count == 0)


async def test_a_cancelled_receive_loses_nothing(hub: LocalHub, sender: CloudSender) -> None:
    async with DeviceReceiver(device(hub), retry=ONCE) as receiver:
        with anyio.move_on_after(0.05):
            await anext(receiver)
        await sender.send("dev-1", b"1")
        assert await bodies(receiver, 1) == ["1"]


async def test_a_cancelled_open_leaves_no_connection(hub: LocalHub) -> None:
    for milliseconds in (1, 20, 40, 60):
        with anyio.move_on_after(milliseconds / 1000):
            async with DeviceReceiver(device(hub), retry=ONCE):
                pass
    await until(lambda: hub.connection_count == 0)


async def test_a_lost_connection_ends_everything(hub: LocalHub) -> None:
    transport = service(hub)
    async with (
        CloudSender(transport, retry=ONCE) as sender,
        FeedbackStream(transport, retry=ONCE) as feedback,
        DeviceReceiver(device(hub), retry=ONCE) as receiver,
    ):
        await sender.send("dev-1", b"held")
        with anyio.fail_after(20):
            held = await anext(receiver)
            await hub.disconnect_all()
            with pytest.raises(ConnectionLostError):
                await anext(receiver)
            with pytest.raises(ConnectionLostError):
                await anext(feedback)
            with pytest.raises(MessageLockLostError):
                await held.complete()
            with pytest.raises(ConnectionLostError):
                await sender.send("dev-1", b"x")
        async with CloudSender(transport, retry=ONCE) as again:
            await again.send("dev-1", b"x")
    assert hub.queue_depth("dev-1") == 2


async def test_settling_after_the_close_is_an_error(hub: LocalHub, sender: CloudSender) -> None:
    await sender.send("dev-1", b"x")
    async with DeviceReceiver(device(hub), retry=ONCE) as receiver:
        with anyio.fail_after(20):
            message = await anext(receiver)
    with pytest.raises(MessageLockLostError):
        await message.complete()


async def test_a_second_receiver_takes_over(hub: LocalHub, sender: CloudSender) -> None:
    async with DeviceReceiver(device(hub), retry=ONCE) as first, DeviceReceiver(device(hub), retry=ONCE) as second:
        with anyio.fail_after(20), pytest.raises(ConnectionLostError) as taken:
            await anext(first)
        assert taken.value.hub_code == 409002
        await sender.send("dev-1", b"1")
        assert await bodies(second, 1) == ["1"]


async def test_who_is_refused(hub: LocalHub) -> None:
    wrong_key = DeviceCredential(host_name="localhost", port=hub.port, device_id="dev-1", shared_access_key=WRONG_KEY)
    nobody = DeviceCredential(host_name="localhost", port=hub.port, device_id="nobody", shared_access_key=WRONG_KEY)
    for credential in (wrong_key, nobody):
        with pytest.raises(UnauthorizedError, match="token"):
            async with DeviceReceiver(UamqpDeviceTransport(credential, ssl_context=hub.ssl_context()), retry=ONCE):
                pytest.fail("it opened")
    policy = ServiceCredential(
        host_name="localhost", port=hub.port, shared_access_key_name="service", shared_access_key=WRONG_KEY
    )
    with pytest.raises(UnauthorizedError, match="token"):
        async with CloudSender(UamqpServiceTransport(policy, ssl_context=hub.ssl_context()), retry=ONCE):
            pytest.fail("it opened")
    await until(lambda: hub.connection_count == 0)


async def test_no_connection(hub: LocalHub) -> None:
    credential = DeviceCredential.from_connection_string(hub.device_connection_string("dev-1"))
    with pytest.raises(ConnectError, match="not trusted"):
        await UamqpDeviceTransport(credential).open(prefetch=1)
    closed = DeviceCredential(host_name="localhost", port=1, device_id="dev-1", shared_access_key=WRONG_KEY)
    with pytest.raises(ConnectError, match="cannot connect"):
        await UamqpDeviceTransport(closed, ssl_context=hub.ssl_context()).open(prefetch=1)


async def test_uamqp_itself_checks_chain_and_host_name(hub: LocalHub) -> None:
    """The first, own connection is for the error's text; nothing depends on it."""
    credential = DeviceCredential(
        host_name="localhost.localdomain",
        port=hub.port,
        device_id="dev-1",
        shared_access_key=WRONG_KEY,
        gateway_host_name="127.1",
        gateway_port=hub.port,
    )
    trusted = DeviceCredential.from_connection_string(hub.device_connection_string("dev-1"))
    for given, context in ((credential, hub.ssl_context()), (trusted, ssl.create_default_context())):
        authentication = await _uamqp_auth.make_authentication(given, ssl_context=context)
        client = UamqpClient(uamqp, authentication, host_name=given.host_name, host="the hub")
        with anyio.move_on_after(0.5):
            await client._authenticated
            pytest.fail("it connected")
        await client.close()


async def test_tokens_are_renewed(hub: LocalHub, sender: CloudSender, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[HubToken] = []

    async def short_lived(credential: DeviceCredential, now: datetime) -> HubToken:
        token = credential.token(now, timedelta(seconds=5))
        given.append(HubToken(token.text, "sas", credential.resource, token.expires_at, token.renew_at))
        return given[-1]

    monkeypatch.setattr(_uamqp_auth, "token_for", short_lived)
    async with DeviceReceiver(device(hub), retry=ONCE) as receiver:
        before = len(given)
        await until(lambda: len(given) > before)
        await until(lambda: datetime.now(UTC) > given[before - 1].expires_at)
        await sender.send("dev-1", b"1")
        assert await bodies(receiver, 1) == ["1"]


async def test_a_back_end_signs_in_with_entra_id() -> None:
    issuer = TokenIssuer.create()
    async with LocalHub(issuers=[issuer]) as hub:
        credential = EntraCredential(host_name="localhost", port=hub.port, token_credential=issuer.credential())
        stranger = EntraCredential(
            host_name="localhost", port=hub.port, token_credential=TokenIssuer.create("x").credential()
        )
        async with CloudSender(UamqpServiceTransport(credential, ssl_context=hub.ssl_context()), retry=ONCE) as sender:
            await sender.send("dev-1", b"x")
            assert await sender.queue_depth("dev-1") == 1
        with pytest.raises(UnauthorizedError):
            async with CloudSender(UamqpServiceTransport(stranger, ssl_context=hub.ssl_context()), retry=ONCE):
                pytest.fail("it opened")


def test_what_it_cannot_do_is_refused() -> None:
    certificate = DeviceCredential(host_name="localhost", device_id="dev-1", x509=True)
    key = DeviceCredential(host_name="localhost", device_id="dev-1", shared_access_key=WRONG_KEY)
    policy = ServiceCredential(host_name="localhost", shared_access_key_name="p", shared_access_key=WRONG_KEY)
    with pytest.raises(InvalidInputError, match="certificate"):
        UamqpDeviceTransport(certificate)
    with pytest.raises(InvalidInputError, match="proxy"):
        UamqpDeviceTransport(key, proxy="http://localhost:3128")
    with pytest.raises(InvalidInputError, match="proxy"):
        UamqpServiceTransport(policy, proxy="http://localhost:3128")


@pytest.mark.parametrize(
    "message",
    [
        Message(b""),
        Message(b"\x00\xff", properties={"": "", "\U0001f600": "\U0001f600"}),
        Message(b"x", "m", "c", "\xfc", "/devices/x", "text/plain", "gzip", ack=Ack.NEGATIVE),
        Message(b"x", expires_at=datetime(2030, 1, 1, tzinfo=UTC), created_at=datetime(2029, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_message_survives_uamqp(message: Message) -> None:
    made = make_message(uamqp, message)
    assert isinstance(made, uamqp.Message)
    payload = made.encode_message() if message.user_id is None else wire.encode_message(message)
    received = uamqp.Message.decode_from_bytes(bytes(payload))
    assert wire.decode_message(wire_form(received)) == message


def test_a_body_that_is_a_value() -> None:
    for value, body in (("text", b"text"), (b"bytes", b"bytes")):
        payload = amqp.encode_message(amqp.AmqpMessage(value=value, has_value=True))
        received = uamqp.Message.decode_from_bytes(payload)
        assert wire.decode_message(wire_form(received)).body == body


def exception_classes() -> list[type[Exception]]:
    # AMQPClientShutdown is a KeyboardInterrupt, which is the application's.
    return [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("kind", exception_classes())
def test_every_exception_of_uamqp_is_in_the_table(kind: type[Exception]) -> None:
    bases = [base.__name__ for base in kind.__mro__ if base not in Exception.__mro__]
    assert any(name in ERRORS for name in bases)
    assert isinstance(error_from_uamqp(Exception.__new__(kind, "why"), doing="sending"), C2dError)
