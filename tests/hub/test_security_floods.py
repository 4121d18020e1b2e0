"""One well-behaved device keeps receiving, and new clients come in, whatever strangers and bad clients do beside it."""

from __future__ import annotations

import json
import os
import ssl
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import pytest
from OpenSSL import SSL

from c2dkit import CloudSender, DeviceQueueFullError, DeviceReceiver
from c2dkit._net import open_tls
from c2dkit._protocols import amqp, mqtt
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._websocket import open_websocket
from c2dkit._wire.mqtt import subscription, username
from c2dkit.hub import HubOptions, LocalHub
from c2dkit.hub._stranger import MAX_BYTES
from c2dkit.testing.contract._bench import ONCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from anyio.abc import ByteStream

    Turn = Callable[[], Awaitable[None]]
    Attack = Callable[[LocalHub, list[ByteStream]], Awaitable[Turn]]

BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
MAX_CONNECTIONS = 30
ROUNDS = 20


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    options = HubOptions(max_connections=MAX_CONNECTIONS)
    async with LocalHub(devices=["dev-1", "dev-2"], options=options) as hub:
        yield hub


async def tls(hub: LocalHub) -> ByteStream:
    return await open_tls("localhost", hub.port, ssl_context=hub.ssl_context())


def connect_packet(hub: LocalHub, device_id: str) -> mqtt.MqttClient:
    engine = mqtt.MqttClient()
    device = DeviceCredential.from_connection_string(hub.device_connection_string(device_id))
    token = device.token(datetime.now(UTC)).text.encode()
    engine.connect(client_id=device_id, username=username("localhost", device_id), password=token)
    return engine


async def signed_in(hub: LocalHub, stream: ByteStream, device_id: str) -> mqtt.MqttClient:
    engine = connect_packet(hub, device_id)
    await stream.send(engine.data_to_send())
    assert engine.receive_data(await stream.receive()) == [mqtt.ConnackReceived(session_present=False, return_code=0)]
    return engine


# Each attack gets ready and returns what to do before every message of the device; it leaves its streams open.


async def silent_sockets(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    async def turn() -> None:
        streams.extend([await anyio.connect_tcp("localhost", hub.port) for _ in range(MAX_CONNECTIONS)])

    return turn


async def silent_after_the_handshake(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    async def turn() -> None:
        streams.extend([await tls(hub) for _ in range(5)])

    return turn


async def silent_after_the_first_bytes(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    async def turn() -> None:
        for first in (b"AMQP", b"\x10", b"GET "):
            streams.append(await tls(hub))
            await streams[-1].send(first)

    return turn


async def byte_by_byte(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    packet = iter(connect_packet(hub, "dev-2").data_to_send())
    streams += [await tls(hub), await anyio.connect_tcp("localhost", hub.port)]
    hello = iter(client_hello())

    async def turn() -> None:
        await streams[0].send(bytes([next(packet)]))
        await streams[1].send(bytes([next(hello)]))

    return turn


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


async def garbage_after_the_handshake(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    async def turn() -> None:
        stream = await anyio.connect_tcp("localhost", hub.port)
        streams.append(stream)
        engine = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
        engine.set_connect_state()
        await shake(engine, stream)
        with suppress(*BROKEN):
            await stream.send(os.urandom(100_000))
            while True:
                await stream.receive()

    return turn


async def renegotiation(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    async def turn() -> None:
        stream = await anyio.connect_tcp("localhost", hub.port)
        streams.append(stream)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        engine = SSL.Connection(context)
        engine.set_connect_state()
        await shake(engine, stream)
        assert engine.renegotiate()
        with pytest.raises(SSL.Error, match="no renegotiation"):
            await shake(engine, stream)

    return turn


async def shake(engine: SSL.Connection, stream: ByteStream) -> None:
    while True:
        try:
            engine.do_handshake()
        except SSL.WantReadError:
            await stream.send(engine.bio_read(65_536))
            engine.bio_write(await stream.receive())
        else:
            with suppress(SSL.WantReadError):
                await stream.send(engine.bio_read(65_536))
            return


async def requests_whose_answers_are_not_read(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    stream = await tls(hub)
    streams.append(stream)
    request = b"GET /messages/serviceBound/feedback HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def turn() -> None:
        with anyio.move_on_after(0), suppress(*BROKEN):  # as much as can be sent without waiting
            await stream.send(request * 500)

    return turn


async def a_reader_that_never_reads(hub: LocalHub, streams: list[ByteStream]) -> Turn:
    streams.append(await subscribed_and_deaf(hub))

    async def turn() -> None:
        async with sender_of(hub) as sender:
            with suppress(DeviceQueueFullError):
                await send_often(sender, 20)

    return turn


async def send_often(sender: CloudSender, times: int) -> None:
    for _ in range(times):
        await sender.send("dev-2", bytes(60_000))


async def subscribed_and_deaf(hub: LocalHub) -> ByteStream:
    """Return the connection of dev-2, whose messages are complete as soon as they are sent, and reads none."""
    stream = await tls(hub)
    engine = await signed_in(hub, stream, "dev-2")
    engine.subscribe([(subscription("dev-2"), 0)])
    await stream.send(engine.data_to_send())
    await stream.receive()
    return stream


ATTACKS: list[Attack] = [
    silent_sockets,
    silent_after_the_handshake,
    silent_after_the_first_bytes,
    byte_by_byte,
    garbage_after_the_handshake,
    renegotiation,
    requests_whose_answers_are_not_read,
    a_reader_that_never_reads,
]


@asynccontextmanager
async def sender_of(hub: LocalHub) -> AsyncGenerator[CloudSender]:
    async with CloudSender.from_connection_string(
        hub.service_connection_string,
        ssl_context=hub.ssl_context(),
        retry=ONCE,
    ) as sender:
        yield sender


@asynccontextmanager
async def attacked(hub: LocalHub, attack: Attack) -> AsyncGenerator[Turn]:
    streams: list[ByteStream] = []
    try:
        yield await attack(hub, streams)
    finally:
        for stream in streams:
            await anyio.aclose_forcefully(stream)


@pytest.mark.parametrize("transport", ["amqp", "mqtt-ws", "https"])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_device_keeps_receiving_under(hub: LocalHub, attack: Attack, transport: str) -> None:
    with anyio.fail_after(20):
        async with (
            sender_of(hub) as sender,
            DeviceReceiver.from_connection_string(
                hub.device_connection_string("dev-1"),
                transport=transport,
                payload_type=int,
                ssl_context=hub.ssl_context(),
                retry=ONCE,
            ) as receiver,
            attacked(hub, attack) as turn,
        ):
            for number in range(ROUNDS):
                await turn()
                await sender.send("dev-1", number)
                message = await anext(receiver)
                assert message.payload == number
                await message.complete()
            async with sender_of(hub) as newcomer:  # who is let in as well
                await newcomer.send("dev-1", ROUNDS)
            assert (await anext(receiver)).payload == ROUNDS


async def test_what_waits_for_a_device_that_does_not_read_is_bounded_by_its_queue(hub: LocalHub) -> None:
    with anyio.fail_after(20):
        stream = await subscribed_and_deaf(hub)
        async with sender_of(hub) as sender:
            with pytest.raises(DeviceQueueFullError):
                await send_often(sender, 1000)  # far more than the sockets hold
        assert hub.queue_depth("dev-2") == 50
        received = 0
        while hub.queue_depth("dev-2"):  # once it reads, all of it comes
            received += len(await stream.receive())
        assert received > 60_000
        await anyio.aclose_forcefully(stream)


async def begins(hub: LocalHub) -> tuple[ByteStream, bytes]:
    engine = amqp.Connection(container_id="test", hostname="localhost")
    engine.open()
    stream = await tls(hub)
    await stream.send(engine.data_to_send())
    return stream, b"\x00\x00\x00\x08\x02\x00\x00\x00" * 1000  # empty frames


async def large_connect(hub: LocalHub) -> tuple[ByteStream, bytes]:
    stream = await tls(hub)
    await stream.send(b"\x10\xff\xff\x0f")  # 262,143 bytes follow
    return stream, bytes(8000)


async def large_connect_through_a_websocket(hub: LocalHub) -> tuple[ByteStream, bytes]:
    stream = await open_websocket("localhost", hub.port, subprotocol="mqtt", ssl_context=hub.ssl_context())
    await stream.send(b"\x10\xff\xff\x0f")
    return stream, bytes(8000)


async def refused_requests(hub: LocalHub) -> tuple[ByteStream, bytes]:
    return await tls(hub), b"GET /devices HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n" % (b"a" * 8000)


@pytest.mark.parametrize("begin", [begins, large_connect, large_connect_through_a_websocket, refused_requests])
async def test_a_stranger_may_send_so_much_and_no_more(
    hub: LocalHub, begin: Callable[[LocalHub], Awaitable[tuple[ByteStream, bytes]]]
) -> None:
    with anyio.fail_after(20):
        stream, chunk = await begin(hub)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain, stream)
            with pytest.raises(BROKEN):
                await send_chunks(stream, chunk, 100 * MAX_BYTES // len(chunk))
        await anyio.aclose_forcefully(stream)
        while hub.connection_count:
            await anyio.wait_all_tasks_blocked()


async def send_chunks(stream: ByteStream, chunk: bytes, times: int) -> None:
    for _ in range(times):
        await stream.send(chunk)


async def drain(stream: ByteStream) -> None:
    with suppress(*BROKEN):
        while True:
            await stream.receive()


async def test_a_known_client_may_send_more(hub: LocalHub) -> None:
    with anyio.fail_after(20):
        stream = await tls(hub)
        engine = await signed_in(hub, stream, "dev-2")
        for _ in range(5):
            engine.publish("devices/dev-2/messages/events/", bytes(MAX_BYTES // 2))
            await stream.send(engine.data_to_send())
            (event,) = engine.receive_data(await stream.receive())
            assert isinstance(event, mqtt.PubackReceived)
        await anyio.aclose_forcefully(stream)


async def test_who_may_write_is_known_before_the_body_has_come(hub: LocalHub) -> None:
    owner = ServiceCredential.from_connection_string(hub.owner_connection_string)
    head = (
        "PUT /devices/dev-9 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: {owner.token(datetime.now(UTC)).text}\r\n\r\n"
    )
    body = b'{"statusReason": "", "x": "' + b"x" * (MAX_BYTES - 29) + b'"}'
    chunks = [b"100\r\n%s\r\n" % body[start : start + 256] for start in range(0, MAX_BYTES, 256)]
    with anyio.fail_after(20):
        stream = await tls(hub)
        await stream.send(head.encode())
        await stream.send(b"".join(chunks) + b"0\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
        await anyio.aclose_forcefully(stream)


HUB = [sys.executable, "-c", "from c2dkit.cli import main; main()", "hub", "--amqp-port", "0", "--mqtt-port", "0"]


async def test_where_no_more_files_can_be_open_strangers_make_room(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    limited = ["/bin/sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", *HUB, "--ready-file", str(ready)]
    async with await anyio.open_process(limited, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        strangers: list[ByteStream] = []
        try:
            with anyio.fail_after(20):
                assert process.stdout is not None
                output = b""
                while b"HostName=host:port" not in output:
                    output += await process.stdout.receive()
                facts = json.loads(ready.read_text())
                strangers += [await anyio.connect_tcp("localhost", facts["ports"]["amqp"]) for _ in range(100)]
                context = ssl.create_default_context(cafile=facts["ca_file"])
                async with CloudSender.from_connection_string(
                    facts["service_connection_string"],
                    ssl_context=context,
                    retry=ONCE,
                ) as sender:
                    await sender.send("dev-1", "hello")
        finally:
            for stream in strangers:
                await anyio.aclose_forcefully(stream)
            process.terminate()
            await process.wait()
