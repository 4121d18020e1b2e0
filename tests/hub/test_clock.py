"""One call moves every timer of the hub: what is due by the time, and what peers may be silent for where it is said."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio

from c2dkit import CloudSender, DeviceReceiver
from c2dkit._protocols import amqp
from c2dkit._wire.amqp import device_address
from c2dkit.hub import LocalHub
from c2dkit.testing.contract._bench import ONCE
from tests.hub.test_amqp_door import connection as amqp_connection
from tests.hub.test_amqp_door import signed_in
from tests.hub.test_http_door import connection as http_connection
from tests.hub.test_http_door import device as http_device
from tests.hub.test_mqtt_door import connected

if TYPE_CHECKING:
    from anyio.abc import ByteStream

DEVICE = "dev-1"


async def ended(stream: ByteStream) -> bytes:
    """Return what comes until the hub ends the connection."""
    received = b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError), anyio.fail_after(20):
        while True:
            received += await stream.receive()
    return received


async def test_messages_expire_in_an_hour_that_clients_live_through(hub: LocalHub) -> None:
    trust = hub.ssl_context()
    async with (
        connected(hub, "dev-2") as mqtt_device,
        signed_in(hub, DEVICE) as (amqp_device, session),
        CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust, retry=ONCE) as sender,
    ):
        await sender.send("dev-1", "too late", expires_in=timedelta(minutes=20))
        hub.clock.advance(timedelta(minutes=50))  # more than any keep-alive, less than a token
        assert hub.queue_depth("dev-1") == 0
        await mqtt_device.round_trip()
        await amqp_device.receiver(session, device_address(DEVICE))
        await sender.send("dev-1", "in time")
        await amqp_device.next(amqp.TransferReceived)


async def test_mqtt_keep_alive() -> None:
    async with LocalHub() as hub, connected(hub) as client:  # keep-alive 60 s, so 90 s of silence
        hub.clock.advance(timedelta(seconds=89), silence=True)
        await client.round_trip()
        hub.clock.advance(timedelta(seconds=89), silence=True)
        await client.round_trip()
        hub.clock.advance(timedelta(seconds=91), silence=True)
        await client.closed()


async def test_a_connect_that_does_not_come() -> None:
    async with LocalHub() as hub, http_connection(hub) as stream:
        await stream.send(b"\x10")
        async with connected(hub) as later:  # came later, so the first one is being served
            await later.round_trip()
        hub.clock.advance(timedelta(seconds=31), silence=True)
        assert await ended(stream) == b""


async def test_amqp_idle_time_out() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, _):
        hub.clock.advance(timedelta(seconds=239), silence=True)
        await client.begin()
        hub.clock.advance(timedelta(seconds=241), silence=True)
        closed = await client.next(amqp.Closed, skip=(amqp.SessionEnded, amqp.LinkDetached))
        assert closed.error is not None
        assert closed.error.condition == "amqp:resource-limit-exceeded"


async def test_an_amqp_connection_without_a_token() -> None:
    async with LocalHub() as hub, amqp_connection(hub) as client:
        await client.begin()
        hub.clock.advance(timedelta(seconds=59), silence=True)
        await client.begin()
        hub.clock.advance(timedelta(seconds=2), silence=True)
        closed = await client.next(amqp.Closed, skip=amqp.SessionEnded)
        assert closed.error is not None
        assert closed.error.condition == "amqp:unauthorized-access"


async def test_a_kept_http_connection() -> None:
    async with LocalHub() as hub, http_connection(hub) as stream:
        for _ in range(2):
            await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await stream.receive()
            hub.clock.advance(timedelta(seconds=59), silence=True)
        hub.clock.advance(timedelta(seconds=2), silence=True)
        assert await ended(stream) == b""


async def test_the_body_of_an_http_request() -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    async with LocalHub() as hub, http_connection(hub) as stream:
        # The answer to the first request says that the second is being read.
        await stream.send(head % 0 + head % 10 + b"12345")
        assert (await stream.receive()).startswith(b"HTTP/1.1 404")
        hub.clock.advance(timedelta(seconds=31), silence=True)
        assert b"RequestTimedOut" in await ended(stream)


async def test_a_handshake_that_is_not_finished() -> None:
    async with LocalHub() as hub:
        async with http_connection(hub) as stream:  # a handshake, and no first byte
            hub.clock.advance(timedelta(seconds=31), silence=True)
            assert await ended(stream) == b""
        async with http_device(hub) as device:
            assert (await device.ask("GET", f"/devices/{DEVICE}/messages/deviceBound")).status == 204


async def test_the_lock_of_a_message_and_the_token_of_its_receiver(hub: LocalHub) -> None:
    trust = hub.ssl_context()
    async with (
        CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust, retry=ONCE) as sender,
        DeviceReceiver.from_connection_string(
            hub.device_connection_string(DEVICE), ssl_context=trust, retry=ONCE
        ) as receiver,
    ):
        await sender.send(DEVICE, "hello")
        with anyio.fail_after(20):
            first = await anext(receiver)
            hub.clock.advance(timedelta(seconds=61))
            again = await anext(receiver)
        assert first.sequence_number == again.sequence_number
        await again.complete()
