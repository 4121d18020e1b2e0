"""Runs each example as its own process against a local hub."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from c2dkit.hub import ConnectionEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import Process

    from c2dkit.hub import LocalHub

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 20


class Program:
    """A running example whose output is read as it comes."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self._output = TextReceiveStream(process.stdout)
        self.text = ""

    async def until(self, pattern: str) -> re.Match[str]:
        while (match := re.search(pattern, self.text)) is None:
            self.text += await self._output.receive()
        return match


@asynccontextmanager
async def running(hub: LocalHub, *command: str) -> AsyncGenerator[Program]:
    env = {
        **os.environ,
        "IOTHUB_CONNECTION_STRING": hub.service_connection_string,
        "IOTHUB_DEVICE_CONNECTION_STRING": hub.device_connection_string("dev-1"),
        "IOTHUB_DEVICE_ID": "dev-1",
        "SSL_CERT_FILE": str(hub.ca_file),
    }
    script, *arguments = command
    with anyio.fail_after(SECONDS):
        process = await anyio.open_process([sys.executable, str(EXAMPLES / script), *arguments], env=env, stderr=None)
        try:
            yield Program(process)
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()


@pytest.mark.parametrize("transport", ["amqp", "mqtt"])
async def test_send_receive_and_feedback(hub: LocalHub, transport: str) -> None:
    async with (
        running(hub, "receive.py", transport) as device,
        running(hub, "feedback.py") as feedback,
        running(hub, "send.py", "dev-1", '{"delay_s": 5}') as sender,
    ):
        message_id = (await sender.until(r"queued for dev-1: (\S+)\n"))[1]
        await device.until(re.escape(f"{message_id}: {{'delay_s': 5}} {{}}\n"))
        await feedback.until(re.escape(f" dev-1 {message_id}: Success\n"))


async def test_send_takes_what_is_not_json_as_text(hub: LocalHub) -> None:
    async with running(hub, "receive.py") as device, running(hub, "send.py", "dev-1", "hello, device"):
        await device.until("'hello, device'")


@pytest.mark.parametrize("transport", ["amqp", "mqtt", "https"])
async def test_sigterm_lets_the_handler_under_way_end(hub: LocalHub, tmp_path: Path, transport: str) -> None:
    file = str(tmp_path / "journal")
    async with running(hub, "send.py", "dev-1", '{"delay_s": 5}') as sender:  # before the one poll that https makes
        message_id = (await sender.until(r"queued for dev-1: (\S+)\n"))[1]
    async with running(hub, "handle.py", file, transport) as device:
        await device.until(f"handling {message_id}: ")
        device.process.send_signal(signal.SIGTERM)
        await device.until(f"handled {message_id}\nstopped\n")
        assert await device.process.wait() == 0
    assert hub.queue_depth("dev-1") == 0


@pytest.mark.parametrize("example", ["receive.py", "feedback.py", "article/simulated_device.py"])
async def test_ctrl_c_ends_it_without_a_traceback(hub: LocalHub, example: str) -> None:
    with hub.events() as events:
        async with running(hub, example) as program:
            async for event in events:
                if isinstance(event, ConnectionEvent) and event.what == "connected":
                    break
            program.process.send_signal(signal.SIGINT)
            assert await program.process.wait() == 0


async def test_article(hub: LocalHub) -> None:
    async with running(hub, "article/simulated_device.py") as device:
        await device.until("Device connected\n")
        async with running(hub, "article/send_cloud_to_device_message.py") as back_end:
            await device.until("Id: My Message ID Body: Cloud to device message.\ncomplete sent\n")
            await back_end.until("Feedback message: My Message ID Success\n")


def test_every_example_is_run_here() -> None:
    names = {path.name for path in EXAMPLES.rglob("*.py") if "in_memory_transport" not in path.parts}
    assert names == set(re.findall(r'"(?:article/)?(\w+\.py)"', Path(__file__).read_text("utf-8")))
