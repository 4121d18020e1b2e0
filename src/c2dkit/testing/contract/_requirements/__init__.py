"""The manifest: every requirement by its id, one module for each area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._requirements.cancellation import CANCELLATION
from c2dkit.testing.contract._requirements.feedback import FEEDBACK
from c2dkit.testing.contract._requirements.lifecycle import LIFECYCLE
from c2dkit.testing.contract._requirements.operations import OPERATIONS
from c2dkit.testing.contract._requirements.outcomes import OUTCOMES
from c2dkit.testing.contract._requirements.receive import RECEIVE
from c2dkit.testing.contract._requirements.refusals import DEVICE_REFUSALS, SERVICE_REFUSALS
from c2dkit.testing.contract._requirements.send import SEND
from c2dkit.testing.contract._requirements.settlement import SETTLEMENT
from c2dkit.testing.contract._requirements.story import STORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit.testing.contract._manifest import Requirement

__all__ = ["DEVICE", "REQUIREMENTS", "SERVICE", "STORY"]

DEVICE: Final[Mapping[str, Requirement]] = {**RECEIVE, **SETTLEMENT, **CANCELLATION, **LIFECYCLE, **DEVICE_REFUSALS}
SERVICE: Final[Mapping[str, Requirement]] = {**SEND, **FEEDBACK, **OUTCOMES, **OPERATIONS, **SERVICE_REFUSALS}
REQUIREMENTS: Final[Mapping[str, Requirement]] = {**DEVICE, **SERVICE, **STORY}
