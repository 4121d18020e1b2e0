"""An HTTPS server that answers as a test tells it to, down to the bytes, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import trustme

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

CUT = b""
"""The answer that is none: the connection is cut."""

NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
"""The answer of an empty queue, and to what was done."""


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    connection: int

    @property
    def what(self) -> str:
        return f"{self.method} {self.path}"


def http(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def message(body: bytes = b"hello", lock_token: str = "lock-1") -> bytes:
    return http(200, {"ETag": f'"{lock_token}"'}, body)


class Server:
    """Answers with ``answers`` in turn, then with ``NOTHING``; a callable is asked for its answer."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.port = 0
        self.connections = 0
        self.requests: list[Request] = []
        self.answers: list[bytes | Callable[[Request], Awaitable[bytes]]] = []

    def ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
        return context

    def asked(self) -> list[str]:
        return [request.what for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = _parse(await reader.readuntil(b"\r\n\r\n"), connection)
                self.requests.append(request)
                answer = self.answers.pop(0) if self.answers else NOTHING
                data = answer if isinstance(answer, bytes) else await answer(request)
                if data == CUT:
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
                if b"Connection: close" in data:
                    return


def _parse(head: bytes, connection: int) -> Request:
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    url = urlsplit(target)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Request(method, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, connection)


@asynccontextmanager
async def serving() -> AsyncGenerator[Server]:
    server = Server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server.serve(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def tunnelling(authorization: str, asked: list[str]) -> AsyncGenerator[int]:
    """Run a proxy that connects whoever has the authorization; adds to ``asked``, and yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        asked.append(f"{method} {target}")
        if f"Proxy-Authorization: {authorization}\r\n" not in head:
            writer.write(http(407))
            writer.close()
            return
        host, _, port = target.rpartition(":")
        hub_reader, hub_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for source, sink in ((reader, hub_writer), (hub_reader, writer)):
            tasks.add(asyncio.create_task(_pump(source, sink)))

    listener = await asyncio.start_server(serve, "localhost", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        if tasks:
            await asyncio.wait(tasks)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
