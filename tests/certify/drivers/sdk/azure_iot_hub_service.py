"""A back end on PyPI's azure-iot-hub: sends over the transport that the first argument names.

Feedback and purge go over HTTPS, whatever the transport; the package has no other way.
"""

from __future__ import annotations

import base64

from tests.certify.drivers._lines import Fields, serve
from tests.certify.drivers.sdk._managers import PACKAGES, close, connect, manager, name_of, reset
from tests.certify.drivers.sdk._records import Records

PROPERTIES = {
    "message_id": "messageId",
    "correlation_id": "correlationId",
    "content_type": "contentType",
    "content_encoding": "contentEncoding",
    "expires_at_ms": "expiryTimeUtc",
    "ack": "iothub-ack",
}

records = Records()


def refused(step: Fields) -> None:
    connect(step)
    manager(step).send_c2d_message(step["device_id"], "x")


def send(step: Fields) -> None:
    message = step["message"]
    properties = message.get("properties", {}) | {
        key: message[name] for name, key in PROPERTIES.items() if name in message
    }
    manager(step).send_c2d_message(step["device_id"], base64.b64decode(message["body"]), properties)


def feedback(step: Fields) -> Fields:
    return records.take(step["device_id"], lambda: batch(step))


def batch(step: Fields) -> bytes:
    """Poll until there is a batch, and complete it; without ``raw`` the package drops body and lock token."""
    messages = manager(step).protocol.cloud_to_device_messages
    while True:
        response = messages.receive_feedback_notification(raw=True).response
        if response.status_code == 200:
            messages.complete_feedback_notification(response.headers["ETag"].strip('"'))
            return bytes(response.content)


def purge(step: Fields) -> Fields:
    result = manager(step).protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue(step["device_id"])
    return {"purged": result.total_messages_purged}


serve(
    PACKAGES,
    {
        "connect": connect,
        "refused": refused,
        "send": send,
        "feedback": feedback,
        "purge": purge,
        "close": close,
        "reset": reset,
    },
    name_of=name_of,
)
