"""Limits of cloud-to-device messages, each with its source, and the few bounds that are c2dkit's own."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

__all__ = [
    "DEVICE_ID",
    "DEVICE_QUEUE_DEPTH",
    "EXPIRY_MAX",
    "EXPIRY_MIN",
    "ID_LENGTH",
    "LOCK_DURATION",
    "MESSAGE_BYTES",
    "MESSAGE_ID",
    "PROPERTIES",
    "UNSAFE_TEXT",
    "VISIBLE_ASCII",
]

MESSAGE_BYTES: Final = 65_536
"""Largest message in bytes, counted as ``validation.message_size`` does. IoT Hub quotas and throttling, "Other limits"."""

ID_LENGTH: Final = 128
"""Longest device id, message id or correlation id, in characters.

IoT Hub developer guide, "Identity registry" (device id) and "Create and read IoT Hub messages" (message id); that it
also holds for a correlation id, which carries a message id, is inferred.
"""

DEVICE_ID: Final = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
"""What a device id looks like. IoT Hub developer guide, "Identity registry", device identity properties.

The developer guide gives the same alphabet for message ids; see ``MESSAGE_ID``.
"""

MESSAGE_ID: Final = re.compile(r"[ -~]{1,128}")
"""What a message id looks like: printable ASCII.

Wider than the documented alphabet on purpose: Microsoft's own how-to ("Send cloud-to-device messages", Node.js) sends
the id ``My Message ID``, and the documented alphabet has no space. The SDKs check nothing and the service carries it.
"""

VISIBLE_ASCII: Final = re.compile(r"[ -~]+")
"""Content type and content encoding: AMQP carries them as symbols, which are ASCII (AMQP 1.0 part 1, 1.6.21)."""

UNSAFE_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no text of a message may have.

Control characters would end or split a header where a property travels as one (HTTPS), and a lone surrogate has no
UTF-8 form. All other text is carried by every wire, though the developer guide lists only ASCII letters, digits and
``!#$%&'*+-.^_`|~`` for property names and values; the SDKs do not enforce that list, so c2dkit does not either.
"""

PROPERTIES: Final = 1024
"""Most application properties in one message. c2dkit's own bound on what a peer can make it store; none is documented."""

EXPIRY_MIN: Final = timedelta(minutes=1)
"""Shortest time to live. IoT Hub developer guide, "Send cloud-to-device messages", the hub's ``defaultTtlAsIso8601``.

That the range of the hub's default also holds for the expiry of a single message is inferred.
"""

EXPIRY_MAX: Final = timedelta(days=2)
"""Longest time to live; same source as ``EXPIRY_MIN``, and "Cloud-to-device communications guidance": 48 hours."""

LOCK_DURATION: Final = timedelta(seconds=60)
"""How long a message is locked on AMQP and HTTPS. IoT Hub developer guide, same page: no setting changes it."""

DEVICE_QUEUE_DEPTH: Final = 50
"""Messages that IoT Hub queues for one device. IoT Hub developer guide, "Send cloud-to-device messages"."""
