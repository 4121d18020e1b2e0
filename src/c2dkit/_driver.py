"""Moves bytes between one sans-IO engine and one byte stream, and keeps the engine's time.

Reading and writing are two tasks. What the engine has to say is written once per turn of the event loop, however many
calls queued something: that is where the speed of acknowledging comes from.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import ByteStream

__all__ = ["Clock", "Driver", "Engine"]

EventT_co = TypeVar("EventT_co", covariant=True)
EventT = TypeVar("EventT")

READ_SIZE = 65536
LAST_WORD_SECONDS = 1.0


class Handle(Protocol):
    """A callback to come."""

    def when(self) -> float:
        """Return its time."""
        ...

    def cancel(self) -> None:
        """Never call back."""
        ...


class Clock(Protocol):
    """Seconds that never go back. An event loop is one; the local hub has another, which a test may move."""

    def time(self) -> float:
        """Return the time."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Handle:
        """Call back once it is that time; never before this call has returned."""
        ...


class Engine(Protocol[EventT_co]):
    """A protocol as a state machine: bytes and time in, events and bytes out."""

    def receive_data(self, data: bytes) -> Sequence[EventT_co]:
        """Take bytes from the peer and return what they mean; raises the engine's protocol error."""
        ...

    def data_to_send(self) -> bytes:
        """Return, and forget, everything that waits to be sent."""
        ...

    def tick(self, now: float) -> float | None:
        """Do what is due at ``now`` and return when to be called again; raises on a silent peer."""
        ...


class Driver(Generic[EventT]):
    """Runs one engine over one stream until either end is done.

    ``handle`` gets each read's events and ``on_closed`` the reason of the end: None after ``aclose`` and after the
    peer's orderly end of stream; ``on_sent``, if given, is called whenever the stream has taken what it was given. All
    are called in the event loop and must not block. A driver belongs to the event loop, not to the task that made it,
    so closing it from another task is fine. The engine's time is that of ``clock``, by default the event loop's.

    Attributes:
        sending: Whether the stream has not taken yet what it was given. Who has more to say than answers waits for
            ``on_sent`` then, for a peer that does not read would make the engine keep all of it.
    """

    def __init__(
        self,
        stream: ByteStream,
        engine: Engine[EventT],
        *,
        handle: Callable[[Sequence[EventT]], None],
        on_closed: Callable[[Exception | None], None],
        on_sent: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.sending = False
        self._stream = stream
        self._engine = engine
        self._handle = handle
        self._on_closed = on_closed
        self._on_sent = on_sent
        self._loop = asyncio.get_running_loop()
        self._clock: Clock = clock or self._loop
        self._unsent = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self._ending = False
        self._over = asyncio.Event()
        self._cause: Exception | None = None
        self._timer: Handle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    def start(self, initial: bytes = b"") -> None:
        """Begin to move bytes; ``initial`` is what had been read from the stream before."""
        self._writer = asyncio.create_task(self._write())
        self._reader = asyncio.create_task(self._read(initial))
        self._reader.add_done_callback(self._reading_over)  # a task cancelled before its first step runs no finally
        self.wake()

    def wake(self) -> None:
        """Have what the engine has to say written at the end of this turn of the loop."""
        self._unsent.set()

    def pause_reading(self) -> None:
        """Read nothing more after the read under way: TCP then slows the peer down."""
        self._readable.clear()

    def resume_reading(self) -> None:
        """Undo ``pause_reading``."""
        self._readable.set()

    def finish(self, cause: Exception | None = None) -> None:
        """End the connection once what the engine has to say is written, or cannot be within a second."""
        if self._ending:
            return
        self._ending = True
        self._cause = cause
        self.wake()
        if self._reader is not None:
            self._deadline = self._loop.call_later(LAST_WORD_SECONDS, self._reader.cancel)

    async def aclose(self, *, linger: float = 0.0) -> None:
        """End the connection and wait until it is over. Idempotent.

        Args:
            linger: For how many seconds to go on reading, in the hope that the peer ends the connection. Closing a
                socket that holds unread bytes resets it, and what was written last may then never be read.

        Cancellation: the connection still ends, without being waited for.
        """
        if self._reader is None:
            await anyio.aclose_forcefully(self._stream)
            return
        self.resume_reading()
        self.wake()
        try:
            if linger > 0:
                await asyncio.wait([self._reader], timeout=linger)
        finally:
            self.finish()
        await self._over.wait()

    async def _read(self, initial: bytes) -> None:
        try:
            if initial:
                self._feed(initial)
            while True:
                if not self._readable.is_set():
                    await self._readable.wait()
                self._feed(await self._stream.receive(READ_SIZE))
        except anyio.EndOfStream:
            pass
        except Exception as error:  # noqa: BLE001 - whatever ends the connection is its cause
            # A protocol error leaves something for the peer in the engine: an AMQP close that says why, for one.
            self.finish(error)

    def _reading_over(self, _: asyncio.Task[None]) -> None:
        self._releasing = asyncio.create_task(self._release())

    async def _write(self) -> None:
        try:
            while not self._ending or self._unsent.is_set():
                await self._unsent.wait()
                self._unsent.clear()
                data = self._engine.data_to_send()
                if data:
                    await self._send(data)
                self._keep_time()
        except Exception as error:  # noqa: BLE001 - whatever ends the connection is its cause
            self.finish(error)
        if self._reader is not None:
            self._reader.cancel()

    async def _send(self, data: bytes) -> None:
        self.sending = True
        await self._stream.send(data)
        self.sending = False
        if self._on_sent is not None:
            self._on_sent()

    async def _release(self) -> None:
        if self._writer is not None:
            if self._ending:
                await asyncio.wait([self._writer], timeout=LAST_WORD_SECONDS)
            self._writer.cancel()
            await asyncio.wait([self._writer])
        for handle in (self._timer, self._deadline):
            if handle is not None:
                handle.cancel()
        self._ending = True
        await anyio.aclose_forcefully(self._stream)
        self._over.set()
        self._on_closed(self._cause)

    def _feed(self, data: bytes) -> None:
        try:
            events = self._engine.receive_data(data)
            if events:
                self._handle(events)
        finally:
            self.wake()
        self._keep_time()

    def _keep_time(self) -> None:
        deadline = self._engine.tick(self._clock.time())
        if self._timer is not None:
            if deadline is not None and self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._clock.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self._keep_time()
        except Exception as error:  # noqa: BLE001 - whatever ends the connection is its cause
            self.finish(error)
        self.wake()
