"""One hub in one folder, through many processes."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from anyio.abc import Process

PROGRAM = Path(__file__).with_name("hub_process.py")


class Lives:
    """Starts and kills the processes.

    Attributes:
        running: Whether there is a process that listens.
    """

    def __init__(self, folder: Path) -> None:
        self.running = False
        self._folder = folder
        self._up = anyio.Event()
        self._facts: dict[str, Any] = {"port": 0}
        self._process: Process | None = None

    @property
    def service(self) -> str:
        return str(self._facts["service"])

    @property
    def devices(self) -> dict[str, str]:
        return dict(self._facts["devices"])

    @property
    def ca_file(self) -> str:
        return str(self._facts["ca_file"])

    async def up(self) -> None:
        """Wait until a process listens."""
        await self._up.wait()

    async def spawn(self, *, advance: int = 0) -> None:
        """Start a process, whose clock moves ahead once it listens."""
        command = [sys.executable, str(PROGRAM), str(self._folder), str(self._facts["port"]), str(advance)]
        self._process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None)

    async def ready(self) -> None:
        """Wait until the process listens, with what it listened with before."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            line += await self._process.stdout.receive()
        facts = json.loads(line)
        assert self._facts in ({"port": 0}, facts), "a hub has other keys after a restart"
        self._facts = facts
        self.running = True
        self._up.set()

    async def kill(self) -> None:
        """Kill the process at once."""
        self._forget()
        assert self._process is not None
        assert self._process.returncode is None, "the hub has ended by itself"
        self._process.kill()
        await self.end()

    async def end(self) -> None:
        """Have no process any more."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await process.aclose()

    def _forget(self) -> None:
        self.running = False
        if self._up.is_set():
            self._up = anyio.Event()
