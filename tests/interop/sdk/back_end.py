"""A back end on azure-iot-hub: sends one message."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import certifi

# The client trusts what certifi names and nothing else, so the hub's certificate joins a copy of certifi's.
bundle = Path(tempfile.mkdtemp()) / "bundle.pem"
bundle.write_text(Path(certifi.where()).read_text("utf-8") + Path(os.environ["CA_FILE"]).read_text("utf-8"), "utf-8")
certifi.where = lambda: str(bundle)

from azure.iot.hub import IoTHubRegistryManager  # noqa: E402 - it reads certifi when it is imported

manager = IoTHubRegistryManager.from_connection_string(os.environ["SERVICE_CONNECTION_STRING"])
manager.send_c2d_message(
    os.environ["TARGET_DEVICE"],
    "Cloud to device message.",
    properties={
        "messageId": "My Message ID",
        "correlationId": "c-1",
        "contentType": "text/plain",
        "contentEncoding": "utf-8",
        "iothub-ack": "full",
        "colour": "red",
    },
)
print("sent", flush=True)
