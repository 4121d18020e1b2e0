"""``python -m bench half-open``: how long until a link is found whose other end is out of reach."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from c2dkit import C2dError, CloudSender, ConnectionState, DeviceReceiver, FeedbackStream, RetryPolicy
from c2dkit._rules.limits import DEVICE_QUEUE_DEPTH
from c2dkit.hub import LocalHub
from c2dkit.transports import HttpsDeviceTransport, PollingInterval

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from c2dkit._payloads import DefaultPayload

__all__ = ["add_arguments", "main"]

ONCE = RetryPolicy.none()
POLLING = PollingInterval.every(timedelta(seconds=1))
LONGEST_SECONDS = 120.0
DEVICE_TRANSPORTS = ("amqp", "amqp-ws", "mqtt", "mqtt-ws", "https")
SERVICE_TRANSPORTS = ("amqp", "amqp-ws", "https")

Wait: TypeAlias = Callable[[], Awaitable[object]]
"""What ends, with an error, when the link is found dead."""


class Proxy:
    """An HTTP proxy that, once told to, throws away what goes through it and keeps every connection open."""

    def __init__(self) -> None:
        self.url = ""
        self.loses = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host, _, port = head.split(" ", 2)[1].rpartition(":")
        hub_reader, hub_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for source, sink in ((reader, hub_writer), (hub_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, sink)))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if not self.loses:
                    sink.write(data)
            if not self.loses:
                sink.close()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def running_proxy() -> AsyncGenerator[Proxy]:
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.aclose()


def add_arguments(_: argparse.ArgumentParser) -> None:
    """Declare the command's options: there are none."""


def main(_: argparse.Namespace) -> None:
    """Measure all links at once, and print when each was found."""
    print("| link | what waits | found after, s |\n|---|---|---:|")
    for (link, what), seconds in asyncio.run(_measure()).items():
        print(f"| {link} | {what} | {seconds:.1f} |")


async def _measure() -> dict[tuple[str, str], float]:
    waiting: dict[tuple[str, str], Wait] = {}
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(LocalHub(devices=[f"dev-{number}" for number in range(7)]))
        proxy = await stack.enter_async_context(running_proxy())
        for number, name in enumerate(DEVICE_TRANSPORTS):
            receiver = _receiver(hub, proxy, number, name)
            waiting[f"device, `{name}`", "the next message"] = (await stack.enter_async_context(receiver)).__anext__
        for name in SERVICE_TRANSPORTS:
            feedback = await stack.enter_async_context(_feedback(hub, proxy, name))
            waiting[f"back end, `{name}`", "the next record of feedback"] = feedback.__anext__
        for name in SERVICE_TRANSPORTS[:2]:
            sender = await stack.enter_async_context(_sender(hub, proxy, name))
            await sender.send("dev-6", "hello")
            waiting[f"back end, `{name}`", "a send"] = partial(sender.send, "dev-6", "hello")
        busy = await stack.enter_async_context(_receiver(hub, proxy, 5, "mqtt", prefetch=1))
        await _fill(hub, "dev-5")
        waiting["device, `mqtt`", "nothing: 50 messages are unread"] = partial(_closed, busy)
        proxy.loses = True
        return await _times(waiting)


def _receiver(
    hub: LocalHub, proxy: Proxy, number: int, name: str, *, prefetch: int = 10
) -> DeviceReceiver[DefaultPayload]:
    transport = partial(HttpsDeviceTransport, polling=POLLING) if name == "https" else name
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string(f"dev-{number}"),
        transport=transport,
        ssl_context=hub.ssl_context(),
        proxy=proxy.url,
        retry=ONCE,
        prefetch=prefetch,
    )


def _sender(hub: LocalHub, proxy: Proxy, name: str) -> CloudSender:
    return CloudSender.from_connection_string(
        hub.service_connection_string, transport=name, ssl_context=hub.ssl_context(), proxy=proxy.url, retry=ONCE
    )


def _feedback(hub: LocalHub, proxy: Proxy, name: str) -> FeedbackStream:
    return FeedbackStream.from_connection_string(
        hub.service_connection_string, transport=name, ssl_context=hub.ssl_context(), proxy=proxy.url, retry=ONCE
    )


async def _fill(hub: LocalHub, device_id: str) -> None:
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=hub.ssl_context()
    ) as sender:
        for _ in range(DEVICE_QUEUE_DEPTH):
            await sender.send(device_id, "unread")


async def _closed(receiver: DeviceReceiver[DefaultPayload]) -> object:
    return await receiver.connection.wait_for(ConnectionState.CLOSED)


async def _times(waiting: dict[tuple[str, str], Wait]) -> dict[tuple[str, str], float]:
    return dict(zip(waiting, await asyncio.gather(*(_time(wait) for wait in waiting.values())), strict=True))


async def _time(wait: Wait) -> float:
    began = time.perf_counter()
    with contextlib.suppress(C2dError):
        await asyncio.wait_for(wait(), LONGEST_SECONDS)
    return time.perf_counter() - began
