"""A device on c2dkit whose handler works for as long as it is not told to go on: ``c2dkit_device.py TRANSPORT``."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys

from c2dkit import DeviceReceiver


async def main(transport: str) -> None:
    async with DeviceReceiver.from_connection_string(
        os.environ["DEVICE_CONNECTION_STRING"],
        transport=transport,
        ssl_context=ssl.create_default_context(cafile=os.environ["CA_FILE"]),
    ) as receiver:
        print("ready", flush=True)
        async for message in receiver:
            print(f"begin {message.message_id}", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            print(f"end {message.message_id}", flush=True)
            await message.complete()


asyncio.run(main(sys.argv[1]))
