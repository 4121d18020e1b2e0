"""What becomes of a message whose handler did not get to its end, as one table.

No way loses a message: it is delivered again, or the hub dead-letters it, or it is in the local dead letters before it
leaves the hub's queue.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from c2dkit._errors import InvalidInputError
from c2dkit._rules.settlement import Settlement

__all__ = ["OnError", "OnErrorWord", "Verdicts", "parse_on_error", "verdicts"]


OnErrorWord: TypeAlias = Literal["redeliver", "abandon", "reject", "hold", "dead-letter"]
"""The words of `OnError`."""


class OnError(StrEnum):
    """What ``DeviceReceiver.run`` does with a message whose handler raised an error."""

    REDELIVER = "redeliver"
    """Let the hub deliver it again: abandon it, or hold it where the wire cannot say that (MQTT)."""
    ABANDON = "abandon"
    """Abandon it: the hub delivers it again at once, up to its maximum delivery count."""
    REJECT = "reject"
    """Reject it: the hub dead-letters it, and tells the sender if that asked for feedback."""
    HOLD = "hold"
    """Say nothing: the hub delivers it again when its lock has run out, on MQTT when the device connects again."""
    DEAD_LETTER = "dead-letter"
    """Write it to ``dead_letters``, then reject it, or complete it where the wire cannot reject (MQTT).

    The sender of a message that was completed reads success.
    """


class Verdicts(NamedTuple):
    """What to say of a message that was not handled; None for nothing.

    Attributes:
        failed: Its handler raised an error.
        unreadable: Its body is not what ``payload_type`` says.
        late: Its lock was about to end before its handler.
    """

    failed: Settlement | None
    unreadable: Settlement | None
    late: Settlement | None


def verdicts(on_error: OnError, supported: frozenset[Settlement], *, dead_letters: bool) -> Verdicts:
    """Return what to say on a wire, which may be something that it cannot say.

    Args:
        on_error: What the application asks for.
        supported: What the wire can say.
        dead_letters: Whether there is a place for what can never be handled.
    """
    again = Settlement.ABANDON if Settlement.ABANDON in supported else None
    away = Settlement.REJECT if Settlement.REJECT in supported else Settlement.COMPLETE
    failed = {
        OnError.REDELIVER: again,
        OnError.ABANDON: Settlement.ABANDON,
        OnError.REJECT: Settlement.REJECT,
        OnError.HOLD: None,
        OnError.DEAD_LETTER: away,
    }[on_error]
    return Verdicts(failed, away if dead_letters else failed, again)


def parse_on_error(on_error: str, *, dead_letters: bool) -> OnError:
    """Return what a caller means by an ``OnError`` or its word.

    Raises:
        InvalidInputError: There is no such word, or it needs ``dead_letters``.
    """
    try:
        parsed = OnError(on_error)
    except ValueError:
        raise InvalidInputError(f"on_error must be one of {', '.join(OnError)}, not {on_error!r}") from None
    if parsed is OnError.DEAD_LETTER and not dead_letters:
        raise InvalidInputError("on_error='dead-letter' needs dead_letters=..., the place to write to")
    return parsed
