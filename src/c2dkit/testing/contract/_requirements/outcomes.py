"""What a sender learns of its own messages, beside the feedback streams of the same process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OUTCOMES"]

LOOP: Final = frozenset({Reason.NO_SEND, Reason.NO_FEEDBACK})
C2D: Final = 'IoT Hub developer guide, "Send cloud-to-device messages", "Message feedback"'

OUTCOMES: Final[Mapping[str, Requirement]] = {
    "outcome:status": Requirement("A receipt tells each end of its message, by the hub's record of it.", C2D, LOOP),
    "outcome:own": Requirement("Each of many receipts tells its own message's end.", "c2dkit", LOOP),
    "outcome:late": Requirement("A receipt can be asked after the record has come, and again.", "c2dkit", LOOP),
    "outcome:none": Requirement("Who asked for no feedback is told so, before anything is sent.", "c2dkit", LOOP),
    "outcome:timeout": Requirement("A wait that took too long is an error, and can be begun again.", "c2dkit", LOOP),
    "outcome:cancel": Requirement("A wait that is cancelled loses nothing, and can be begun again.", "c2dkit", LOOP),
    "outcome:closed": Requirement("Closing the sender ends the wait with ClosedError.", "c2dkit", LOOP),
    "outcome:shared": Requirement("Receipts and streams of one credential each get every record.", "c2dkit", LOOP),
    "outcome:resumes": Requirement(
        "The wait goes on over lost connections.",
        "c2dkit",
        LOOP | {Reason.NO_CONNECTION, Reason.RECONNECTS, Reason.UNTOLD},
    ),
}
