"""TLS servers that are no hub: what answers where a hub should."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

from c2dkit.testing.contract._local_hub import STANDARD_PORTS, local_hub, own_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import ByteStream

    from c2dkit.testing.contract._hub_view import HubView
    from c2dkit.testing.contract._legs import Leg

    Behaviour = Callable[[ByteStream], Awaitable[None]]

__all__ = ["GREETINGS", "NONSENSE", "Peer", "Relay", "hang_up", "nowhere", "opened_peer", "say", "say_and_hang_up"]

PADDING: Final = b"X-Padding: " + b"x" * 512 + b"\r\n"
NONSENSE: Final = {
    "zeros": bytes(512),
    "ones": b"\xff" * 512,
    "text": b"This is not the protocol that you are looking for.\r\n\r\n" * 8,
    "http-without-lock": b"HTTP/1.1 200 OK\r\n" + PADDING + b"Content-Length: 5\r\n\r\nhello",
    "http-bad-length": b'HTTP/1.1 200 OK\r\nETag: "1"\r\n' + PADDING + b"Content-Length: -5\r\n\r\nhello",
    "http-too-long": b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 1000000000000\r\n\r\n' + bytes(1_200_000),
}
"""Answers that are wrong in every protocol at once, so that no client has a reason to wait for more."""

GREETINGS: Final = {
    "amqp": b"AMQP\x03\x01\x00\x00" + bytes(512),
    "mqtt": b"\x20\x02\x00\x00" + b"\xff" * 512,
    "http": b"HTTP/1.1 101 Switching Protocols\r\n" + PADDING + b"\r\n" + b"\xff" * 512,
}
"""The first words of a hub, and nonsense."""


class Peer:
    """Where a stranger listens, and how a client comes to trust it.

    Attributes:
        visits: How many clients have come through the TLS handshake.
    """

    def __init__(self, host: str, port: int, trust: Path) -> None:
        self.host = host
        self.port = port
        self.trust = trust
        self.visits = 0


async def hang_up(stream: ByteStream) -> None:
    """Close at once."""


def say(data: bytes) -> Behaviour:
    """Return the behaviour of a peer that says this, whatever it hears, and leaves the rest to the client."""

    async def behaviour(stream: ByteStream) -> None:
        await stream.send(data)
        await drain(stream)

    return behaviour


def say_and_hang_up(data: bytes) -> Behaviour:
    """Return the behaviour of a peer that hears the client's first words, says this, and closes."""

    async def behaviour(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(data)

    return behaviour


async def drain(stream: ByteStream) -> None:
    """Read until the client hangs up."""
    async for _ in stream:
        pass


@asynccontextmanager
async def opened_peer(leg: Leg, behaviour: Behaviour, *, certified_name: str | None = None) -> AsyncGenerator[Peer]:
    """Listen where clients of the leg can come to; the certificate is for that host, or for another."""
    host, ports = ("localhost", (0,)) if local_hub in leg.hubs else (own_address(1), STANDARD_PORTS)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified_name or host).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    async with AsyncExitStack() as stack:
        trust = Path(stack.enter_context(authority.cert_pem.tempfile()))
        listeners = [await anyio.create_tcp_listener(local_host=host, local_port=port) for port in ports]
        for listener in listeners:
            stack.push_async_callback(listener.aclose)
        port = listeners[0].extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        peer = Peer(host, port, trust)
        serving = [
            asyncio.create_task(
                TLSListener(listener, context, standard_compatible=False).serve(partial(_visit, peer, behaviour))
            )
            for listener in listeners
        ]
        stack.push_async_callback(_cancel, serving)
        yield peer


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait(tasks)


async def _visit(peer: Peer, behaviour: Behaviour, stream: ByteStream) -> None:
    peer.visits += 1
    try:
        await behaviour(stream)
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
        return  # the client has gone, which is its right
    finally:
        await anyio.aclose_forcefully(stream)


class Relay:
    """A peer that passes everything on to a hub and back, and can put in a word."""

    def __init__(self, hub: HubView) -> None:
        self._hub = hub
        self._clients: set[ByteStream] = set()

    async def __call__(self, stream: ByteStream) -> None:
        """Serve one client."""
        host, port = self._hub.device_credential("dev-1").dial
        context = ssl.create_default_context(cafile=self._hub.trust)
        async with (
            await anyio.connect_tcp(host, port or 0, ssl_context=context, tls_standard_compatible=False) as hub,
            anyio.create_task_group() as tasks,
        ):
            self._clients.add(stream)
            tasks.start_soon(_pass_on, hub, stream)
            await _pass_on(stream, hub)
            self._clients.remove(stream)
            tasks.cancel_scope.cancel()

    async def put_in(self, data: bytes) -> None:
        """Say this to every client that is there, as if the hub had."""
        for client in tuple(self._clients):
            await client.send(data)


async def _pass_on(source: ByteStream, sink: ByteStream) -> None:
    try:
        async for data in source:
            await sink.send(data)
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


def nowhere(leg: Leg) -> tuple[str, int]:
    """Return host and port where nobody listens."""
    if local_hub not in leg.hubs:
        return own_address(2), 0
    with socket.create_server(("localhost", 0)) as taken:
        port: int = taken.getsockname()[1]
    return "localhost", port
