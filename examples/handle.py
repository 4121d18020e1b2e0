"""Handles what comes for a device, each message once, until SIGTERM or Ctrl-C: ``python handle.py FILE [amqp|mqtt]``.

FILE is where it remembers what it has handled and what it could not handle. The connection string of the device comes
from the environment variable IOTHUB_DEVICE_CONNECTION_STRING.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from datetime import timedelta

from c2dkit import DeviceReceiver, ReceivedMessage, SqliteDeadLetters, SqliteJournal


async def handle(message: ReceivedMessage[object]) -> None:
    print(f"handling {message.message_id}: {message.payload!r}", flush=True)
    await asyncio.sleep(1)
    print(f"handled {message.message_id}", flush=True)


async def main(file: str, transport: str = "amqp") -> None:
    device = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
    async with (
        SqliteJournal(file) as journal,
        SqliteDeadLetters(file) as dead_letters,
        DeviceReceiver.from_connection_string(device, transport=transport) as receiver,
    ):
        run = asyncio.create_task(
            receiver.run(
                handle,
                concurrency=4,
                key=lambda message: message.properties.get("unit"),
                journal=journal,
                dead_letters=dead_letters,
                drain=timedelta(seconds=5),
            )
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, run.cancel)
        print(f"waiting for messages over {transport}", flush=True)
        with suppress(asyncio.CancelledError):
            await run
        for letter in await dead_letters.letters():
            print(f"not handled: {letter.message_id}: {letter.reason}", flush=True)
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
