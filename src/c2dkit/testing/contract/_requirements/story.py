"""The whole loop, for every device leg with every service leg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STORY"]

STORY: Final[Mapping[str, Requirement]] = {
    "story:loop": Requirement(
        "What one side sends the other receives and settles, and feedback closes the loop.",
        'IoT Hub developer guide, "Send cloud-to-device messages"',
    ),
}
