"""A device on PyPI's azure-iot-device, over MQTT or MQTT-WS, as the first argument says."""

from __future__ import annotations

import base64
import os
import queue
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from azure.iot.device import X509, IoTHubDeviceClient

from tests.certify.drivers._lines import Fields, serve

if TYPE_CHECKING:
    from azure.iot.device import Message

WEBSOCKETS = sys.argv[1] == "MQTT-WS"
CA = Path(os.environ["CERTIFY_CA_FILE"]).read_text("utf-8")
RETRY_SECONDS = 1


class Device:
    def __init__(self, step: Fields) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.lost: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.connected: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.client = make(step)
        self.client.on_connection_state_change = self.on_state

    def on_state(self) -> None:
        (self.connected if self.client.connected else self.lost).put(None)

    def open(self) -> None:
        self.client.on_message_received = self.messages.put  # connects and subscribes
        self.connected.get()


def make(step: Fields) -> IoTHubDeviceClient:
    options = {
        "server_verification_cert": CA,
        "websockets": WEBSOCKETS,
        "connection_retry": step.get("reconnect", True),
        "connection_retry_interval": RETRY_SECONDS,
    }
    if certificate := step.get("certificate"):
        pem = Path(tempfile.mkdtemp(prefix="certify-")) / "device.pem"
        pem.write_text(certificate, "utf-8")
        x509 = X509(str(pem), str(pem))
        return IoTHubDeviceClient.create_from_x509_certificate(x509, step["host"], step["device_id"], **options)
    if token := step.get("token"):
        return IoTHubDeviceClient.create_from_sastoken(token, **options)
    if seconds := step.get("token_seconds"):
        options["sastoken_ttl"] = seconds
    return IoTHubDeviceClient.create_from_connection_string(step["connection_string"], **options)


devices: dict[str, Device] = {}


def connect(step: Fields) -> None:
    device = Device(step)
    devices[step["client"]] = device
    device.open()


def refused(step: Fields) -> None:
    make(step).connect()


def receive(step: Fields) -> Fields:
    message = devices[step["client"]].messages.get()
    return {
        "body": base64.b64encode(message.data).decode(),
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "user_id": message.user_id,
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "ack": message.ack,
        "expires_at": message.expiry_time_utc,
        "properties": message.custom_properties,
        "number": 0,
    }


def renewed(step: Fields) -> None:
    devices[step["client"]].connected.get()  # this SDK connects again with a new token


def close(step: Fields) -> None:
    devices.pop(step["client"]).client.shutdown()


def reset(_: Fields) -> None:
    for client in list(devices):
        close({"client": client})


serve(
    ["azure-iot-device", "paho-mqtt"],
    {
        "connect": connect,
        "refused": refused,
        "receive": receive,
        "lost": lambda step: devices[step["client"]].lost.get(),
        "renewed": renewed,
        "close": close,
        "reset": reset,
    },
)
