"""What every client program is told, and how it measures idle connections. Standard library only."""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Settings", "measure_idle", "read_settings"]

SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Settings:
    """Where the peer is and what to do there.

    Attributes:
        idle: 0 to receive and acknowledge without end; otherwise how many idle connections to measure.
        transport: ``mqtt`` or ``amqp``, for a library that has both.
        workers: How many tasks receive and settle, for a library that lets several.
        credit: Messages to ask for ahead, for a library that lets the application choose; 0 for its default.
    """

    host: str
    port: int
    ca_file: str
    idle: int
    transport: str
    workers: int
    credit: int

    def connection_string(self, device_id: str = "dev-1", *, port: bool = True) -> str:
        """Return a device's connection string; the peer takes any key."""
        host = f"{self.host}:{self.port}" if port else self.host
        return f"HostName={host};DeviceId={device_id};SharedAccessKey={base64.b64encode(bytes(32)).decode()}"


def read_settings() -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("ca_file")
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--transport", default="")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--credit", type=int, default=1000)
    return Settings(**vars(parser.parse_args()))


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


async def measure_idle(settings: Settings, connect: Callable[[str], Awaitable[None]]) -> None:
    """Connect one device, count threads, connect the others and print what each of them cost.

    The first connection is left out of the memory: it pays for what is imported and made once.
    """
    await connect("dev-0")
    await asyncio.sleep(SETTLE_SECONDS)
    threads = _threads()
    before = _resident_bytes()
    for number in range(settings.idle):
        await connect(f"dev-{number + 1}")
    await asyncio.sleep(SETTLE_SECONDS)
    each = (_resident_bytes() - before) / settings.idle
    print(json.dumps({"event": "idle", "bytes": each, "threads": threads}), flush=True)
