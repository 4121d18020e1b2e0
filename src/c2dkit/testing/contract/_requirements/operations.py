"""What a transport for back ends can do, and that it pretends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPERATIONS"]

QUEUES: Final = frozenset({Reason.NO_QUEUE})

OPERATIONS: Final[Mapping[str, Requirement]] = {
    "operation:offered": Requirement(
        "Each operation that the transport offers works; each that it does not is refused before connecting.",
        "c2dkit",
    ),
    "operation:purge": Requirement(
        "A purge removes all messages of one device and says how many.",
        'IoT Hub REST reference, "Cloud To Device Messages - Purge"',
        QUEUES,
    ),
    "operation:queue-depth": Requirement(
        "The queue depth is what the hub has for the device, held messages included.",
        'IoT Hub REST reference, "Devices - Get Identity"',
        QUEUES,
    ),
    "operation:unknown-device": Requirement(
        "Purging or reading the queue of an unknown device is the hub's refusal.",
        'IoT Hub, "Troubleshooting error codes", 404001',
        QUEUES,
    ),
}
