"""One TCP port that speaks every protocol: after the TLS handshake, the first bytes tell which."""

from __future__ import annotations

import asyncio
import errno
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, cast

import anyio
from anyio.abc import SocketAttribute

from c2dkit.hub._stranger import StrangerStream
from c2dkit.hub._tls import HandshakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import ByteStream, SocketListener, SocketStream

    from c2dkit.hub._tls import TlsContext, TlsStream

__all__ = ["Door", "Listener", "Visit"]

log = logging.getLogger("c2dkit.hub")

GREETING_SECONDS: Final = 30.0
"""How long a TLS handshake and the first bytes of a protocol may take together."""

REFUSED_SECONDS: Final = 1.0
"""How long a client whose TLS handshake failed may take to close the connection."""

RETRY_SECONDS: Final = 0.1
"""How long to wait after the operating system could not accept, for want of file descriptors for example."""


NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)
"""What the operating system says when no more files and connections can be open."""


class Visit(Protocol):
    """One connection that has come through a door."""

    @property
    def is_known(self) -> bool:
        """Whether its client has shown who it is."""
        ...

    async def aclose(self) -> None:
        """End the connection without a goodbye and wait until it is over. Idempotent."""
        ...


class Door(Protocol):
    """Starts to serve a connection.

    Called in the event loop with the bytes that were read to choose this door; calls ``on_closed`` with what it
    returned when the connection is over.
    """

    def __call__(self, stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None], /) -> Visit: ...


class Listener:
    """Accepts connections on one port, on every address of the host, and leads each to its door.

    Every connection is greeted in a task of its own, so one that is slow holds up no other. Where there is no room for
    one more, the oldest whose client is not known makes room: strangers lock nobody out.

    Args:
        context: Of the TLS handshakes.
        doors: What serves a connection, by its first bytes.
        max_connections: As many are kept at a time.
        timeout: Bounds how long a stranger may be silent, in seconds.
    """

    def __init__(
        self,
        context: TlsContext,
        doors: Mapping[bytes, Door],
        *,
        max_connections: int,
        timeout: Callable[[float], AbstractAsyncContextManager[object]],
    ) -> None:
        self._timeout = timeout
        self._context = context
        self._doors = doors
        self._max_connections = max_connections
        self._sockets: list[SocketListener] = []
        self._accepting: list[asyncio.Task[None]] = []
        # Both in the order in which they came.
        self._greeting: dict[asyncio.Task[None], None] = {}
        self._visits: dict[Visit, None] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listen; ``port`` 0 takes a free one.

        Raises:
            OSError: The port is taken or may not be used, or the host's address is not one of this machine's.
        """
        try:
            listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        self._sockets = [cast("SocketListener", each) for each in listener.listeners]
        self._accepting = [asyncio.create_task(self._accept(each)) for each in self._sockets]

    @property
    def connection_count(self) -> int:
        """How many connections have got past their greeting and are open."""
        return len(self._visits)

    async def aclose(self) -> None:
        """Stop listening and end every connection."""
        await _cancel(self._accepting)
        for each in self._sockets:
            await each.aclose()
        await self.disconnect_all()

    async def disconnect_all(self) -> None:
        """End every connection without a goodbye and wait until they are over."""
        await _cancel(self._greeting)
        await asyncio.gather(*self._dropping, *(visit.aclose() for visit in tuple(self._visits)))

    async def _accept(self, sockets: SocketListener) -> None:
        while True:
            try:
                stream = await sockets.accept()
            except OSError as error:
                log.warning("cannot accept a connection: %s", error)
                made_room = error.errno in NO_DESCRIPTOR and self._make_room()
                await asyncio.sleep(0 if made_room else RETRY_SECONDS)
                continue
            if len(self._greeting) + len(self._visits) >= self._max_connections and not self._make_room():
                log.warning("closed a connection: %d are open", self._max_connections)
                await anyio.aclose_forcefully(stream)
                continue
            task = asyncio.create_task(self._greet(stream))
            self._greeting[task] = None
            task.add_done_callback(self._greeting.pop)

    def _make_room(self) -> bool:
        """Drop the oldest connection whose client is not known; returns False if all are known."""
        greeting = next((task for task in self._greeting if not task.cancelling()), None)
        if greeting is not None:
            log.info("dropped a connection that had not spoken yet, to make room for another")
            greeting.cancel()
            return True
        stranger = next((visit for visit in self._visits if not visit.is_known), None)
        if stranger is None:
            return False
        log.info("dropped a connection without a known client, to make room for another")
        del self._visits[stranger]
        task = asyncio.create_task(stranger.aclose())
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)
        return True

    async def _greet(self, stream: SocketStream) -> None:
        try:
            async with self._timeout(GREETING_SECONDS):
                encrypted = await self._encrypt(stream)
                door, initial = await self._choose(encrypted)
        except Exception as error:  # noqa: BLE001 - whatever a stranger does costs him his connection and no more
            log.debug("a connection ended before it spoke a protocol: %r", error)
        except asyncio.CancelledError:
            await anyio.aclose_forcefully(stream)
            raise
        else:
            self._enter(door, encrypted, initial)
            return
        await anyio.aclose_forcefully(stream)

    def _enter(self, door: Door, stream: ByteStream, initial: bytes) -> None:
        stranger = StrangerStream(stream)
        visit = door(stranger, initial, self._leave)
        stranger.is_known = lambda: visit.is_known
        self._visits[visit] = None

    def _leave(self, visit: Visit) -> None:
        self._visits.pop(visit, None)

    async def _encrypt(self, stream: SocketStream) -> TlsStream:
        try:
            return await self._context.accept(stream)
        except HandshakeError as error:
            log.info("refused a TLS handshake: %s", error)
            await _await_end(stream)
            raise

    async def _choose(self, stream: ByteStream) -> tuple[Door, bytes]:
        initial = b""
        while True:
            initial += await stream.receive()
            for first, door in self._doors.items():
                if initial.startswith(first):
                    return door, initial
            if not any(first.startswith(initial) for first in self._doors):
                raise ConnectionError("no known protocol")


async def _await_end(stream: ByteStream) -> None:
    """Go on reading for a moment: closing a socket that holds unread bytes could cost the client the TLS alert."""
    with suppress(TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError):
        async with asyncio.timeout(REFUSED_SECONDS):
            while True:
                await stream.receive()


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
