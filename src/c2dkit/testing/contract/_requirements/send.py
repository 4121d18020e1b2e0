"""What the hub gets of a message, and when a send has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SEND"]

SENDS: Final = frozenset({Reason.NO_SEND})
CONSTRUCT: Final = 'IoT Hub developer guide, "Create and read IoT Hub messages"'
C2D: Final = 'IoT Hub developer guide, "Send cloud-to-device messages"'
CODES: Final = 'IoT Hub, "Troubleshooting error codes"'

SEND: Final[Mapping[str, Requirement]] = {
    "send:receipt": Requirement(
        "The receipt names the message; it comes when the hub has queued the message.", "c2dkit", SENDS
    ),
    "send:body": Requirement("The hub gets a body byte for byte: empty, text, every byte.", CONSTRUCT, SENDS),
    "send:largest": Requirement(
        "A message of 64 KB is queued; one byte more is refused before any byte is sent.",
        'IoT Hub developer guide, "IoT Hub quotas and throttling"',
        SENDS,
    ),
    "send:system-properties": Requirement("The hub gets every system property as it was set.", CONSTRUCT, SENDS),
    "send:user-id": Requirement("The hub gets a user id.", CONSTRUCT, SENDS | {Reason.NO_USER_ID}),
    "send:absent": Requirement("What the caller left out the hub does not get.", "c2dkit", SENDS),
    "send:ack": Requirement("The hub gets each value of ack.", C2D, SENDS),
    "send:ids": Requirement(
        "The hub gets ids of 128 characters, and ids of every character that may be in one.", CONSTRUCT, SENDS
    ),
    "send:properties": Requirement("The hub gets awkward application properties as they were set.", CONSTRUCT, SENDS),
    "send:content": Requirement(
        "JSON, text and bytes get their content types and encodings, and the caller's own stand.", "c2dkit", SENDS
    ),
    "send:order": Requirement("Messages are queued in the order of the sends.", "c2dkit", SENDS),
    "send:tasks": Requirement("Sends of many tasks share the link; each is queued once.", "c2dkit", SENDS),
    "send:invalid": Requirement("Bad input is refused before any byte is sent.", "c2dkit", SENDS),
    "send:refused": Requirement(
        "What the hub does not take is an error and is not queued, and the sender goes on.", "c2dkit", SENDS
    ),
    "send:unknown-device": Requirement(
        "An unknown device is the hub's refusal, for good.", f"{CODES}, 404001", SENDS | {Reason.UNTOLD}
    ),
    "send:disabled-device": Requirement(
        "A disabled device is the hub's refusal.", f"{CODES}, 404001", SENDS | {Reason.UNTOLD}
    ),
    "send:queue-full": Requirement(
        "The 51st message of a device is refused.", f"{CODES}, 403004", SENDS | {Reason.UNTOLD}
    ),
    "send:lost": Requirement(
        "A send on a lost link says so; whether it was queued is not claimed to be known.",
        "c2dkit",
        SENDS | {Reason.NO_CONNECTION, Reason.RECONNECTS, Reason.UNTOLD},
    ),
    "send:resumes": Requirement(
        "Sends go on over lost connections, each queued at least once where the sender may repeat it.",
        "c2dkit",
        SENDS | {Reason.NO_CONNECTION, Reason.RECONNECTS, Reason.UNTOLD},
    ),
    "send:cancel": Requirement(
        "A send that is cancelled, wherever it stands, queues at most one message, and the sender goes on.",
        "c2dkit",
        SENDS,
    ),
    "send:misuse": Requirement("A sender that is not open, or was, says so.", "c2dkit", SENDS),
}
