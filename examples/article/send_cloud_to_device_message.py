"""SendCloudToDeviceMessage of the article "Send cloud-to-device messages with IoT Hub (Node.js)", in Python.

Set the environment variables IOTHUB_CONNECTION_STRING and IOTHUB_DEVICE_ID. Unlike the article's program it ends: when
the delivery acknowledgment of its message has come.
"""

from __future__ import annotations

import asyncio
import os

from c2dkit import CloudSender, FeedbackStream, ServiceCredential
from c2dkit.transports import AmqpServiceTransport

MESSAGE_ID = "My Message ID"
PAYLOAD = "Cloud to device message."


async def main() -> None:
    credential = ServiceCredential.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])
    transport = AmqpServiceTransport(credential)  # the sender and the feedback stream share its connection
    async with CloudSender(transport) as sender, FeedbackStream(transport) as feedback:
        print(f"Sending message: {PAYLOAD}", flush=True)
        await sender.send(os.environ["IOTHUB_DEVICE_ID"], PAYLOAD, ack="full", message_id=MESSAGE_ID)
        async for record in feedback:
            print(f"Feedback message: {record.original_message_id} {record.status}", flush=True)
            if record.original_message_id == MESSAGE_ID:
                break


if __name__ == "__main__":
    asyncio.run(main())
