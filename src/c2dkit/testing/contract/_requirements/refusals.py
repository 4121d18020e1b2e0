"""Who is not let in, and peers that are not hubs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEVICE_REFUSALS", "SERVICE_REFUSALS"]

NETWORK: Final = frozenset({Reason.IN_PROCESS})
CODES: Final = 'IoT Hub, "Troubleshooting error codes"'
SAS: Final = 'IoT Hub developer guide, "Control access with shared access signatures"'
TLS: Final = "RFC 9525"


def _both(side: str) -> dict[str, Requirement]:
    return {
        f"{side}-refused:wrong-key": Requirement(
            "A wrong key is refused, for good, by an error that shows no key.", f"{CODES}, 401003"
        ),
        f"{side}-refused:expired-token": Requirement("A token that has expired by the hub's clock is refused.", SAS),
        f"{side}-refused:expired-signature": Requirement(
            "A ready-made signature that has expired is refused before connecting.",
            "c2dkit",
            frozenset({Reason.OWN_CREDENTIALS}),
        ),
        f"{side}-refused:wrong-name": Requirement(
            "A certificate for another host name is not accepted, and no credential is sent.", TLS, NETWORK
        ),
        f"{side}-refused:untrusted": Requirement(
            "A certificate of an unknown authority is not accepted, and no credential is sent.", TLS, NETWORK
        ),
        f"{side}-refused:nobody": Requirement("Where nobody listens the error is transient.", "c2dkit", NETWORK),
        f"{side}-refused:nonsense": Requirement(
            "A peer that answers with nonsense gets an error at once, though it stays on the line.",
            "c2dkit: bounded in time and memory",
            NETWORK | {Reason.PATIENT},
        ),
        f"{side}-refused:nonsense-after-greeting": Requirement(
            "So does one that speaks nonsense after the greeting of a hub.",
            "c2dkit: bounded in time and memory",
            NETWORK | {Reason.PATIENT, Reason.RECONNECTS},
        ),
        f"{side}-refused:nonsense-and-end": Requirement(
            "A peer that answers with nonsense and hangs up gets an error.", "c2dkit", NETWORK
        ),
        f"{side}-refused:hang-up": Requirement(
            "A peer that hangs up at once gets a transient error.", "c2dkit", NETWORK
        ),
        f"{side}-refused:nonsense-later": Requirement(
            "Nonsense in the middle of an open connection ends it with an error.",
            "c2dkit",
            NETWORK | {Reason.NO_CONNECTION, Reason.RECONNECTS},
        ),
    }


DEVICE_REFUSALS: Final[Mapping[str, Requirement]] = {
    "device-refused:unknown": Requirement("A device that the hub does not know is refused.", f"{CODES}, 404001"),
    "device-refused:disabled": Requirement("A disabled device is refused.", f"{CODES}, 404001"),
    "device-refused:disabled-later": Requirement(
        "A device that is disabled while it receives ends with an error.",
        CODES,
        frozenset({Reason.RECONNECTS}),
    ),
    **_both("device"),
}

SERVICE_REFUSALS: Final[Mapping[str, Requirement]] = {
    "service-refused:device-key": Requirement("A device's key opens nothing for a back end.", SAS),
    **_both("service"),
}
