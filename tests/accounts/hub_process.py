"""A hub with a folder, to be killed: ``hub_process.py FOLDER PORT SECONDS TTL MAX``, the clock moves by SECONDS at the start.

A message may be delivered MAX times.

It writes one line of JSON once it listens, and injects the fault of every line that it reads.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

from c2dkit.hub import Fault, HubOptions, LocalHub

DEVICES = ("amqp-1", "amqp-2", "mqtt-1", "mqtt-2", "https-1", "https-2")


async def main(folder: str, port: str, seconds: str, ttl: str, most: str) -> None:
    options = HubOptions(
        default_ttl=timedelta(seconds=float(ttl)),
        max_delivery_count=int(most),
        feedback_interval=timedelta(milliseconds=50),
        feedback_max_delivery_count=100,
    )
    async with LocalHub(devices=DEVICES, amqp_port=int(port), options=options, data_dir=Path(folder)) as hub:
        facts = {
            "service": hub.service_connection_string,
            "devices": {device_id: hub.device_connection_string(device_id) for device_id in DEVICES},
            "ca_file": str(hub.ca_file),
            "port": hub.port,
        }
        print(json.dumps(facts), flush=True)  # noqa: T201 - for the test to read
        hub.clock.advance(timedelta(seconds=int(seconds)))
        await inject_what_is_read(hub)
        await asyncio.Event().wait()


async def inject_what_is_read(hub: LocalHub) -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        hub.inject(Fault.parse(line.decode()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
