"""What becomes of a message that a device holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SETTLEMENT"]

LIFE_CYCLE: Final = 'IoT Hub developer guide, "Send cloud-to-device messages", "message life cycle"'
HOLDS: Final = frozenset({Reason.SETTLES_ITSELF})

SETTLEMENT: Final[Mapping[str, Requirement]] = {
    "settle:outcome": Requirement(
        "Each settlement that the wire has shows at the hub; each that it has not is refused, and the hub shows "
        "nothing.",
        LIFE_CYCLE,
    ),
    "settle:not-before": Requirement("Nothing is acknowledged before the application says so.", "c2dkit", HOLDS),
    "settle:once": Requirement(
        "A second settlement is an error that names the first; the hub sees one.", "c2dkit", HOLDS
    ),
    "settle:once-of-two-tasks": Requirement("Of two tasks that settle a message one gets through.", "c2dkit", HOLDS),
    "settle:other-task": Requirement("A message can be settled by another task than received it.", "c2dkit", HOLDS),
    "settle:out-of-order": Requirement(
        "Messages that are completed out of order are all completed.", "MQTT-4.6.0-2, for wires with an order", HOLDS
    ),
    "settle:mixed": Requirement("Different settlements in one turn of the loop stay different.", LIFE_CYCLE, HOLDS),
    "settle:after-close": Requirement(
        "A message that outlives its receiver cannot be settled: the lock is gone, and the hub delivers it again.",
        "c2dkit",
        HOLDS,
    ),
    "settle:after-loss": Requirement(
        "A message that outlives its connection cannot be settled, however often one tries.",
        "c2dkit",
        HOLDS | {Reason.NO_CONNECTION, Reason.RECONNECTS},
    ),
    "settle:lock-ends": Requirement(
        "After 60 s the lock is lost: the message comes again, not counted, whatever was said of it too late.",
        LIFE_CYCLE,
        HOLDS | {Reason.NO_LOCK_TIME},
    ),
    "settle:lock-lost": Requirement(
        "A settlement that comes too late is refused.",
        'IoT Hub, "Troubleshooting error codes", 412002',
        HOLDS | {Reason.NO_LOCK_TIME, Reason.UNCONFIRMED},
    ),
    "settle:lock-stays": Requirement(
        "A lock without an end outlasts 60 s.", "c2dkit: inferred for MQTT", HOLDS | {Reason.LOCK_TIME}
    ),
    "settle:delivery-count": Requirement(
        "A message that is abandoned as often as the hub delivers is dead-lettered; till then each delivery counts up.",
        LIFE_CYCLE,
    ),
    "settle:unreadable": Requirement("A message whose payload cannot be read can be settled.", "c2dkit"),
}
