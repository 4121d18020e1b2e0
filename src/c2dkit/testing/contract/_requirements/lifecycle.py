"""How a receiver begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIFECYCLE"]

CONNECTED: Final = frozenset({Reason.NO_CONNECTION, Reason.RECONNECTS})

LIFECYCLE: Final[Mapping[str, Requirement]] = {
    "life:misuse": Requirement("A receiver that is not open, or was, says so; it is opened once.", "c2dkit"),
    "life:close-ends-iteration": Requirement(
        "Closing ends an iteration in another task, and all later ones, in order.", "c2dkit"
    ),
    "life:close-gives-back": Requirement(
        "What was not settled is free again at the hub as soon as the receiver is closed.",
        "c2dkit",
        frozenset({Reason.SETTLES_ITSELF}),
    ),
    "life:close-not-counted": Requirement(
        "What a close gives back does not count as delivered.",
        "c2dkit: inferred for IoT Hub",
        frozenset({Reason.SETTLES_ITSELF, Reason.NO_CONNECTION}),
    ),
    "life:close-disconnects": Requirement("A closed receiver leaves no connection.", "c2dkit"),
    "life:own-exception": Requirement("The user's own exception comes out as it is, in no group.", "c2dkit"),
    "life:lost": Requirement(
        "A lost connection ends the link with a transient error; it never just stops.", "c2dkit", CONNECTED
    ),
    "life:resumes": Requirement(
        "The iteration goes on over lost connections; the state of the connection tells of them, and what was held "
        "comes again.",
        "c2dkit",
        CONNECTED | {Reason.SETTLES_ITSELF},
    ),
    "life:no-resuming": Requirement(
        "An error that does not pass ends the iteration at once: the device was disabled.", "c2dkit", CONNECTED
    ),
    "life:body-undisturbed": Requirement(
        "A lost connection cancels nothing in the user's block, and what was held is still queued.",
        "c2dkit",
        CONNECTED | {Reason.SETTLES_ITSELF},
    ),
    "life:take-over": Requirement(
        "A newer receiver of the device takes over; the older one ends with an error.",
        'IoT Hub, "Troubleshooting error codes", 400027 and 409002',
        frozenset({Reason.NO_CONNECTION}),
    ),
    "life:reopen": Requirement("After one receiver is closed another one receives.", "c2dkit"),
}
