"""A hub with a folder, to be killed: ``hub_process.py FOLDER PORT SECONDS``; the clock moves by SECONDS at the start.

It writes one line of JSON once it listens.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

from c2dkit.hub import HubOptions, LocalHub

DEVICES = ("amqp-1", "amqp-2", "mqtt-1", "mqtt-2", "https-1", "https-2")
OPTIONS = HubOptions(
    default_ttl=timedelta(minutes=1), feedback_interval=timedelta(milliseconds=50), feedback_max_delivery_count=100
)


async def main(folder: str, port: str, seconds: str) -> None:
    async with LocalHub(devices=DEVICES, amqp_port=int(port), options=OPTIONS, data_dir=Path(folder)) as hub:
        facts = {
            "service": hub.service_connection_string,
            "devices": {device_id: hub.device_connection_string(device_id) for device_id in DEVICES},
            "ca_file": str(hub.ca_file),
            "port": hub.port,
        }
        print(json.dumps(facts), flush=True)  # noqa: T201 - for the test to read
        hub.clock.advance(timedelta(seconds=int(seconds)))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
