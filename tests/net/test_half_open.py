"""Links whose other end is out of reach while every socket stays open: each is found, by itself, in a bounded time.

The bounds are shortened here; ``python -m bench half-open`` measures the real ones.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    CloudSender,
    ConnectError,
    ConnectionLostError,
    ConnectionState,
    DeviceQueueFullError,
    DeviceReceiver,
    FeedbackStream,
    MessageLockLostError,
    OutcomeUnknownError,
    RetryPolicy,
)
from c2dkit._models import Message
from c2dkit.testing.contract._bench import until
from c2dkit.transports import _amqp_client, _https_client, _mqtt

from .conftest import ConnectProxy, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from anyio.abc import ByteStream

    from c2dkit._connection import Connection
    from c2dkit.hub import LocalHub

NONE = RetryPolicy.none()
SOON = RetryPolicy(first_delay=timedelta(0), max_delay=timedelta(0))
DEVICE_LEGS = ["amqp", "amqp-ws", "mqtt", "mqtt-ws"]
SERVICE_LEGS = ["amqp", "amqp-ws"]


@pytest.fixture(autouse=True)
async def in_time(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(_amqp_client, "IDLE_SECONDS", 1.0)
    monkeypatch.setattr(_mqtt, "KEEP_ALIVE_SECONDS", 1)
    with anyio.fail_after(15):
        yield


def device(
    hub: LocalHub, name: str, url: str, *, retry: RetryPolicy = NONE, prefetch: int = 10
) -> DeviceReceiver[object]:
    string, trust = hub.device_connection_string("dev-1"), hub.ssl_context()
    return DeviceReceiver.from_connection_string(
        string, transport=name, ssl_context=trust, proxy=url, retry=retry, prefetch=prefetch
    )


@asynccontextmanager
async def lossy() -> AsyncGenerator[tuple[ConnectProxy, str]]:
    proxy = ConnectProxy()
    async with serving(proxy.serve) as peer:
        yield proxy, f"http://127.0.0.1:{peer.port}"


def send(hub: LocalHub, count: int = 1) -> None:
    for _ in range(count):
        hub._state.send(Message(b"x", to="/devices/dev-1/messages/devicebound"))


async def found(connection: Connection) -> None:
    """Wait until the connection is known to be dead; the application asks for nothing meanwhile."""
    status = await connection.wait_for(ConnectionState.CLOSED)
    assert isinstance(status.cause, ConnectionLostError)
    assert status.cause.transient
    assert "went silent" in str(status.cause)


@pytest.mark.parametrize("name", DEVICE_LEGS)
@pytest.mark.parametrize("to_hub", [True, False])
async def test_an_idle_device_finds_that_nothing_comes(hub: LocalHub, name: str, to_hub: bool) -> None:
    async with lossy() as (proxy, url), device(hub, name, url) as receiver:
        proxy.lose(to_hub=to_hub)
        await found(receiver.connection)


@pytest.mark.parametrize("name", ["mqtt", "mqtt-ws"])
async def test_mqtt_finds_that_nothing_leaves(hub: LocalHub, name: str) -> None:
    async with lossy() as (proxy, url), device(hub, name, url) as receiver:
        proxy.lose(to_client=False)
        status = await receiver.connection.wait_for(ConnectionState.CLOSED)
        assert isinstance(status.cause, ConnectionLostError)  # by the client, or by the hub, which has as much patience


@pytest.mark.parametrize("name", SERVICE_LEGS)
async def test_an_idle_back_end_finds_that_nothing_comes(hub: LocalHub, name: str) -> None:
    string, trust = hub.service_connection_string, hub.ssl_context()
    async with (
        lossy() as (proxy, url),
        CloudSender.from_connection_string(string, transport=name, ssl_context=trust, proxy=url, retry=NONE) as sender,
        FeedbackStream.from_connection_string(
            string, transport=name, ssl_context=trust, proxy=url, retry=NONE
        ) as feedback,
    ):
        proxy.lose()
        await found(sender.connection)
        await found(feedback.connection)


@pytest.mark.parametrize("name", DEVICE_LEGS)
async def test_a_device_that_reads_nothing_finds_it_too(hub: LocalHub, name: str) -> None:
    send(hub, 50)
    async with lossy() as (proxy, url), device(hub, name, url, prefetch=1) as receiver:
        first = await anext(receiver)
        proxy.lose()
        await found(receiver.connection)
        with pytest.raises(MessageLockLostError):
            await first.complete()


@pytest.mark.parametrize("name", ["mqtt", "mqtt-ws"])
async def test_a_device_that_reads_nothing_lives_on_while_the_hub_does(hub: LocalHub, name: str) -> None:
    send(hub, 50)
    async with lossy() as (_, url), device(hub, name, url, prefetch=1) as receiver:
        with anyio.move_on_after(3):  # twice the time after which silence is an end
            await receiver.connection.wait_for(ConnectionState.CLOSED)
        assert receiver.connection.state is ConnectionState.CONNECTED
        for _ in range(50):
            await (await anext(receiver)).complete()
        await until(lambda: not hub.queue_depth("dev-1"))


@pytest.mark.parametrize("name", ["mqtt", "mqtt-ws"])
async def test_a_device_that_reads_nothing_learns_that_another_took_over(hub: LocalHub, name: str) -> None:
    send(hub, 50)
    async with lossy() as (_, url), device(hub, name, url, prefetch=1) as old, device(hub, name, url):
        status = await old.connection.wait_for(ConnectionState.CLOSED)
        assert isinstance(status.cause, ConnectionLostError)


@pytest.mark.parametrize("name", DEVICE_LEGS)
async def test_the_iteration_goes_on_over_another_link(hub: LocalHub, name: str) -> None:
    async with lossy() as (proxy, url), device(hub, name, url, retry=SOON) as receiver:
        for _ in range(2):
            proxy.lose()
            send(hub)
            message = await anext(receiver)
            await message.complete()
            await until(lambda: not hub.queue_depth("dev-1"))
        assert len(proxy.tunnels) == 3


@pytest.mark.parametrize("name", SERVICE_LEGS)
async def test_a_send_that_is_not_answered(hub: LocalHub, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_amqp_client, "OUTCOME_SECONDS", 0.2)
    string, trust = hub.service_connection_string, hub.ssl_context()
    async with (
        lossy() as (proxy, url),
        CloudSender.from_connection_string(string, transport=name, ssl_context=trust, proxy=url, retry=NONE) as sender,
    ):
        await sender.send("dev-1", "x")
        proxy.lose(to_client=False)
        with pytest.raises(OutcomeUnknownError) as caught:
            await sender.send("dev-1", "x")
        assert "did not answer a message within 0.2 s" in str(caught.value.__cause__)
        await sender.connection.wait_for(ConnectionState.CLOSED)


@pytest.mark.parametrize("name", ["amqp", "amqp-ws"])
async def test_a_settlement_that_is_not_answered(hub: LocalHub, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_amqp_client, "OUTCOME_SECONDS", 0.2)
    send(hub, 2)
    async with lossy() as (proxy, url), device(hub, name, url) as receiver:
        first, second = await anext(receiver), await anext(receiver)
        await first.complete()
        proxy.lose(to_client=False)
        with pytest.raises(OutcomeUnknownError):
            await second.complete()
        with pytest.raises(ConnectionLostError, match=r"did not answer a settlement within 0\.2 s"):
            await anext(receiver)


async def test_a_settlement_over_https(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_https_client, "REQUEST_SECONDS", 0.5)
    send(hub)
    async with lossy() as (proxy, url), device(hub, "https", url) as receiver:
        message = await anext(receiver)
        proxy.lose()
        with pytest.raises(OutcomeUnknownError):
            await message.complete()


async def test_a_poll_over_https(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_https_client, "REQUEST_SECONDS", 0.5)
    send(hub)
    async with lossy() as (proxy, url), device(hub, "https", url) as receiver:
        await (await anext(receiver)).complete()
        proxy.lose()
        with pytest.raises(ConnectionLostError):
            await anext(receiver)


async def test_a_hub_that_answers_no_poll_is_given_up_at_the_deadline(hub: LocalHub) -> None:
    async def mute(_: ByteStream) -> None:
        """End the connection, which takes longer than the longest delay, as a time-out does."""

    retry = RetryPolicy(first_delay=timedelta(0), max_delay=timedelta(0), deadline=timedelta(milliseconds=500))
    async with serving(mute) as peer:
        string = hub.device_connection_string("dev-1").replace(f":{hub.port};", f":{peer.port};")
        receiver = DeviceReceiver.from_connection_string(
            string, transport="https", ssl_context=hub.ssl_context(), retry=retry
        )
        async with receiver:
            with pytest.raises(ConnectError):
                await anext(receiver)
            assert receiver.connection.state is ConnectionState.CLOSED


@pytest.mark.parametrize("resend", [False, True])
async def test_what_may_be_queued_is_sent_again_only_where_the_caller_says_so(hub: LocalHub, *, resend: bool) -> None:
    string, trust = hub.service_connection_string, hub.ssl_context()
    async with (
        lossy() as (proxy, url),
        CloudSender.from_connection_string(string, ssl_context=trust, proxy=url, retry=SOON) as sender,
    ):
        await sender.send("dev-1", "a")
        proxy.lose(to_hub=False)
        with nullcontext() if resend else pytest.raises(OutcomeUnknownError):
            await sender.send("dev-1", "b", resend_unknown=resend)
        await sender.send("dev-1", "c")
    queued = [entry.item.body for entry in hub._state.messages("dev-1")]
    assert queued == ([b"a", b"b", b"b", b"c"] if resend else [b"a", b"b", b"c"])


async def test_a_resend_that_is_refused_leaves_it_unknown_what_became_of_the_first(hub: LocalHub) -> None:
    string, trust = hub.service_connection_string, hub.ssl_context()
    async with (
        lossy() as (proxy, url),
        CloudSender.from_connection_string(string, ssl_context=trust, proxy=url, retry=SOON) as sender,
    ):
        for _ in range(49):
            await sender.send("dev-1", "x")
        proxy.lose(to_hub=False)
        with pytest.raises(OutcomeUnknownError) as caught:
            await sender.send("dev-1", "the last for which there is room", resend_unknown=True)
    assert isinstance(caught.value.__cause__, DeviceQueueFullError)
    assert hub.queue_depth("dev-1") == 50
