"""A device on azure-iot-device: prints what comes, and sends the fault commands that its input names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message

client = IoTHubDeviceClient.create_from_connection_string(
    os.environ["DEVICE_CONNECTION_STRING"],
    server_verification_cert=Path(os.environ["CA_FILE"]).read_text("utf-8"),
    connection_retry_interval=1,
)


def on_state_change() -> None:
    print("connected" if client.connected else "disconnected", flush=True)


def on_message(message: Message) -> None:
    print(f"received {message.data.decode()}", flush=True)


client.on_connection_state_change = on_state_change
client.on_message_received = on_message
client.connect()
for line in sys.stdin:
    command = Message(b"")
    command.custom_properties = {
        "AzIoTHub_FaultOperationType": line.strip(),
        "AzIoTHub_FaultOperationCloseReason": "boom",
        "AzIoTHub_FaultOperationDelayInSecs": "0",
    }
    client.send_message(command)
client.shutdown()
