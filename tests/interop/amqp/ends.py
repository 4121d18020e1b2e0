"""The two ends of a connection on loopback: c2dkit's AMQP engine, and a stranger that does as it is told."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute, SocketListener
from anyio.streams.tls import TLSStream

from c2dkit._driver import Driver
from c2dkit._protocols import amqp

from ..conftest import node, node_environment, python, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import ByteStream

    from ..conftest import Program

T = TypeVar("T")
Role = Literal["client", "server"]

OLD_RHEA = "rhea-of-azure-iothub"
STRANGERS = ["proton", "rhea", OLD_RHEA]
"""Those that take both roles; uamqp is a client, and knows no connection without TLS."""
HEARTBEAT = b"\x00\x00\x00\x08\x02\x00\x00\x00"
MAX_FRAME_SIZE = 1024
"""Of both ends, in bytes: small, so that a message of some kilobytes has many frames."""
WINDOW = 32
"""How many frames the stranger may send ahead."""


class Heard(Generic[T]):
    """What came from somewhere, to be awaited one by one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[T] = asyncio.Queue()
        self.put = self._queue.put_nowait

    async def next(self) -> T:
        with anyio.fail_after(20):
            return await self._queue.get()

    def is_empty(self) -> bool:
        return self._queue.empty()


class Tapped:
    """An engine whose bytes are looked at on their way."""

    def __init__(self, connection: amqp.Connection) -> None:
        self._connection = connection
        self.heard = bytearray()
        self.said = bytearray()
        self.heartbeats_heard: Heard[None] = Heard()
        self.heartbeats_said: Heard[None] = Heard()

    def receive_data(self, data: bytes) -> Sequence[amqp.Event]:
        self.heard += data
        if data == HEARTBEAT:
            self.heartbeats_heard.put(None)
        return self._connection.receive_data(data)

    def data_to_send(self) -> bytes:
        data = self._connection.data_to_send()
        self.said += data
        if data == HEARTBEAT:
            self.heartbeats_said.put(None)
        return data

    def tick(self, now: float) -> float | None:
        return self._connection.tick(now)


class End:
    """c2dkit's end."""

    def __init__(self, stream: ByteStream, connection: amqp.Connection) -> None:
        self.connection = connection
        self.tap = Tapped(connection)
        self.events: Heard[amqp.Event] = Heard()
        self.causes: Heard[Exception | None] = Heard()
        self.driver = Driver(stream, self.tap, handle=self.take, on_closed=self.causes.put)
        self.driver.start()

    def take(self, events: Sequence[amqp.Event]) -> None:
        for event in events:
            self.events.put(event)

    def wake(self) -> None:
        """Have what the engine was told to say sent."""
        self.driver.wake()

    async def expect(self, expected: amqp.Event) -> None:
        """The very next event."""
        event = await self.events.next()
        assert event == expected, f"{event!r} is not {expected!r}"

    async def next(self, kind: type[T]) -> T:
        """The very next event, which is of a kind."""
        event = await self.events.next()
        assert isinstance(event, kind), f"{event!r} is not {kind.__name__}"
        return event


class Stranger:
    """The program of a stranger, which is one end of one connection."""

    def __init__(self, name: str, program: Program, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.tls = tls
        self._program = program
        self.stop = program.stop

    async def tell(self, do: str, **details: object) -> None:
        await self._program.tell(json.dumps({"do": do, **details}))

    async def next(self) -> list[object]:
        with anyio.fail_after(20):
            said = json.loads(await self._program.line('["'))
        assert isinstance(said, list)
        return said

    async def expect(self, *expected: object) -> None:
        """The very next thing that the program tells."""
        said = await self.next()
        assert said == list(expected), f"{said} is not {list(expected)}"


@asynccontextmanager
async def run_stranger(name: str) -> AsyncIterator[Stranger]:
    if name == "uamqp":
        async with run_uamqp() as stranger:
            yield stranger
        return
    command, environment = python("amqp/proton_peer.py"), dict[str, str]()
    if name.startswith("rhea"):
        if shutil.which("node") is None:
            pytest.fail("node is missing")
        command, environment = [*node("amqp/rhea_peer.js"), name.partition("-of-")[2]], node_environment()
    async with running(command, environment) as program:
        await program.line('["ready"')
        yield Stranger(name, program)


@asynccontextmanager
async def run_uamqp() -> AsyncIterator[Stranger]:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    with authority.cert_pem.tempfile() as ca_file:
        async with running(python("amqp/uamqp_peer.py"), {"CA_FILE": ca_file}) as program:
            await program.line('["ready"')
            yield Stranger("uamqp", program, tls)


def make_engine(
    role: Role,
    sasl: amqp.SaslClient | amqp.SaslServer | None,
    *,
    silence: float = 60.0,
) -> amqp.Connection:
    """Make c2dkit's engine; ``silence`` is how many seconds of it are too many."""
    return amqp.Connection(
        container_id="c2dkit",
        hostname="hub.example",
        server=role == "server",
        sasl=sasl,
        idle_timeout=silence,
        max_frame_size=MAX_FRAME_SIZE,
        incoming_window=WINDOW,
    )


def settings(
    mechanism: str | None, *, username: str | None = None, password: str | None = None, silence: float = 60.0
) -> dict[str, object]:
    """What a stranger is to use."""
    return {
        "mechanism": mechanism,
        "username": username,
        "password": password,
        "silence": silence,
        "max_frame_size": MAX_FRAME_SIZE,
    }


@asynccontextmanager
async def connected(
    stranger: Stranger, role: Role, engine: amqp.Connection, options: dict[str, object]
) -> AsyncIterator[End]:
    """Connect the two; in the role of the client c2dkit's end dials."""
    stream = await (dial if role == "client" else accept)(stranger, options)
    end = End(stream, engine)
    if role == "client":
        engine.open()
        end.wake()
    try:
        yield end
    finally:
        await end.driver.aclose()


async def dial(stranger: Stranger, options: dict[str, object]) -> ByteStream:
    await stranger.tell("listen", **options)
    what, port = await stranger.next()
    assert what == "listening"
    assert isinstance(port, int)
    return await anyio.connect_tcp("127.0.0.1", port)


async def accept(stranger: Stranger, options: dict[str, object]) -> ByteStream:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listeners:
        (listener,) = listeners.listeners
        assert isinstance(listener, SocketListener)
        await stranger.tell("connect", port=listener.extra(SocketAttribute.local_port), **options)
        with anyio.fail_after(30):
            stream = await listener.accept()
            if stranger.tls is None:
                return stream
            return await TLSStream.wrap(stream, ssl_context=stranger.tls, standard_compatible=False)


async def let_in(end: End, mechanism: str) -> None:
    """Let the stranger in, as the server that it has chosen a SASL mechanism of."""
    event = await end.next(amqp.SaslInitReceived)
    assert event.mechanism == mechanism
    end.take(end.connection.sasl_outcome(amqp.SASL_OK))
    end.wake()


async def open_both(end: End, stranger: Stranger, role: Role, *, silence: float = 60.0) -> None:
    """Have OPEN go both ways, and check what either end learns of the other."""
    await end.expect(amqp.Opened(end.connection))
    end.connection.open()  # a client has done so
    end.wake()
    remote = end.connection.remote_open
    assert remote is not None
    assert (remote.container_id, remote.max_frame_size) == ("stranger", MAX_FRAME_SIZE)
    assert (remote.idle_time_out, remote.hostname) == (silence * 500, "hub.example" if role == "server" else None)
    if stranger.name == "uamqp":  # which tells nothing of the peer
        return
    hostname = "hub.example" if role == "client" else None
    await stranger.expect("opened", "c2dkit", hostname, MAX_FRAME_SIZE, silence * 500)


@asynccontextmanager
async def joined(stranger: Stranger, role: Role, *, silence: float = 60.0) -> AsyncIterator[End]:
    """Open a connection of the two, without credentials."""
    sasl = amqp.anonymous() if role == "client" else amqp.SaslServer(["ANONYMOUS"])
    engine = make_engine(role, sasl, silence=silence)
    async with connected(stranger, role, engine, settings("ANONYMOUS", silence=silence)) as end:
        if role == "server":
            await let_in(end, "ANONYMOUS")
        await open_both(end, stranger, role, silence=silence)
        yield end
