"""A device killed with SIGKILL at each point of ``docs/handling.md``, and started again: what is done twice, and what not."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import FeedbackStatus, Settlement, SqliteDeadLetters

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import Process

    from c2dkit.testing.contract._bench import Device

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "handling.md"
SECONDS = 40
LOCK = timedelta(seconds=61)

HANDLED = {
    "before the handler": (1, 1),
    "in the handler": (2, 1),
    "after the handler": (2, 2),
    "after the journal": (1, 1),
    "after the settlement": (1, 1),
}
"""How often a handler has begun, and ended, for each point."""
POISONED = {"before the dead letter": 1, "after the dead letter": 2}
"""How many dead letters a message has left behind."""


@asynccontextmanager
async def program(device: Device, folder: Path, point: str) -> AsyncGenerator[Process]:
    credential = device.credential()
    env = {
        **os.environ,
        "DEVICE": f"HostName={credential.host_name}:{credential.port};DeviceId=dev-1;SharedAccessKey={key_of(device)}",
        "SSL_CERT_FILE": str(device.hub.trust),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "examples" / "in_memory_transport" / "src")]),
    }
    command = [sys.executable, "-m", "tests.handling.crashing", device.leg.name, str(folder), point]
    async with await anyio.open_process(command, env=env, stdout=None, stderr=None) as process:
        try:
            with anyio.fail_after(SECONDS):
                yield process
        finally:
            if process.returncode is None:
                process.kill()


def key_of(device: Device) -> str:
    key = device.credential().shared_access_key
    assert key is not None
    return key


async def crash(device: Device, folder: Path, point: str) -> None:
    async with program(device, folder, point) as process:
        assert await process.wait() == -signal.SIGKILL
    device.hub.advance(LOCK)  # over HTTPS the hub does not notice


async def recover(device: Device, folder: Path) -> None:
    """Start again and wait until all is handled that came before a last message."""
    async with program(device, folder, "nowhere"):
        await device.ended(device.send(), FeedbackStatus.SUCCESS)


def count(file: Path, message_id: str) -> int:
    return file.read_text("utf-8").split().count(message_id)


@pytest.mark.parametrize("point", HANDLED)
async def test_a_message_is_never_lost_and_repeated_as_documented(device: Device, tmp_path: Path, point: str) -> None:
    sent = device.send()
    await crash(device, tmp_path, point)
    await recover(device, tmp_path)
    await device.ended(sent, FeedbackStatus.SUCCESS)
    assert (count(tmp_path / "begun", sent), count(tmp_path / "ended", sent)) == HANDLED[point]


@pytest.mark.parametrize("point", POISONED)
async def test_a_message_that_fails_is_in_the_dead_letters_before_it_is_off_the_queue(
    device: Device, tmp_path: Path, point: str
) -> None:
    sent = device.send(b"body", properties={"poison": "yes"})
    await crash(device, tmp_path, point)
    assert [message_id for message_id, _ in device.waiting()] == [sent]
    await recover(device, tmp_path)
    reject = Settlement.REJECT in device.settlements
    await device.ended(sent, FeedbackStatus.REJECTED if reject else FeedbackStatus.SUCCESS)
    async with SqliteDeadLetters(tmp_path / "letters") as letters:
        kept = [(letter.message_id, letter.body) for letter in await letters.letters()]
    assert kept == [(sent, b"body")] * POISONED[point]


def test_the_page_has_this_table() -> None:
    rows = re.findall(r"^\| (\w+ the [\w ]+) \| (\d) \| (\d) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {point: (int(begun), int(ended)) for point, begun, ended in rows} == HANDLED
