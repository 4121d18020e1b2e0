"""Sends one message to a device: ``python send.py DEVICE_ID TEXT_OR_JSON``.

The connection string of the back end comes from the environment variable IOTHUB_CONNECTION_STRING.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from c2dkit import CloudSender


def payload_from(text: str) -> object:
    """Take JSON for what it says and anything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


async def main(device_id: str, text: str) -> None:
    async with CloudSender.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"]) as sender:
        receipt = await sender.send(device_id, payload_from(text), ack="full")
        print(f"queued for {receipt.device_id}: {receipt.message_id}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
