"""The clients that a case is driven with: a driver in a process of its own, or a reference client in this one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from ._expect import CaseError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from typing import IO

    from anyio.abc import Process

    from ._model import Fields, Leg

__all__ = ["Driver", "Peer", "ask", "running"]

ROOT: Final = Path(__file__).parents[2]
LONGEST_LINE: Final = 1_000_000
START_SECONDS: Final = 30
"""How long a driver may take until it is ready."""
SHOWN: Final = 500
"""How much is shown of what a driver has said at its end."""


class Peer(Protocol):
    """Whoever takes steps."""

    async def answer(self, step: Fields) -> Fields:
        """Take a step and tell what has happened: ``ok``, or ``error`` and ``text``."""
        ...


async def ask(peer: Peer, step: Fields, *, seconds: float) -> Fields:
    """Have a peer take a step; returns what has happened.

    Raises:
        CaseError: Nothing has happened within so many seconds, or the driver has ended.
    """
    with anyio.move_on_after(seconds):
        return await peer.answer(step)
    raise CaseError(f"nothing happened within {seconds:g} s")


class Driver:
    """A running driver program, and the versions of the packages that it drives."""

    def __init__(self, process: Process, errors: IO[bytes]) -> None:
        assert process.stdout is not None
        self.versions: Mapping[str, str] = {}
        self._process = process
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._errors = errors

    async def start(self) -> None:
        """Wait until it is ready, at most ``START_SECONDS``.

        Raises:
            CaseError: It is not, or has ended.
        """
        with anyio.move_on_after(START_SECONDS):
            self.versions = (await self._read())["packages"]
            return
        raise CaseError(f"the driver was not ready within {START_SECONDS} s")

    async def answer(self, step: Fields) -> Fields:
        """Hand over a step and wait for what has happened.

        Raises:
            CaseError: The driver has ended.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError):  # it has ended, and why is read below
            await self._process.stdin.send(json.dumps(step).encode() + b"\n")
        return await self._read()

    async def _read(self) -> Fields:
        try:
            line = await self._lines.receive_until(b"\n", LONGEST_LINE)
        except (anyio.IncompleteRead, anyio.EndOfStream):
            self._errors.seek(0)
            said = self._errors.read()[-SHOWN:].decode(errors="replace")
            raise CaseError(f"the driver has ended: {said}") from None
        answer: Fields = json.loads(line)
        return answer


@asynccontextmanager
async def running(leg: Leg, ca_file: Path) -> AsyncGenerator[Driver]:
    """Run a leg's driver for the time of the block; ended by its process id. Errors as ``Driver.start``."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **_environment(ca_file), "TMPDIR": folder}
        process = await anyio.open_process(
            _command(leg), stdin=subprocess.PIPE, stderr=errors, cwd=ROOT, env=environment
        )
        try:
            driver = Driver(process, errors)
            await driver.start()
            yield driver
        finally:
            if process.returncode is None:
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()


def _command(leg: Leg) -> list[str]:
    driver = leg.about.driver
    if driver.endswith(".js"):
        return ["node", str(Path(__file__).parent / "drivers" / driver), leg.transport]
    return [sys.executable, "-m", f"tests.certify.drivers.{driver}", leg.transport]


def _environment(ca_file: Path) -> dict[str, str]:
    environment = {"CERTIFY_CA_FILE": str(ca_file), "NODE_EXTRA_CA_CERTS": str(ca_file)}
    if folder := os.environ.get("C2DKIT_NODE_MODULES"):
        environment["NODE_PATH"] = str(Path(folder) / "node_modules")
    return environment
