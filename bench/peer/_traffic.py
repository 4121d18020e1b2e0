"""The messages that every client gets: 256 bytes of JSON with the properties of an ordinary cloud-to-device message.

Each message of a lap has a message id of its own, so that no client can live off a cache.
"""

from __future__ import annotations

import json

__all__ = ["BODY", "DEVICE_ADDRESS", "DEVICE_ID", "MESSAGE_ID_LENGTH", "message_id"]

DEVICE_ID = "dev-1"
DEVICE_ADDRESS = f"/devices/{DEVICE_ID}/messages/devicebound"
BODY_LENGTH = 256
MESSAGE_ID_LENGTH = 36


def message_id(index: int) -> str:
    """Return an id of constant length, shaped like a UUID."""
    return f"5c0ffee5-0000-4000-8000-{index:012d}"


def _body() -> bytes:
    reading = {"command": "set-interval", "seconds": 30, "unit": "s", "note": ""}
    reading["note"] = "x" * (BODY_LENGTH - len(json.dumps(reading)))
    return json.dumps(reading).encode()


BODY = _body()
