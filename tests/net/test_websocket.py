"""The client's WebSocket against aiohttp's server, and against peers that break the rules."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web

from c2dkit import ConnectError, PeerProtocolError, UnauthorizedError, _websocket
from c2dkit._websocket import MAX_MESSAGE_BYTES, open_websocket

from .conftest import Peer, head, serving, silence

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from anyio.abc import ByteStream

    from .conftest import Handler

    Talk = Callable[[web.WebSocketResponse], Awaitable[None]]

ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield
    gc.collect()  # what aiohttp was not told to close warns here, and not in a later test


class Server:
    """aiohttp's WebSocket server, which has a talk with each client.

    Attributes:
        port: Its port on localhost.
        requests: The upgrades.
        close_codes: How each WebSocket ended.
        over: Set when a talk has ended.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.port = 0
        self.requests: list[web.Request] = []
        self.close_codes: list[int | None] = []
        self.over = anyio.Event()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        self.requests.append(request)
        websocket = web.WebSocketResponse(protocols=("mqtt", "AMQPWSB10"), autoping=False)
        await websocket.prepare(request)
        try:
            await self._talk(websocket)
        finally:
            self.close_codes.append(websocket.close_code)
            self.over.set()
        return websocket


@asynccontextmanager
async def talking(talk: Talk, context: ssl.SSLContext) -> AsyncGenerator[Server]:
    server = Server(talk)
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


async def echo(websocket: web.WebSocketResponse) -> None:
    async for message in websocket:
        await websocket.send_bytes(message.data)


async def listen(websocket: web.WebSocketResponse) -> None:
    async for _ in websocket:
        pass


async def exactly(stream: ByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive()
    return data


async def test_bytes_there_and_back(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async with talking(echo, server_context) as server:
        async with await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream:
            await stream.send(b"there")
            await stream.send(b"and back")
            assert await exactly(stream, 13) == b"thereand back"
        await server.over.wait()
    assert server.close_codes == [1000]


async def test_the_upgrade_asks_for_what_iot_hub_documents(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async with talking(listen, server_context) as server:
        async with await open_websocket("localhost", server.port, subprotocol="AMQPWSB10", ssl_context=trust):
            pass
        (request,) = server.requests
    assert request.raw_path == "/$iothub/websocket"
    assert request.headers["Sec-WebSocket-Protocol"] == "AMQPWSB10"
    assert request.headers["Host"] == f"localhost:{server.port}"
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_a_message_longer_than_asked_for_is_given_in_pieces(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def speak(websocket: web.WebSocketResponse) -> None:
        for each in (b"abcde", b"", b"fg"):
            await websocket.send_bytes(each)
        await listen(websocket)

    async with (
        talking(speak, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        assert [await stream.receive(2) for _ in range(4)] == [b"ab", b"cd", b"e", b"fg"]


async def test_a_megabyte_both_ways(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    body = bytes(range(256)) * 4096
    async with (
        talking(echo, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        await stream.send(body)
        assert await exactly(stream, len(body)) == body


async def test_a_cancelled_receive_loses_nothing(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async with (
        talking(echo, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        with anyio.move_on_after(0.01):
            await stream.receive()
        await stream.send(b"still there")
        assert await stream.receive() == b"still there"


async def test_a_ping_is_answered(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    answered: list[object] = []

    async def ping(websocket: web.WebSocketResponse) -> None:
        await websocket.ping(b"are you there")
        answered.append((await websocket.receive()).data)
        await websocket.send_bytes(b"good")

    async with (
        talking(ping, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        assert await stream.receive() == b"good"
    assert answered == [b"are you there"]


async def test_the_hubs_close_is_the_end_of_the_stream(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def leave(websocket: web.WebSocketResponse) -> None:
        await websocket.send_bytes(b"last")
        await websocket.close(code=1001)

    async with (
        talking(leave, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        assert await stream.receive() == b"last"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"too late")


async def test_text_breaks_the_protocol(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def text(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str("hello")
        await listen(websocket)

    async with (
        talking(text, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        with pytest.raises(PeerProtocolError, match="sent text"):
            await stream.receive()


async def test_a_message_without_measure_breaks_the_protocol(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def boast(websocket: web.WebSocketResponse) -> None:
        await websocket.send_bytes(bytes(MAX_MESSAGE_BYTES + 1))
        await listen(websocket)

    async with (
        talking(boast, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        with pytest.raises(PeerProtocolError, match="broke the WebSocket protocol"):
            await stream.receive()


async def test_what_comes_between_two_messages_is_bounded_whatever_aiohttp_does(
    monkeypatch: pytest.MonkeyPatch, server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    monkeypatch.setattr(_websocket, "ALLOWANCE", 1500)
    async with (
        talking(echo, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        for _ in range(3):
            await stream.send(bytes(1000))
            assert await exactly(stream, 1000) == bytes(1000)
        await stream.send(bytes(2000))
        with pytest.raises(PeerProtocolError, match="sent more than"):
            await stream.receive()


async def test_close_twice(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async with talking(listen, server_context) as server:
        stream = await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust)
        await stream.aclose()
        await stream.aclose()
        await server.over.wait()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert server.close_codes == [1000]


def running_drivers() -> list[str]:
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith("Driver.")]


async def test_a_close_in_haste_tells_the_hub_and_leaves_nothing_open(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async with talking(listen, server_context) as server:
        stream = await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust)
        assert running_drivers()
        await anyio.aclose_forcefully(stream)
        assert not running_drivers()
        await server.over.wait()
    assert server.close_codes == [1000]


async def test_there_is_no_half_to_close(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async with (
        talking(listen, server_context) as server,
        await open_websocket("localhost", server.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        with pytest.raises(NotImplementedError):
            await stream.send_eof()


def upgraded(request: str, subprotocol: str = "mqtt") -> bytes:
    headers = dict(line.split(": ") for line in request.split("\r\n")[1:] if line)
    key = headers["Sec-WebSocket-Key"] + ACCEPT_GUID
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Protocol: {subprotocol}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


def answering(answer: bytes) -> Handler:
    async def handler(stream: ByteStream) -> None:
        await head(stream)
        await stream.send(answer)
        await silence(stream)

    return handler


async def refusal(peer: Peer, trust: ssl.SSLContext, kind: type[ConnectError | UnauthorizedError]) -> Exception:
    with pytest.raises(kind) as caught:
        await open_websocket("localhost", peer.port, subprotocol="mqtt", ssl_context=trust)
    await peer.over.wait()
    assert f"localhost:{peer.port}" in str(caught.value)
    return caught.value


@pytest.mark.parametrize("status", [401, 403])
async def test_an_upgrade_that_is_not_permitted(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, status: int
) -> None:
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode()
    async with serving(answering(answer), server_context) as peer:
        error = await refusal(peer, trust, UnauthorizedError)
    assert f"refused the WebSocket (HTTP {status})" in str(error)


@pytest.mark.parametrize(("status", "transient"), [(200, False), (404, False), (408, True), (429, True), (503, True)])
async def test_an_upgrade_that_is_refused(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, status: int, *, transient: bool
) -> None:
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 1000000\r\n\r\nno".encode()
    async with serving(answering(answer), server_context) as peer:
        error = await refusal(peer, trust, ConnectError)
    assert f"refused the WebSocket (HTTP {status})" in str(error)
    assert isinstance(error, ConnectError)
    assert error.transient is transient


@pytest.mark.parametrize("location", ["https://elsewhere.example/$iothub/websocket", "/elsewhere", "http://localhost/"])
async def test_a_redirect_is_not_followed(server_context: ssl.SSLContext, trust: ssl.SSLContext, location: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    async with serving(answering(answer), server_context) as peer:
        error = await refusal(peer, trust, ConnectError)
    assert "redirects" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
        ),
    ],
)
async def test_an_upgrade_that_is_none(server_context: ssl.SSLContext, trust: ssl.SSLContext, answer: bytes) -> None:
    async with serving(answering(answer), server_context) as peer:
        error = await refusal(peer, trust, ConnectError)
    assert "did not open a WebSocket: Invalid" in str(error)


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x00", b"AMQP\x03\x01\x00\x00", b"HTTP/3 101 Odd\r\n\r\n"])
async def test_no_http(server_context: ssl.SSLContext, trust: ssl.SSLContext, answer: bytes) -> None:
    async with serving(answering(answer), server_context) as peer:
        await refusal(peer, trust, ConnectError)


async def test_headers_without_end_are_not_read_to_their_end(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def flood(stream: ByteStream) -> None:
        await head(stream)
        await stream.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        for number in itertools.count():
            await stream.send(f"H{number}: v\r\n".encode() * 100)

    async with serving(flood, server_context) as peer:
        with pytest.raises((ConnectError, PeerProtocolError)):
            await open_websocket("localhost", peer.port, subprotocol="mqtt", ssl_context=trust)
        await peer.over.wait()


async def test_a_peer_that_hangs_up(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def hang_up(stream: ByteStream) -> None:
        await head(stream)

    async with serving(hang_up, server_context) as peer:
        error = await refusal(peer, trust, ConnectError)
    assert isinstance(error, ConnectError)
    assert error.transient


async def test_another_subprotocol(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def other(stream: ByteStream) -> None:
        await stream.send(upgraded(await head(stream), "soap"))
        await silence(stream)

    async with serving(other, server_context) as peer:
        error = await refusal(peer, trust, ConnectError)
    assert "does not speak mqtt over WebSockets" in str(error)


async def test_a_connection_that_ends_without_a_close(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def vanish(stream: ByteStream) -> None:
        await stream.send(upgraded(await head(stream)) + b"\x82\x04data")

    async with (
        serving(vanish, server_context) as peer,
        await open_websocket("localhost", peer.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        assert await stream.receive() == b"data"
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


async def test_a_frame_without_end_is_not_read_to_its_end(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def flood(stream: ByteStream) -> None:
        await stream.send(upgraded(await head(stream)) + b"\x82\x7f" + (1 << 40).to_bytes(8))
        while True:
            await stream.send(bytes(65536))

    async with (
        serving(flood, server_context) as peer,
        await open_websocket("localhost", peer.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        with pytest.raises(PeerProtocolError):
            await stream.receive()


async def test_a_frame_that_breaks_the_protocol(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def nonsense(stream: ByteStream) -> None:
        await stream.send(upgraded(await head(stream)) + b"\x83\x00")
        await silence(stream)

    async with (
        serving(nonsense, server_context) as peer,
        await open_websocket("localhost", peer.port, subprotocol="mqtt", ssl_context=trust) as stream,
    ):
        with pytest.raises(PeerProtocolError, match=f"localhost:{peer.port} broke the WebSocket protocol"):
            await stream.receive()


async def test_a_peer_that_does_not_agree_to_the_end(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def deaf(stream: ByteStream) -> None:
        await stream.send(upgraded(await head(stream)))
        await silence(stream)

    async with serving(deaf, server_context) as peer:
        stream = await open_websocket("localhost", peer.port, subprotocol="mqtt", ssl_context=trust)
        await anyio.aclose_forcefully(stream)
        await peer.over.wait()


async def test_a_silent_peer(
    monkeypatch: pytest.MonkeyPatch, server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    monkeypatch.setattr(_websocket, "CONNECT_SECONDS", 0.05)
    async with serving(silence, server_context) as peer:
        error = await refusal(peer, trust, ConnectError)
    assert "did not open a WebSocket within 0.05 s" in str(error)


async def test_cancelling_leaves_nothing_open(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    asked = anyio.Event()

    async def never(stream: ByteStream) -> None:
        await head(stream)
        asked.set()
        await silence(stream)

    async def open_one(port: int) -> None:
        await open_websocket("localhost", port, subprotocol="mqtt", ssl_context=trust)

    async with serving(never, server_context) as peer:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_one, peer.port)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await peer.over.wait()
