"""Every transport of c2dkit through tinyproxy, whose log must show the CONNECT; it has to be on PATH."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import CloudSender, ConnectError, DeviceReceiver, FeedbackStatus, FeedbackStream

from .conftest import Program, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from c2dkit.hub import LocalHub

DEVICE_TRANSPORTS = ["amqp", "amqp-ws", "https", "mqtt", "mqtt-ws"]
SENDING_TRANSPORTS = ["amqp", "amqp-ws"]
SERVICE_TRANSPORTS = ["amqp", "amqp-ws", "https"]
USER, PASSWORD = "me", "s3cret"


class TinyProxy:
    """A running tinyproxy on a free port of loopback."""

    def __init__(self, program: Program, port: int, user: str) -> None:
        self._program = program
        self._port = port
        self._user = user

    @property
    def url(self) -> str:
        return f"http://{self._user}127.0.0.1:{self._port}"

    async def saw(self, target: str) -> None:
        """Read its log up to the next request for a tunnel to the target."""
        while f"CONNECT {target} HTTP/1.1" not in await self._program.line("CONNECT "):
            pass


def free_port() -> int:
    with socket.socket() as probe:  # tinyproxy takes 0 for a mistake
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def tinyproxy(folder: Path, *, asks: bool) -> AsyncIterator[TinyProxy]:
    port = free_port()
    config = folder / "tinyproxy.conf"
    lines = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "LogLevel Connect"]
    config.write_text("\n".join([*lines, *([f"BasicAuth {USER} {PASSWORD}"] if asks else []), ""]))
    async with running(["tinyproxy", "-d", "-c", str(config)], {}) as program:
        await ready(port)
        yield TinyProxy(program, port, f"{USER}:{PASSWORD}@" if asks else "")


async def ready(port: int) -> None:
    with anyio.fail_after(20):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.02)
            else:
                return


@pytest.fixture(params=[False, True], ids=["open", "asks"])
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TinyProxy]:
    """One that serves everybody, and one that asks for a user name and a password."""
    async with tinyproxy(tmp_path, asks=request.param) as each:
        yield each


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with anyio.fail_after(30):
        yield


def receiver(hub: LocalHub, transport: str, proxy: str) -> DeviceReceiver[object]:
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string("dev-1"), transport=transport, ssl_context=hub.ssl_context(), proxy=proxy
    )


def sender(hub: LocalHub, transport: str = "amqp", proxy: str | None = None) -> CloudSender:
    return CloudSender.from_connection_string(
        hub.owner_connection_string, transport=transport, ssl_context=hub.ssl_context(), proxy=proxy
    )


def feedback(hub: LocalHub, transport: str = "amqp", proxy: str | None = None) -> FeedbackStream:
    return FeedbackStream.from_connection_string(
        hub.service_connection_string, transport=transport, ssl_context=hub.ssl_context(), proxy=proxy
    )


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
async def test_a_device_receives_and_completes(hub: LocalHub, proxy: TinyProxy, transport: str) -> None:
    async with sender(hub) as back_end, feedback(hub) as records:
        await back_end.send("dev-1", bytes(65_000), ack="full")
        async with receiver(hub, transport, proxy.url) as device:
            message = await anext(device)
            await message.complete()
            record = await anext(records)
    assert message.body == bytes(65_000)
    assert record.status is FeedbackStatus.SUCCESS
    await proxy.saw(f"localhost:{hub.port}")


@pytest.mark.parametrize("transport", SENDING_TRANSPORTS)
async def test_a_back_end_sends(hub: LocalHub, proxy: TinyProxy, transport: str) -> None:
    async with sender(hub, transport, proxy.url) as back_end:
        await back_end.send("dev-1", bytes(65_000))
    assert hub.queue_depth("dev-1") == 1
    await proxy.saw(f"localhost:{hub.port}")


@pytest.mark.parametrize("transport", SERVICE_TRANSPORTS)
async def test_a_back_end_purges_and_receives_feedback(hub: LocalHub, proxy: TinyProxy, transport: str) -> None:
    async with sender(hub) as back_end:
        await back_end.send("dev-1", b"", ack="full")
    async with sender(hub, transport, proxy.url) as back_end:
        assert await back_end.queue_depth("dev-1") == 1
        assert await back_end.purge("dev-1") == 1
    async with feedback(hub, transport, proxy.url) as records:
        assert (await anext(records)).status is FeedbackStatus.PURGED
    for _ in range(3):
        await proxy.saw(f"localhost:{hub.port}")


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
@pytest.mark.parametrize("user", ["", f"{USER}:wrong@"])
async def test_a_proxy_that_refuses(hub: LocalHub, tmp_path: Path, transport: str, user: str) -> None:
    async with tinyproxy(tmp_path, asks=True) as proxy:
        url = proxy.url.replace(f"{USER}:{PASSWORD}@", user)
        with pytest.raises(ConnectError, match=r"proxy.*40[17]"):
            async with receiver(hub, transport, url) as device:
                await anext(device)
        await proxy.saw(f"localhost:{hub.port}")
    assert hub.connection_count == 0
