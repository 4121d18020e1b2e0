"""One device through many processes, and what they told the ledger."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from c2dkit import Settlement
from tests.chaos.clients import BREATH
from tests.chaos.device_process import Orders

if TYPE_CHECKING:
    from random import Random

    from anyio.abc import Process

    from tests.accounts.ledger import Ledger
    from tests.accounts.lives import Lives

PROGRAM = Path(__file__).with_name("device_process.py")
ROOT = PROGRAM.parents[2]
LONGEST_LINE = 10_000


class DeviceLives:
    """Has a process there always, but for the moment after a kill.

    Attributes:
        ends: How often a process ended by itself with which error.
        in_hand: How many messages a process had received, and not settled, when it was killed.
    """

    def __init__(self, ledger: Ledger, lives: Lives, random: Random, device_id: str, transport: str) -> None:
        self.ends: Counter[str] = Counter()
        self.in_hand = 0
        self._ledger = ledger
        self._lives = lives
        self._random = random
        self._device_id = device_id
        self._transport = transport
        self._calm = False
        self._process: Process | None = None
        self._killed = False
        self._held: set[str] = set()
        self._delivered = anyio.Event()

    async def live(self) -> None:
        """Start a process whenever there is none, for ever."""
        while True:
            await self._lives.up()
            await self._one_life()

    async def kill(self) -> None:
        """Kill the process at once after it has received a message, or as it is where none comes."""
        with anyio.move_on_after(2):
            await self._delivered.wait()
        if self._process is not None and self._process.returncode is None:
            self._killed = True
            self._process.kill()

    async def calm_down(self) -> None:
        """Have it complete everything from now on."""
        self._calm = True
        if self._process is not None and self._process.stdin is not None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it has just ended; the next is calm
                await self._process.stdin.send(b"\n")

    async def _one_life(self) -> None:
        self._killed = False
        command = [sys.executable, "-m", "tests.chaos.device_process"]
        process = await anyio.open_process(command, stderr=None, cwd=ROOT)
        self._process = process
        try:
            assert process.stdin is not None
            await process.stdin.send(self._orders().line())
            ended = await self._listen(process)
            await process.wait()
        finally:
            self._process = None
            if process.returncode is None:
                process.kill()
            await process.aclose()
        assert self._killed or ended, "the device has ended without an error"
        self.in_hand += len(self._held) if self._killed else 0
        self._held.clear()
        await anyio.sleep(BREATH)

    def _orders(self) -> Orders:
        return Orders(
            connection_string=self._lives.devices[self._device_id],
            transport=self._transport,
            ca_file=self._lives.ca_file,
            seed=self._random.randrange(1_000_000),
            calm=self._calm,
        )

    async def _listen(self, process: Process) -> bool:
        """Write down what the process says until its end, and return whether it has said why it ended."""
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        with suppress(anyio.EndOfStream, anyio.IncompleteRead):  # where it was killed in the middle of a line
            while True:
                word, message_id, value = json.loads(await lines.receive_until(b"\n", LONGEST_LINE))
                if word == "ended":
                    self.ends[value] += 1
                    return True
                self._note(word, message_id, value)
                self._ledger.answered()
        return False

    def _note(self, word: str, message_id: str, value: Any) -> None:
        letter = self._ledger.letters[message_id]
        if word == "delivered":
            letter.delivered(value)
            self._held.add(message_id)
            self._delivered.set()
            self._delivered = anyio.Event()
        else:
            getattr(letter, word)(Settlement(value))
            self._held.discard(message_id)
