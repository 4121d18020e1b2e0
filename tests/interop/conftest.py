"""What the tests against other implementations share. Whatever is missing is a failure, never a skip."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from c2dkit.hub import HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from anyio.abc import Process

HERE = Path(__file__).parent


class OfficialHub(NamedTuple):
    """`c2dkit hub` on the standard ports, which official SDKs dial; what its ready file says."""

    service: str
    device: str
    ca_file: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SERVICE_CONNECTION_STRING": self.service,
            "DEVICE_CONNECTION_STRING": self.device,
            "TARGET_DEVICE": "dev-1",
            "CA_FILE": self.ca_file,
            "NODE_EXTRA_CA_CERTS": self.ca_file,
        }


@pytest.fixture
def official_hub(tmp_path: Path) -> Iterator[OfficialHub]:
    ready = tmp_path / "ready.json"
    command = [str(Path(sys.executable).with_name("c2dkit")), "hub", "--device", "dev-1", "--feedback-interval", "0.2"]
    with subprocess.Popen([*command, "--ready-file", str(ready)], stdout=subprocess.DEVNULL) as hub:
        try:
            wait_for(ready, hub)
            told = json.loads(ready.read_text("utf-8"))
            yield OfficialHub(told["service_connection_string"], told["devices"]["dev-1"], told["ca_file"])
        finally:
            hub.send_signal(signal.SIGTERM)
            assert hub.wait(10) == 0


@pytest.fixture
async def standard_hub() -> AsyncIterator[LocalHub]:
    """A hub in this process on the standard ports, of an address that no other hub listens on."""
    options = HubOptions(feedback_interval=timedelta(0))
    async with LocalHub(
        devices=["dev-1", "dev-2"], host="127.0.0.77", amqp_port=5671, mqtt_port=8883, https_port=443, options=options
    ) as hub:
        yield hub


def wait_for(ready: Path, hub: subprocess.Popen[bytes]) -> None:
    for _ in range(1000):
        if ready.exists():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"the hub ended with status {hub.wait(0.02)} before it was ready")
    pytest.fail("the hub was not ready within 20 s")


class Program:
    """A running program of a stranger, whose lines are read as they come."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._text = TextReceiveStream(process.stdout)
        self._unread = ""
        self.lines: list[str] = []

    async def tell(self, line: str) -> None:
        """Write a line to the program."""
        assert self._process.stdin is not None
        await self._process.stdin.send(line.encode() + b"\n")

    def stop(self) -> None:
        """Have it stand still, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    async def line(self, start: str) -> str:
        """Return the next line that begins so, reading on to it."""
        with anyio.fail_after(30):
            while True:
                while "\n" in self._unread:
                    line, _, self._unread = self._unread.partition("\n")
                    self.lines.append(line)
                    if line.startswith(start):
                        return line
                try:
                    self._unread += await self._text.receive()
                except anyio.EndOfStream:
                    pytest.fail(f"the program ended before a line that begins with {start!r}; it said: {self.lines}")


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Program]:
    """Run a program for the time of the block; ended by its process id."""
    process = await anyio.open_process(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


def node(script: str) -> list[str]:
    """Return the command for a Node program of this folder."""
    return ["node", str(HERE / script)]


def node_environment() -> dict[str, str]:
    """Where Node finds the packages that the session has installed."""
    folder = os.environ.get("C2DKIT_NODE_MODULES")
    assert folder, "set C2DKIT_NODE_MODULES to the folder that holds node_modules; `nox -s interop` does"
    return {"NODE_PATH": str(Path(folder) / "node_modules")}


def python(script: str) -> list[str]:
    """Return the command for a Python program of this folder."""
    return [sys.executable, str(HERE / script)]
