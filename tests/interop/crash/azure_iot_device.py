"""A device on azure-iot-device whose handler works for as long as it is not told to go on."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message

client = IoTHubDeviceClient.create_from_connection_string(
    os.environ["DEVICE_CONNECTION_STRING"], server_verification_cert=Path(os.environ["CA_FILE"]).read_text("utf-8")
)


working = threading.Lock()


def on_message(message: Message) -> None:
    with working:  # the SDK has several threads for handlers, whose lines would mix, in both directions
        print(f"begin {message.message_id}", flush=True)
        sys.stdin.readline()
        print(f"end {message.message_id}", flush=True)


with working:  # what comes again may come before the connection is told of
    client.on_message_received = on_message
    client.connect()
    print("ready", flush=True)
threading.Event().wait()  # until it is killed
