"""What may happen to a message that is held, as one table of states and events.

A message is held from the moment it is handed over. Asking for a settlement moves its state before anything is
awaited, so two tasks cannot both settle it. What comes back (the hub's confirmation, its refusal, or the end of the
connection) moves it on. A pair that is not in the table changes nothing.

Source of the words: IoT Hub developer guide, "Send cloud-to-device messages", section "The cloud-to-device message
life cycle".
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from c2dkit._errors import C2dError, MessageLockLostError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRANSITIONS", "Settlement", "SettlementEvent", "SettlementState", "event_of", "next_state"]


class Settlement(StrEnum):
    """What an application says of a message: complete, abandon or reject."""

    COMPLETE = "complete"
    """Processed: the hub removes it from the queue (positive feedback, if asked for)."""
    ABANDON = "abandon"
    """Not now: the hub puts it back and delivers it again, up to its maximum delivery count."""
    REJECT = "reject"
    """Never: the hub dead-letters it (negative feedback, if asked for)."""


class SettlementState(StrEnum):
    """Where a message stands between being handed over and its end."""

    HELD = "held"
    SETTLING = "settling"
    SETTLED = "settled"
    LOCK_LOST = "lock-lost"
    UNKNOWN = "unknown"


class SettlementEvent(StrEnum):
    """What can happen to a message in the hands of an application."""

    ASKED = "asked"
    """The application asked for a settlement."""
    CONFIRMED = "confirmed"
    """The wire has done all it can: the hub confirmed, or it never does on this wire."""
    REFUSED = "refused"
    """The hub has not been told, or has refused for now: the message is held as before."""
    LOCK_REFUSED = "lock-refused"
    """The hub says that the lock is gone."""
    LINK_LOST = "link-lost"
    """The connection that held the lock has ended."""
    CUT_OFF = "cut-off"
    """The wait for a confirmation ended (error, cancellation) after bytes had left."""


_S = SettlementState
_E = SettlementEvent

TRANSITIONS: Final[Mapping[tuple[SettlementState, SettlementEvent], SettlementState]] = {
    (_S.HELD, _E.ASKED): _S.SETTLING,
    (_S.HELD, _E.LINK_LOST): _S.LOCK_LOST,
    (_S.SETTLING, _E.CONFIRMED): _S.SETTLED,
    (_S.SETTLING, _E.REFUSED): _S.HELD,
    (_S.SETTLING, _E.LOCK_REFUSED): _S.LOCK_LOST,
    (_S.SETTLING, _E.LINK_LOST): _S.UNKNOWN,
    (_S.SETTLING, _E.CUT_OFF): _S.UNKNOWN,
}


def event_of(error: BaseException) -> SettlementEvent:
    """Return what has happened where a settlement ended with an error, or with a cancellation."""
    if isinstance(error, MessageLockLostError):
        return SettlementEvent.LOCK_REFUSED
    if isinstance(error, C2dError) and not isinstance(error, OutcomeUnknownError):
        return SettlementEvent.REFUSED
    return SettlementEvent.CUT_OFF


def next_state(state: SettlementState, event: SettlementEvent) -> SettlementState:
    """Return the state that follows, which is the same state where the table has no entry."""
    return TRANSITIONS.get((state, event), state)
