"""One hub in one folder, through many processes."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tests.accounts.ledger import MAX_DELIVERY_COUNT, TTL

if TYPE_CHECKING:
    from datetime import timedelta

    from anyio.abc import Process

    from c2dkit.hub import Fault

PROGRAM = Path(__file__).with_name("hub_process.py")


class Lives:
    """Starts and kills the processes.

    Attributes:
        running: Whether there is a process that listens.
    """

    def __init__(self, folder: Path, *, ttl: timedelta = TTL) -> None:
        self.running = False
        self._folder = folder
        self._ttl = ttl
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
        arguments = (self._folder, self._facts["port"], advance, self._ttl.total_seconds(), MAX_DELIVERY_COUNT)
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        self._process = await anyio.open_process(command, stderr=None)

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

    async def inject(self, fault: Fault) -> None:
        """Have something go wrong in the process."""
        assert self._process is not None
        assert self._process.stdin is not None
        await self._process.stdin.send(f"{fault}\n".encode())

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


def what_is_left(folder: Path) -> dict[str, int]:
    """Count what a hub has left in its folder."""
    with closing(sqlite3.connect(folder / "hub.sqlite3")) as database:
        return {
            what: database.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]
            for what, rows in (
                ("messages", "entry WHERE queue != ''"),
                ("batches", "entry WHERE queue = ''"),
                ("deliveries", "delivery"),
                ("records", "record"),
            )
        }
