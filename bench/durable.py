"""``python -m bench durable``: what a hub's folder costs a back end that sends, and a hub that starts."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import anyio

from c2dkit import CloudSender
from c2dkit._models import Message
from c2dkit._rules.limits import DEVICE_QUEUE_DEPTH
from c2dkit._wire.amqp import device_address
from c2dkit.hub import LocalHub
from c2dkit.hub._authority import CertificateAuthority
from c2dkit.hub._clock import HubClock
from c2dkit.hub._keys import Keys
from c2dkit.hub._options import HubOptions
from c2dkit.hub._policies import Policies
from c2dkit.hub._state import HubState
from c2dkit.hub._store_changes import hub_born, statements_of
from c2dkit.hub._store_folder import Folder, open_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from c2dkit.hub._store_schema import Statement

__all__ = ["add_arguments", "main"]

BODY = b"x" * 256
COMMITS: list[None] = []


@dataclass(frozen=True)
class Sends:
    """One run: messages a second, and how many transactions were written."""

    rate: float
    commits: int


class Counted(Folder):
    """A folder that counts its transactions, each of which is a sync of the disk."""

    def commit(self, statements: Iterable[Statement]) -> None:
        COMMITS.append(None)
        super().commit(statements)


class OneByOne(Counted):
    """A folder with a transaction for each message, which is what group commit saves."""

    def commit(self, statements: Iterable[Statement]) -> None:
        messages: list[list[Statement]] = [[]]
        for statement in statements:
            if "INTO queue" in statement.sql:  # a message begins with its sequence number
                messages.append([])
            messages[-1].append(statement)
        for each in filter(None, messages):
            super().commit(each)


KINDS: Sequence[tuple[str, int, type[Folder] | None]] = (
    ("in memory", 100, None),
    ("with a folder", 100, Counted),
    ("with a folder, a transaction for each message", 100, OneByOne),
    ("in memory", 1, None),
    ("with a folder", 1, Counted),
)
"""What a hub has, how many sends are on their way at a time, and the folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind, interleaved (default 5)")
    parser.add_argument("--messages", type=int, default=4000, help="messages of a run (default 4000)")
    parser.add_argument("--devices", type=int, default=10_000, help="devices of the hub that starts (default 10000)")


def main(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = [_round(Path(folder, str(number)), arguments.messages) for number in range(arguments.rounds)]
        print(_table(rounds, arguments.messages))
        print()
        print(asyncio.run(_start(Path(folder, "full"), arguments.devices, 5)))


def _round(folder: Path, messages: int) -> dict[tuple[str, int], Sends]:
    print(f"round {folder.name}", file=sys.stderr)
    return {
        (name, window): asyncio.run(_send(folder / f"{number}-{window}", kind, messages, window))
        for number, (name, window, kind) in enumerate(KINDS)
    }


async def _send(path: Path, kind: type[Folder] | None, messages: int, window: int) -> Sends:
    devices = [f"d{number}" for number in range(-(-messages // DEVICE_QUEUE_DEPTH))]
    async with LocalHub(devices=devices, data_dir=path if kind else None) as hub:
        _watch(hub, kind)
        async with CloudSender.from_connection_string(
            hub.service_connection_string, ssl_context=hub.ssl_context()
        ) as sender:
            COMMITS.clear()
            began = time.perf_counter()
            async with anyio.create_task_group() as group:
                for first in range(window):
                    group.start_soon(_send_some, sender, range(first, messages, window))
            return Sends(messages / (time.perf_counter() - began), len(COMMITS))


def _watch(hub: LocalHub, kind: type[Folder] | None) -> None:
    store = hub._data.store  # noqa: SLF001 - no hub of a user's has need of this
    if store is not None and kind is not None:
        store._folder = kind(*store._folder)  # noqa: SLF001


async def _send_some(sender: CloudSender, numbers: range) -> None:
    for number in numbers:
        await sender.send(f"d{number // DEVICE_QUEUE_DEPTH}", BODY)


def _table(rounds: Sequence[dict[tuple[str, int], Sends]], messages: int) -> str:
    lines = [
        "| hub | sends at a time | messages/s (min..max) | of the hub in memory | transactions | messages a transaction |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, window in rounds[0]:
        runs = [each[name, window] for each in rounds]
        rates = [run.rate for run in runs]
        ratio = median(each[name, window].rate / each["in memory", window].rate for each in rounds)
        commits = round(median(run.commits for run in runs))
        cells = (
            name,
            str(window),
            f"{median(rates):,.0f} ({min(rates):,.0f}..{max(rates):,.0f})",
            f"{ratio:.2f}",
            str(commits),
            f"{messages / commits:.1f}" if commits else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


async def _start(path: Path, devices: int, messages: int) -> str:
    """Return how long a hub takes to start whose folder is full."""
    ids = [f"d{number}" for number in range(devices)]
    _fill(path, ids, messages)
    memory = await _seconds_to_start(ids, None)
    folder = await _seconds_to_start([], path)
    size = (path / "hub.sqlite3").stat().st_size / 1e6
    return (
        f"A hub with {devices:,} devices and {messages} messages for each, {size:.0f} MB on the disk, listens after "
        f"{folder:.2f} s; a new one in memory, with the devices alone, after {memory:.2f} s."
    )


def _fill(path: Path, ids: Sequence[str], messages: int) -> None:
    born = hub_born(Policies(Keys()).by_name.values(), CertificateAuthority().pems, timedelta(0))
    folder, _ = open_folder(path, tuple(born))
    statements: list[Statement] = []
    state = HubState(HubOptions(), HubClock().now)
    state.subscribe(lambda change: statements.extend(statements_of(change)))
    for device_id in ids:
        state.add_device(device_id)
        for _ in range(messages):
            state.send(Message(BODY, to=device_address(device_id), message_id="some id"))
    folder.commit(statements)
    folder.close()


async def _seconds_to_start(ids: Sequence[str], path: Path | None) -> float:
    began = time.perf_counter()
    async with LocalHub(devices=ids, data_dir=path):
        return time.perf_counter() - began
