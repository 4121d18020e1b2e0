"""What a device sees of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RECEIVE"]

CONSTRUCT: Final = 'IoT Hub developer guide, "Create and read IoT Hub messages"'
C2D: Final = 'IoT Hub developer guide, "Send cloud-to-device messages"'
MQTT: Final = 'IoT Hub developer guide, "Communicate with an IoT hub using MQTT"'

RECEIVE: Final[Mapping[str, Requirement]] = {
    "receive:body": Requirement("A body arrives byte for byte: empty, text, every byte there is.", CONSTRUCT),
    "receive:largest": Requirement(
        "A message of 64 KB arrives.", 'IoT Hub developer guide, "IoT Hub quotas and throttling"'
    ),
    "receive:system-properties": Requirement(
        "Every system property that a sender sets arrives as it was sent.", CONSTRUCT
    ),
    "receive:to": Requirement(
        "The address that the sender wrote arrives as it was sent.", CONSTRUCT, frozenset({Reason.NO_ADDRESS})
    ),
    "receive:absent": Requirement("What the sender left out is None; nothing is made up.", "c2dkit"),
    "receive:ack": Requirement("Each value of ack arrives as it was sent.", C2D),
    "receive:ids": Requirement(
        "Ids of 128 characters arrive, and ids of every character that may be in one.",
        'IoT Hub developer guide, "Identity registry" and "Create and read IoT Hub messages"',
    ),
    "receive:content": Requirement("Content type and content encoding arrive as they were sent.", CONSTRUCT),
    "receive:properties": Requirement(
        "Application properties arrive as they were sent: separators, escapes, spaces, emoji, empty values, names that "
        "sound like system properties.",
        CONSTRUCT,
    ),
    "receive:valueless": Requirement(
        "A property without a value arrives as None, not as an empty text.", MQTT, frozenset({Reason.NO_VALUELESS})
    ),
    "receive:valueless-is-empty": Requirement(
        "On a wire that has none, a property without a value arrives with an empty one.",
        "c2dkit: inferred for HTTPS",
        frozenset({Reason.VALUELESS}),
    ),
    "receive:hub-properties": Requirement(
        "Sequence number, enqueued time, delivery count and lock token are those of the hub.",
        CONSTRUCT,
        frozenset({Reason.NO_HUB_PROPERTIES}),
    ),
    "receive:no-hub-properties": Requirement(
        "What the hub adds is None on a wire that does not carry it.", MQTT, frozenset({Reason.HUB_PROPERTIES})
    ),
    "receive:order": Requirement("Messages arrive in the order in which the hub queued them.", C2D),
    "receive:own": Requirement("A device receives its own messages only.", C2D),
    "receive:queued": Requirement("Messages that were queued before the device connected arrive.", C2D),
    "receive:prefetch": Requirement(
        "No more than `prefetch` messages are taken from the hub before the application asks.",
        "c2dkit: memory is bounded",
        frozenset({Reason.NO_CREDIT}),
    ),
    "receive:shared": Requirement("Each message goes to one of the tasks that share a receiver.", "c2dkit"),
    "receive:two-receivers": Requirement(
        "Of two receivers on one device at least one gets each message, and the hub sees each settled once.",
        'IoT Hub, "Troubleshooting error codes", 400027 and 409002',
        frozenset({Reason.SETTLES_ITSELF}),
    ),
    "receive:payload-type": Requirement(
        "payload_type says what the payload is; a body that is something else can still be settled.", "c2dkit"
    ),
    "receive:default-payload": Requirement("Without payload_type the content type says what the payload is.", "c2dkit"),
}
