"""``python -m bench start-up``: how long a local hub takes until it is ready, and how much memory."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import anyio

from bench.run import Certificates, program
from bench.start_up_program import KINDS
from c2dkit import CloudSender, DeviceReceiver

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

__all__ = ["add_arguments", "main"]

START_SECONDS = 60.0
SETTLE_SECONDS = 1.0
PROGRAM = "bench.start_up_program"
REFERENCES = ("interpreter", "TLS server")
COLUMNS = (
    "program",
    "process until ready, s (min..max)",
    "ratio to interpreter, TLS server",
    "import, s",
    "enter, s (max)",
    "MB when ready (max)",
    "ratio to interpreter, TLS server",
)


@dataclass(frozen=True)
class Start:
    """One start: from the process's beginning until ready, the parts of it, and the memory then."""

    whole: float
    importing: float
    entering: float
    memory: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--rounds", type=int, default=10, help="starts of each program, interleaved (default 10)")
    parser.add_argument("--connections", type=int, default=30, help="idle connections of each kind (default 30)")
    parser.add_argument("--hubs", type=int, default=10, help="further hubs in one process (default 10)")


def main(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder), ["localhost"])
        rounds = [_round(certificates, number) for number in range(arguments.rounds)]
        print(_starts_table(rounds))
        print()
        print(asyncio.run(_growth_table(certificates, arguments.connections, arguments.hubs)))


def _command(kind: str, *options: str) -> list[str]:
    return [sys.executable, "-m", PROGRAM, kind, *options]


def _round(certificates: Certificates, number: int) -> dict[str, Start]:
    print(f"round {number + 1}", file=sys.stderr)
    return {kind: _start(_command(kind, f"--certificate={certificates.peer}")) for kind in KINDS}


def _start(command: list[str]) -> Start:
    began = time.perf_counter()
    with program(command) as started:
        told = started.expect("ready", START_SECONDS, started)
        whole = time.perf_counter() - began
    return Start(whole, told["import_seconds"], told["enter_seconds"], told["bytes"])


def _starts_table(rounds: Sequence[dict[str, Start]]) -> str:
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * (len(COLUMNS) - 1)}",
    ]
    for kind in KINDS:
        starts = [each[kind] for each in rounds]
        whole = [start.whole for start in starts]
        entering = [start.entering for start in starts]
        memory = [start.memory / 1e6 for start in starts]
        cells = (
            kind,
            f"{median(whole):.3f} ({min(whole):.3f}..{max(whole):.3f})",
            _ratios(rounds, kind, lambda start: start.whole),
            f"{median(start.importing for start in starts):.3f}",
            f"{median(entering):.3f} ({max(entering):.3f})",
            f"{median(memory):.1f} ({max(memory):.1f})",
            _ratios(rounds, kind, lambda start: start.memory),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratios(rounds: Sequence[dict[str, Start]], kind: str, value: Callable[[Start], float]) -> str:
    """Return the medians of the ratios within one round each, so that a slow minute of the machine hits both."""
    return ", ".join(
        f"{median(value(each[kind]) / value(each[reference]) for each in rounds):.2f}" for reference in REFERENCES
    )


async def _growth_table(certificates: Certificates, connections: int, hubs: int) -> str:
    grown = {
        "a further `LocalHub` in the process": _further_hub(hubs),
        "an idle connection to the TLS server": await _idle_connection(certificates, connections),
        **await _idle_devices(connections),
    }
    rows = [f"| {what} | {size / 1000:.0f} |" for what, size in grown.items()]
    return "\n".join(["| what | kB |", "|---|---:|", *rows])


def _further_hub(count: int) -> float:
    with program(_command("LocalHub", f"--more-hubs={count}")) as hub:
        hub.expect("ready", START_SECONDS, hub)
        size: float = hub.expect("hubs", START_SECONDS, hub)["bytes"] / count
    return size


async def _idle_connection(certificates: Certificates, count: int) -> float:
    with program(_command("TLS server", f"--certificate={certificates.peer}")) as server:
        port = server.expect("ready", START_SECONDS, server)["port"]
        trust = ssl.create_default_context(cafile=certificates.authority)
        return await _each(server.process.pid, [_connection(port, trust) for _ in range(count + 1)])


async def _idle_devices(count: int) -> dict[str, float]:
    """Measure devices over two protocols, and what is loaded for HTTPS once it is used."""
    with program(_command("LocalHub", f"--devices={2 * (count + 1)}")) as hub:
        told = hub.expect("ready", START_SECONDS, hub)
        trust = ssl.create_default_context(cafile=told["ca_file"])
        devices = {"amqp": told["devices"][: count + 1], "mqtt": told["devices"][count + 1 :]}
        grown = {
            f"an idle device over `{transport}`": await _each(
                hub.process.pid,
                [DeviceReceiver.from_connection_string(d, transport=transport, ssl_context=trust) for d in strings],
            )
            for transport, strings in devices.items()
        }
        before = _resident_bytes(hub.process.pid)
        async with CloudSender.from_connection_string(told["owner"], ssl_context=trust) as sender:
            await sender.queue_depth("dev-0")
        return {**grown, "the first request over HTTPS": _resident_bytes(hub.process.pid) - before}


@asynccontextmanager
async def _connection(port: int, trust: ssl.SSLContext) -> AsyncGenerator[None]:
    async with await anyio.connect_tcp("localhost", port, ssl_context=trust):
        yield


async def _each(pid: int, opening: Sequence[AbstractAsyncContextManager[object]]) -> float:
    """Return what each of them costs the process; the first, which pays for what is made once, does not count."""
    first, *others = opening
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first)
        await asyncio.sleep(SETTLE_SECONDS)
        before = _resident_bytes(pid)
        for each in others:
            await stack.enter_async_context(each)
        await asyncio.sleep(SETTLE_SECONDS)
        return (_resident_bytes(pid) - before) / len(others)


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
