"""Prints what became of messages, until Ctrl-C.

The connection string of the back end comes from the environment variable IOTHUB_CONNECTION_STRING.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from c2dkit import FeedbackStream


async def main() -> None:
    async with FeedbackStream.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"]) as feedback:
        async for record in feedback:
            print(f"{record.enqueued_at} {record.device_id} {record.original_message_id}: {record.status}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
