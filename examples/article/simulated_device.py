"""SimulatedDevice of the article "Send cloud-to-device messages with IoT Hub (Node.js)", in Python.

Set the environment variable IOTHUB_DEVICE_CONNECTION_STRING and run this first.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from c2dkit import DeviceReceiver


async def main() -> None:
    device = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
    async with DeviceReceiver.from_connection_string(device, transport="mqtt", payload_type=str) as receiver:
        print("Device connected", flush=True)
        async for message in receiver:
            print(f"Id: {message.message_id} Body: {message.payload}", flush=True)
            await message.complete()
            print("complete sent", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
