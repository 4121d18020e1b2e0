"""What a back end learns of its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FEEDBACK"]

LEARNS: Final = frozenset({Reason.NO_FEEDBACK})
C2D: Final = 'IoT Hub developer guide, "Send cloud-to-device messages", "Message feedback"'

FEEDBACK: Final[Mapping[str, Requirement]] = {
    "feedback:record": Requirement("A record tells which message, which device, what, and when.", C2D, LEARNS),
    "feedback:status": Requirement(
        "Each end of a message is reported by its own status: Success, Expired, DeliveryCountExceeded, Rejected, "
        "Purged.",
        C2D,
        LEARNS,
    ),
    "feedback:ack": Requirement(
        "none asks for no record, positive for success, negative for all else, full for both.", C2D, LEARNS
    ),
    "feedback:completed": Requirement(
        "A batch that was read to its end and left in order does not come again.", "c2dkit", LEARNS
    ),
    "feedback:again": Requirement("A batch that was left by an exception comes again.", "c2dkit", LEARNS),
    "feedback:cancel": Requirement("A wait for a record that is cancelled loses none.", "c2dkit", LEARNS),
    "feedback:close-ends-iteration": Requirement(
        "Closing ends an iteration in another task in order.", "c2dkit", LEARNS
    ),
    "feedback:lost": Requirement(
        "A lost connection ends the link with a transient error.",
        "c2dkit",
        LEARNS | {Reason.NO_CONNECTION, Reason.RECONNECTS},
    ),
    "feedback:resumes": Requirement(
        "The iteration goes on over lost connections and loses no record.",
        "c2dkit",
        LEARNS | {Reason.NO_CONNECTION, Reason.RECONNECTS},
    ),
    "feedback:misuse": Requirement("A stream that is not open says so.", "c2dkit", LEARNS),
    "feedback:shared": Requirement(
        "A sender and a stream of one transport object live and end independently.",
        "c2dkit",
        LEARNS | {Reason.NO_SEND},
    ),
}
