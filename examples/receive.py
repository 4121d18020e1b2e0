"""Prints and completes what comes for a device, until Ctrl-C: ``python receive.py [amqp|mqtt]``.

The connection string of the device comes from the environment variable IOTHUB_DEVICE_CONNECTION_STRING.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from c2dkit import DeviceReceiver


async def main(transport: str = "amqp") -> None:
    device = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
    async with DeviceReceiver.from_connection_string(device, transport=transport) as receiver:
        print(f"waiting for messages over {transport}", flush=True)
        async for message in receiver:
            print(f"{message.message_id}: {message.payload!r} {dict(message.properties)}", flush=True)
            await message.complete()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
