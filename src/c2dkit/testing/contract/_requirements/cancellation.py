"""What cancelling costs: nothing but what was cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.testing.contract._manifest import Reason, Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CANCELLATION"]

CANCELLATION: Final[Mapping[str, Requirement]] = {
    "cancel:open": Requirement("Cancelling an open, wherever it stands, leaves nothing open.", "c2dkit"),
    "cancel:receive": Requirement("A wait for a message that is cancelled, wherever it stands, loses none.", "c2dkit"),
    "cancel:settle": Requirement(
        "A settlement that is cancelled counts as made here; at the hub it is made or not, and the link goes on.",
        "c2dkit",
        frozenset({Reason.SETTLES_ITSELF}),
    ),
    "cancel:close": Requirement("A close that is cancelled, wherever it stands, still closes.", "c2dkit"),
}
