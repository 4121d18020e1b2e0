from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from c2dkit._driver import Driver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from c2dkit._driver import Clock


class Echo:
    """An engine that says back, line by line, what it hears."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.deadline: float | None = None
        self.heard = b""

    def receive_data(self, data: bytes) -> list[bytes]:
        self.heard += data
        if b"bad" in data:
            self.out += b"why\n"
            raise ValueError("bad line")
        return data.splitlines()

    def data_to_send(self) -> bytes:
        data = bytes(self.out)
        self.out.clear()
        return data

    def tick(self, now: float) -> float | None:
        if self.deadline is not None and now >= self.deadline:
            raise TimeoutError("silent")
        return self.deadline


class Running:
    """A driver over one end of a socket pair, with what it reported."""

    def __init__(self, stream: SocketStream, peer: SocketStream, clock: Clock | None) -> None:
        self.engine = Echo()
        self.peer = peer
        self.events: list[bytes] = []
        self.causes: list[Exception | None] = []
        self.over = anyio.Event()
        self.sent = anyio.Event()
        self.driver: Driver[bytes] = Driver(
            stream,
            self.engine,
            handle=self._handle,
            on_closed=self._closed,
            on_sent=self._on_sent,
            clock=clock,
        )

    def _handle(self, events: Sequence[bytes]) -> None:
        self.events.extend(events)
        for event in events:
            self.engine.out += event + b"\n"

    def _on_sent(self) -> None:
        self.sent.set()

    def _closed(self, cause: Exception | None) -> None:
        self.causes.append(cause)
        self.over.set()


@asynccontextmanager
async def running(clock: Clock | None = None) -> AsyncGenerator[Running]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        stream = await anyio.connect_tcp("127.0.0.1", port)
        accepted: asyncio.Future[SocketStream] = asyncio.get_running_loop().create_future()

        async def accept(peer: SocketStream) -> None:
            accepted.set_result(peer)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, accept)
            await accepted
            tasks.cancel_scope.cancel()
    peer = accepted.result()
    run = Running(stream, peer, clock)
    try:
        with anyio.fail_after(20):
            yield run
    finally:
        await run.driver.aclose()
        await peer.aclose()


async def test_events_reach_the_handler_and_answers_the_peer() -> None:
    async with running() as run:
        run.driver.start(b"first\n")
        assert await run.peer.receive() == b"first\n"
        await run.peer.send(b"second\n")
        assert await run.peer.receive() == b"second\n"
        assert run.events == [b"first", b"second"]


async def test_what_one_turn_queues_is_written_at_once() -> None:
    async with running() as run:
        run.driver.start()
        for word in (b"one ", b"two ", b"three"):
            run.engine.out += word
            run.driver.wake()
        assert await run.peer.receive() == b"one two three"


async def test_it_says_whether_the_stream_takes_more() -> None:
    async with running() as run:
        run.driver.start()
        run.engine.out += bytes(20_000_000)  # more than the sockets hold
        run.driver.wake()
        await anyio.wait_all_tasks_blocked()
        assert run.driver.sending
        assert not run.sent.is_set()
        received = 0
        while received < 20_000_000:
            received += len(await run.peer.receive())
        await run.sent.wait()
        assert not run.driver.sending


async def test_the_peers_end_of_stream_is_an_orderly_end() -> None:
    async with running() as run:
        run.driver.start()
        await run.peer.aclose()
        await run.over.wait()
        assert run.causes == [None]


async def test_an_engine_error_is_the_cause_and_its_last_word_is_written() -> None:
    async with running() as run:
        run.driver.start()
        await run.peer.send(b"bad\n")
        assert await run.peer.receive() == b"why\n"
        await run.over.wait()
        assert [str(cause) for cause in run.causes] == ["bad line"]


async def test_the_engines_timer_ends_a_silent_connection() -> None:
    async with running() as run:
        run.engine.deadline = anyio.current_time() + 0.01
        run.driver.start()
        await run.over.wait()
        assert [type(cause) for cause in run.causes] == [TimeoutError]


async def test_finish_writes_what_is_unsent_and_then_ends() -> None:
    async with running() as run:
        run.driver.start()
        run.engine.out += b"goodbye"
        run.driver.finish()
        assert await run.peer.receive() == b"goodbye"
        with pytest.raises(anyio.EndOfStream):
            await run.peer.receive()
        await run.over.wait()
        assert run.causes == [None]


async def test_close_lingers_for_what_the_peer_still_says() -> None:
    async with running() as run:
        run.driver.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: run.driver.aclose(linger=5))
            await run.peer.send(b"last\n")
            assert await run.peer.receive() == b"last\n"
            await run.peer.aclose()
        assert run.events == [b"last"]


async def test_close_twice_and_before_start() -> None:
    async with running() as run:
        await run.driver.aclose()
        assert run.causes == []
    async with running() as run:
        run.driver.start()
        await run.driver.aclose()
        await run.driver.aclose()
        assert run.causes == [None]


async def test_a_peer_that_does_not_read_cannot_hold_up_a_close() -> None:
    async with running() as run:
        run.driver.start()
        run.engine.out += bytes(8_000_000)
        run.driver.wake()
        await run.driver.aclose()
        assert run.causes == [None]


async def test_paused_reading_resumes_with_nothing_lost() -> None:
    async with running() as run:
        run.driver.start(b"first\n")
        assert await run.peer.receive() == b"first\n"
        run.driver.pause_reading()
        await run.peer.send(b"second\n")
        assert await run.peer.receive() == b"second\n"  # the read under way
        await run.peer.send(b"third\n")
        await anyio.wait_all_tasks_blocked()
        assert run.events == [b"first", b"second"]
        run.driver.resume_reading()
        assert await run.peer.receive() == b"third\n"


async def test_close_right_after_start_ends_all_the_same() -> None:
    async with running() as run:
        run.driver.start()
        run.driver.finish()
        await run.over.wait()
        assert run.causes == [None]


class Due(NamedTuple):
    """A callback to come, which nothing here cancels."""

    at: float
    callback: Callable[[], None]

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        pass


class StandingClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[Due] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Due:
        self.due.append(Due(when, callback))
        return self.due[-1]


async def test_the_engine_lives_by_the_clock_that_is_given() -> None:
    clock = StandingClock()
    async with running(clock) as run:
        run.engine.deadline = 160.0
        run.driver.start(b"first\n")
        await run.peer.receive()
        (due,) = clock.due
        assert due.when() == 160.0
        clock.now = 161.0
        due.callback()
        await run.over.wait()
        assert isinstance(run.causes[0], TimeoutError)
