"""The system properties of a cloud-to-device message: one row each, with its spelling on every wire.

Rows stand in the order in which IoT Hub writes them to an MQTT topic. Sources: [1] IoT Hub developer guide, "Create
and read IoT Hub messages", system properties of C2D messages; [2] "Send cloud-to-device messages"; [3] Azure IoT SDKs,
which parse these names (device clients for Node, Python, C and .NET); [4] "Communicate with an IoT hub using MQTT".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from c2dkit._models import Ack
from c2dkit._rules.limits import EXPIRY_MAX, EXPIRY_MIN, ID_LENGTH

__all__ = ["RESERVED_NAMES", "SYSTEM_PROPERTIES", "SYSTEM_PROPERTY_PREFIX", "SystemProperty"]

SYSTEM_PROPERTY_PREFIX: Final = "$."
"""What MQTT spellings of system properties begin with, those that C2D does not use included."""


class SystemProperty(NamedTuple):
    """One row of the table. A spelling is None where the wire does not carry the property.

    Attributes:
        name: The service's name for it.
        field: The field of ``Message`` that holds it; ``lock_token`` is in ``Delivery``.
        type: ``string``, ``timestamp``, ``integer``, ``ack`` or ``guid``.
        limit: What is allowed, in words; empty where only the size of the message limits it.
        set_by: ``sender`` or ``hub``.
        amqp: The AMQP section and the key in it.
        mqtt: The key in the MQTT topic, before percent-encoding.
        https: The header of an HTTPS response.
        source: Where the row comes from, in the numbers of the module's docstring.
    """

    name: str
    field: str
    type: str
    limit: str
    set_by: str
    amqp: str
    mqtt: str | None
    https: str | None
    source: str


SENDER: Final = "sender"
HUB: Final = "hub"

_ID = f"1 to {ID_LENGTH} characters"
_EXPIRY = f"{EXPIRY_MIN.seconds // 60} minute to {EXPIRY_MAX.days} days ahead"
_ACK = ", ".join(Ack)

# fmt: off
SYSTEM_PROPERTIES: Final[tuple[SystemProperty, ...]] = (
    SystemProperty("message-id", "message_id", "string", f"{_ID} of printable ASCII", SENDER,
        "properties:message-id", "$.mid", "iothub-messageid", "[1][3]"),
    SystemProperty("to", "to", "string", "", SENDER,
        "properties:to", "$.to", "iothub-to", "[1][3]"),
    SystemProperty("correlation-id", "correlation_id", "string", _ID, SENDER,
        "properties:correlation-id", "$.cid", "iothub-correlationid", "[1][3]"),
    SystemProperty("user-id", "user_id", "string", "", SENDER,
        "properties:user-id", "$.uid", "iothub-userid", "[1][3]"),
    SystemProperty("content-type", "content_type", "string", "printable ASCII", SENDER,
        "properties:content-type", "$.ct", "ContentType", "[1][3]"),
    SystemProperty("content-encoding", "content_encoding", "string", "printable ASCII", SENDER,
        "properties:content-encoding", "$.ce", "ContentEncoding", "[1][3]"),
    SystemProperty("absolute-expiry-time", "expires_at", "timestamp", _EXPIRY, SENDER,
        "properties:absolute-expiry-time", "$.exp", "iothub-expiry", "[1][2][3]"),
    SystemProperty("creation-time", "created_at", "timestamp", "", SENDER,
        "properties:creation-time", "$.ctime", None, "[3]"),
    SystemProperty("iothub-ack", "ack", "ack", _ACK, SENDER,
        "application-properties:iothub-ack", "iothub-ack", "iothub-ack", "[1][2][3]"),
    SystemProperty("sequence-number", "sequence_number", "integer", "", HUB,
        "message-annotations:x-opt-sequence-number", None, "iothub-sequencenumber", "[1][3][4]"),
    SystemProperty("enqueued-time", "enqueued_at", "timestamp", "", HUB,
        "message-annotations:iothub-enqueuedtime", None, "iothub-enqueuedtime", "[3][4]"),
    SystemProperty("delivery-count", "delivery_count", "integer", "", HUB,
        "message-annotations:iothub-deliverycount", None, "iothub-deliverycount", "[2][3][4]"),
    SystemProperty("lock-token", "lock_token", "guid", "", HUB,
        "delivery-tag", None, "ETag", "[2][3][4]"),
)
# fmt: on

RESERVED_NAMES: Final[frozenset[str]] = frozenset(
    spelling
    for row in SYSTEM_PROPERTIES
    for spelling in (row.amqp.rpartition(":")[2], row.mqtt, row.https)
    if spelling is not None and spelling.startswith(("iothub-", "x-opt-"))
)
"""Names that no application property may have, because some wire would read them as a system property.

Words such as ``to`` or ``content-type`` are not among them: on every wire they stand apart from application properties.
"""
