"""A device on azure-iot-device: prints each message until its input ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message

client = IoTHubDeviceClient.create_from_connection_string(
    os.environ["DEVICE_CONNECTION_STRING"], server_verification_cert=Path(os.environ["CA_FILE"]).read_text("utf-8")
)


def on_message(message: Message) -> None:
    print(f"Id: {message.message_id} Body: {message.data.decode()}", flush=True)
    print(f"Properties: {message.custom_properties}", flush=True)


client.on_message_received = on_message
client.connect()
print("Client connected", flush=True)
sys.stdin.read()
client.shutdown()
