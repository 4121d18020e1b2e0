"""Runs one client against one peer and returns what was measured."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contestants import Contestant

__all__ = ["Certificates", "Flood", "Idle", "Program", "RunError", "flood", "idle", "program"]

START_SECONDS = 60.0
"""How long a client may take to connect and to get through the warm-up."""

ROOT = Path(__file__).parent.parent


class RunError(Exception):
    """A run that gave no result, and why."""


@dataclass(frozen=True)
class Flood:
    """One run under load: acknowledgements a second at the peer, processor time of the client, load of the peer."""

    rate: float
    cpu_seconds: float
    peer_load: float


@dataclass(frozen=True)
class Idle:
    """What one idle device connection costs, and the threads of a process that has one."""

    bytes: float
    threads: int


class Certificates:
    """A certificate authority of the benchmark's own and the peer's certificate, in a folder."""

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        authority = trustme.CA()
        self.authority = folder / "ca.pem"
        self.peer = folder / "peer.pem"
        authority.cert_pem.write_to_path(self.authority)
        authority.issue_cert(*hosts).private_key_and_cert_chain_pem.write_to_path(self.peer)


def flood(
    contestant: Contestant, command: list[str], certificates: Certificates, *, messages: int, seconds: float
) -> Flood:
    """Flood one client; raises RunError."""
    limits = [f"--messages={messages}", f"--seconds={seconds}"]
    with (
        _peer(contestant, certificates, limits) as peer,
        _client(contestant, command, certificates, peer.port) as client,
    ):
        peer.expect("started", START_SECONDS, client)
        before = client.cpu_seconds()
        result = peer.expect("finished", seconds + START_SECONDS, client)
        used = client.cpu_seconds() - before
    count = result["messages"]
    return Flood(count / result["seconds"], used / count, result["peer_load"])


def idle(contestant: Contestant, command: list[str], certificates: Certificates, *, connections: int) -> Idle:
    """Measure idle connections of one client; raises RunError."""
    options = [f"--idle={connections}"]
    with (
        _peer(contestant, certificates, ["--window=0"]) as peer,
        _client(contestant, command, certificates, peer.port, options) as client,
    ):
        result = client.expect("idle", START_SECONDS, client)
    return Idle(result["bytes"], int(result["threads"]))


class Program:
    """A child process that says on standard output, a JSON line each, what happens."""

    def __init__(self, command: list[str], errors: IO[bytes], environment: dict[str, str] | None = None) -> None:
        self._errors = errors
        self._unread = b""
        self.port = 0
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env={**os.environ, **(environment or {})}
        )

    def expect(self, event: str, timeout: float, client: Program) -> dict[str, Any]:
        """Return the next line's values if it is ``event``; ``client`` is who to blame if it is not."""
        line = self._read_line(time.monotonic() + timeout, client)
        if line is None:
            raise RunError(f"no {event!r} within {timeout:g} s{client.last_errors()}")
        values: dict[str, Any] = json.loads(line)
        if values["event"] != event:
            raise RunError(f"{values}{client.last_errors()}")
        return values

    def cpu_seconds(self) -> float:
        """Return the processor time of all threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def last_errors(self) -> str:
        """Return the end of what the program wrote to standard error."""
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return f"; the client says: {text[-600:]}" if text else ""

    def _read_line(self, deadline: float, client: Program) -> bytes | None:
        assert self.process.stdout is not None
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self.process.stdout], [], [], 0.2)
            if readable:
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return None
                self._unread += data
            elif time.monotonic() > deadline or client.process.poll() is not None:
                return None
        line, self._unread = self._unread.split(b"\n", 1)
        return line if line.startswith(b"{") else self._read_line(deadline, client)


@contextmanager
def program(command: list[str], environment: dict[str, str] | None = None) -> Iterator[Program]:
    """Run a program for the time of the block."""
    with tempfile.TemporaryFile() as errors:
        started = Program(command, errors, environment)
        try:
            yield started
        finally:
            started.process.kill()
            started.process.communicate()


@contextmanager
def _peer(contestant: Contestant, certificates: Certificates, options: list[str]) -> Iterator[Program]:
    where = [f"--host={contestant.host}", f"--port={contestant.port}", f"--certificate={certificates.peer}"]
    command = [sys.executable, "-m", "bench.peer", contestant.protocol, *where, *options]
    with program(command) as peer:
        peer.port = int(peer.expect("listening", START_SECONDS, peer)["port"])
        yield peer


@contextmanager
def _client(
    contestant: Contestant, command: list[str], certificates: Certificates, port: int, options: Sequence[str] = ()
) -> Iterator[Program]:
    where = [contestant.host, str(port), str(certificates.authority)]
    environment = {"NODE_EXTRA_CA_CERTS": str(certificates.authority)}
    with program([*command, *where, *contestant.options, *options], environment) as client:
        yield client
