"""aiohttp is loaded when HTTP is spoken, by the hub and by the clients, and not before."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, sys

from c2dkit import CloudSender, DeviceReceiver
from c2dkit.hub import LocalHub
from c2dkit.testing.contract._bench import ONCE

async def main():
    async with LocalHub() as hub:
        trust = hub.ssl_context()
        async with CloudSender.from_connection_string(hub.owner_connection_string, ssl_context=trust, retry=ONCE) as sender:
            for transport in ("amqp", "mqtt"):
                await sender.send("dev-1", "hello")
                device = hub.device_connection_string("dev-1")
                async with DeviceReceiver.from_connection_string(device, transport=transport, ssl_context=trust, retry=ONCE) as it:
                    await (await anext(it)).complete()
            print("aiohttp" in sys.modules)
            await sender.queue_depth("dev-1")
            print("aiohttp" in sys.modules, "c2dkit.hub._http" in sys.modules)

asyncio.run(main())
"""


def test_who_speaks_no_http_does_without_aiohttp() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=False)
    assert result.stdout.split() == ["False", "True", "True"], result
