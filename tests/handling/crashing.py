"""A device's program that kills itself at a given point: ``crashing.py TRANSPORT FOLDER POINT``.

It writes down in FOLDER which handlers began and which ended; messages with the property ``poison`` fail.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from c2dkit import DeviceCredential, DeviceReceiver, SqliteDeadLetters, SqliteJournal
from tests.contract.legs import DEVICE_LEGS

if TYPE_CHECKING:
    from c2dkit import DeadLetter, ReceivedMessage, Settlement
    from c2dkit.transports import Delivery, DeviceLink, DeviceTransport, Ending


class Crash:
    def __init__(self, point: str) -> None:
        self._point = point

    def at(self, point: str) -> None:
        if point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


class CrashingJournal:
    def __init__(self, journal: SqliteJournal, crash: Crash) -> None:
        self._journal = journal
        self._crash = crash

    async def seen(self, message_id: str) -> bool:
        return await self._journal.seen(message_id)

    async def add(self, message_id: str) -> None:
        self._crash.at("after the handler")
        await self._journal.add(message_id)
        self._crash.at("after the journal")


class CrashingDeadLetters:
    def __init__(self, letters: SqliteDeadLetters, crash: Crash) -> None:
        self._letters = letters
        self._crash = crash

    async def add(self, letter: DeadLetter) -> None:
        self._crash.at("before the dead letter")
        await self._letters.add(letter)
        self._crash.at("after the dead letter")


class CrashingTransport:
    def __init__(self, transport: DeviceTransport, crash: Crash) -> None:
        self.name = transport.name
        self.settlements: frozenset[Settlement] = transport.settlements
        self._transport = transport
        self._crash = crash

    async def open(self, *, prefetch: int) -> DeviceLink:
        return CrashingLink(await self._transport.open(prefetch=prefetch), self._crash)


class CrashingLink:
    def __init__(self, link: DeviceLink, crash: Crash) -> None:
        self._link = link
        self._crash = crash

    @property
    def ending(self) -> Ending:
        return self._link.ending

    async def receive(self) -> Delivery:
        return await self._link.receive()

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        await self._link.settle(delivery, settlement)
        self._crash.at("after the settlement")

    async def close(self) -> None:
        await self._link.close()


async def main(name: str, folder: Path, point: str) -> None:
    crash = Crash(point)
    credential = DeviceCredential.from_connection_string(os.environ["DEVICE"])
    leg = next(leg for leg in DEVICE_LEGS if leg.name == name)
    transport = CrashingTransport(leg.transport(credential, Path(os.environ["SSL_CERT_FILE"])), crash)

    def note(what: str, message: ReceivedMessage[object]) -> None:
        with (folder / what).open("a", encoding="utf-8") as file:
            file.write(f"{message.message_id}\n")

    def key(message: ReceivedMessage[object]) -> str | None:
        crash.at("before the handler")
        return message.message_id

    async def handle(message: ReceivedMessage[object]) -> None:
        note("begun", message)
        crash.at("in the handler")
        if "poison" in message.properties:
            raise RuntimeError("the valve is stuck")
        note("ended", message)

    async with (
        SqliteJournal(folder / "journal") as journal,
        SqliteDeadLetters(folder / "letters") as letters,
        DeviceReceiver(transport) as receiver,
    ):
        await receiver.run(
            handle,
            key=key,
            on_error="dead-letter",
            journal=CrashingJournal(journal, crash),
            dead_letters=CrashingDeadLetters(letters, crash),
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
