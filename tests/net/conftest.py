"""Peers on loopback for what opens connections: a TLS server with a certificate of its own, and a real proxy."""

from __future__ import annotations

import base64
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import ByteStream, Listener

    Handler = Callable[[ByteStream], Awaitable[None]]

BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class Peer:
    """A server that does whatever a test wants with each connection.

    Attributes:
        port: Its port on 127.0.0.1.
        over: Set when the handler of a connection has ended.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = anyio.Event()


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncGenerator[Peer]:
    listener: Listener[ByteStream] = await anyio.create_tcp_listener(local_host="127.0.0.1")
    peer = Peer(listener.extra(SocketAttribute.local_port))
    if context is not None:
        listener = TLSListener(listener, context, standard_compatible=False)

    async def handle(stream: ByteStream) -> None:
        try:
            with suppress(*BROKEN):
                await handler(stream)
        finally:
            await anyio.aclose_forcefully(stream)
            peer.over.set()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield peer
        tasks.cancel_scope.cancel()


async def echo(stream: ByteStream) -> None:
    async for data in stream:
        await stream.send(data)


async def silence(stream: ByteStream) -> None:
    """Read to the end and say nothing."""
    async for _ in stream:
        pass


async def head(stream: ByteStream) -> str:
    """Read a request up to its empty line."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += await stream.receive(1)
    return data.decode()


class Tunnel:
    """What a proxy has connected. What it loses is read and thrown away, and both connections stay open."""

    def __init__(self) -> None:
        self.loses_to_hub = False
        self.loses_to_client = False

    async def pass_on(self, client: ByteStream, upstream: ByteStream) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump, upstream, client, lambda: self.loses_to_client)
            await pump(client, upstream, lambda: self.loses_to_hub)
            tasks.cancel_scope.cancel()


class ConnectProxy:
    """An HTTP proxy that does what CONNECT asks.

    Attributes:
        credentials: Who may ask, ``user:password``; None for everybody.
        targets: What was asked for and granted.
        tunnels: The same, as what was made of it.
    """

    def __init__(self, credentials: str | None = None) -> None:
        self.credentials = credentials
        self.targets: list[str] = []
        self.tunnels: list[Tunnel] = []
        self.refused = 0

    async def serve(self, client: ByteStream) -> None:
        request, *headers = (await head(client)).split("\r\n")
        method, target, version = request.split(" ")
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        if not self._grants(headers):
            self.refused += 1
            await client.send(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=c2d\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = target.rpartition(":")
        self.targets.append(target)
        async with await anyio.connect_tcp(host.strip("[]"), int(port)) as upstream:
            await client.send(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
            self.tunnels.append(Tunnel())
            await self.tunnels[-1].pass_on(client, upstream)

    def lose(self, *, to_hub: bool = True, to_client: bool = True) -> None:
        """Lose what goes through the tunnels that are there, one way or both."""
        for tunnel in self.tunnels:
            tunnel.loses_to_hub |= to_hub
            tunnel.loses_to_client |= to_client

    def _grants(self, headers: list[str]) -> bool:
        if self.credentials is None:
            return True
        return f"Proxy-Authorization: Basic {base64.b64encode(self.credentials.encode()).decode()}" in headers


async def pump(source: ByteStream, sink: ByteStream, loses: Callable[[], bool]) -> None:
    with suppress(*BROKEN):
        async for data in source:
            if not loses():
                await sink.send(data)
    if loses():
        await anyio.sleep_forever()  # the end is lost too
    await anyio.aclose_forcefully(sink)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """What a server on localhost shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return context


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    """What a client needs for it."""
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
