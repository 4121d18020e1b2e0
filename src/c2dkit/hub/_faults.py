"""What can be made to go wrong on a hub, as data and as one line of text. Pure."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, get_args

from c2dkit._errors import InvalidInputError
from c2dkit._rules.validation import check_device_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Fault", "FaultKind", "FaultLink"]

LONGEST: Final = timedelta(days=1)
MOST_TIMES: Final = 1_000_000
MAX_TEXT_LENGTH: Final = 1000

FaultLink: TypeAlias = Literal["devicebound", "events", "servicebound", "feedback", "cbs-requests", "cbs-answers"]
"""The links that a client of the hub has over AMQP."""


class FaultKind(StrEnum):
    """What goes wrong."""

    DROP = "drop"
    """The connection ends without a goodbye."""
    RESET = "reset"
    """The connection ends with a TCP reset, and what was on its way is lost."""
    CLOSE = "close"
    """The connection ends with the protocol's goodbye: an AMQP CLOSE, with ``condition``. MQTT 3.1.1 has none."""
    HALF_OPEN = "half-open"
    """The connection stays, but the hub neither reads nor answers until the fault is over."""
    DELAY = "delay"
    """Whatever the hub sends leaves ``by`` later."""
    REFUSE = "refuse"
    """A new connection ends at once, or as soon as ``device`` has signed in on it, without an answer."""
    DUPLICATE = "duplicate"
    """A message that the device completes is delivered once more, as if its acknowledgment had been lost."""
    DETACH = "detach"
    """Links end with ``condition``; AMQP only."""
    END_SESSION = "end-session"
    """Sessions end with ``condition``; AMQP only."""
    THROTTLE = "throttle"
    """Requests are refused: 429001 ThrottlingException."""
    QUOTA = "quota"
    """Messages are refused: 403002 IotHubQuotaExceeded."""
    REJECT_TOKEN = "reject-token"  # noqa: S105 - a kind of fault
    """Tokens are refused: 401003 IotHubUnauthorized."""


CONDITIONS: Final[Mapping[FaultKind, str | None]] = {
    FaultKind.CLOSE: None,
    FaultKind.DETACH: "amqp:link:detach-forced",
    FaultKind.END_SESSION: "amqp:internal-error",
}
"""The condition where a fault names none (inferred)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, for whom, when and how often; `LocalHub.inject` has it happen.

    As text, the kind and then ``name=value`` for what is not the default, with times in seconds and ``duration``
    spelled ``for``: ``drop device=dev-1 after=5 times=3``.

    Attributes:
        kind: What goes wrong.
        device: Whom it concerns; None for every client, back ends too.
        after: How long after it was injected it begins, up to a day. What befalls connections befalls those that come
            later so long after they came.
        duration: How long it lasts from then on, up to a day; None until it has happened ``times``.
        times: How often it happens, at least once. The connections that are there when it begins count as one time,
            and so does each that comes later. None: as often as there is occasion where there is a ``duration`` or
            the kind is ``DELAY``, else once.
        by: How much later, up to a day; needed for ``DELAY``, and for it alone.
        link: For ``DETACH``: which links; None for all.
        condition: For ``DETACH``, ``END_SESSION`` and ``CLOSE``: the AMQP error condition that the client is told; by
            default ``amqp:link:detach-forced``, ``amqp:internal-error`` and none.

    Raises:
        InvalidInputError: A value is out of its range, or does not go with the kind.
    """

    kind: FaultKind
    _: KW_ONLY
    device: str | None = None
    after: timedelta = timedelta(0)
    duration: timedelta | None = None
    times: int | None = None
    by: timedelta | None = None
    link: FaultLink | None = None
    condition: str | None = None

    def __post_init__(self) -> None:
        if self.device is not None:
            check_device_id(self.device)
        for name, value in (("after", self.after), ("duration", self.duration), ("by", self.by)):
            if value is not None and not timedelta(0) <= value <= LONGEST:
                raise InvalidInputError(f"{name} is 0 to {LONGEST.total_seconds():g} seconds")
        if self.times is not None and not 1 <= self.times <= MOST_TIMES:
            raise InvalidInputError(f"times is 1 to {MOST_TIMES}, not {self.times}")
        self._check_kind()

    def _check_kind(self) -> None:
        if (self.by is None) is (self.kind is FaultKind.DELAY):
            raise InvalidInputError("`delay` says how much later with `by`, and no other fault has it")
        if self.link is not None and (self.kind is not FaultKind.DETACH or self.link not in get_args(FaultLink)):
            raise InvalidInputError(f"`link` goes with `detach` and is one of {', '.join(get_args(FaultLink))}")
        if self.condition is None:
            return
        if self.kind not in CONDITIONS:
            raise InvalidInputError(f"`condition` goes with {', '.join(CONDITIONS)}")
        if not (0 < len(self.condition) <= 100 and self.condition.isascii() and self.condition.isprintable()):
            raise InvalidInputError("`condition` is an AMQP error condition, for example amqp:link:detach-forced")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a fault from its text.

        Raises:
            InvalidInputError: It cannot be read; the error says what is wrong.
        """
        if len(text) > MAX_TEXT_LENGTH:
            raise InvalidInputError(f"the text of a fault has at most {MAX_TEXT_LENGTH} characters")
        word, *pairs = text.split() or [""]
        try:
            kind = FaultKind(word)
        except ValueError:
            raise InvalidInputError(f"{word[:40]!r} is no fault; there are {', '.join(FaultKind)}") from None
        values: dict[str, object] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if name not in _PARSERS or not equals or _FIELDS.get(name, name) in values:
                raise InvalidInputError(f"{pair[:40]!r}: write each of {', '.join(_PARSERS)} as name=value, once")
            values[_FIELDS.get(name, name)] = _PARSERS[name](value)
        return cls(kind, **values)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - checked by __post_init__

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        names = {field: name for name, field in _FIELDS.items()}
        words: list[str] = [self.kind]
        for field in ("device", "after", "duration", "times", "by", "link", "condition"):
            value: object = getattr(self, field)
            if value is not None and (field, value) != ("after", timedelta(0)):
                shown = (
                    f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") if isinstance(value, timedelta) else value
                )
                words.append(f"{names.get(field, field)}={shown}")
        return " ".join(words)

    @property
    def limit(self) -> int | None:
        """How often it happens at most; None for as often as there is occasion."""
        unbounded = self.duration is not None or self.kind is FaultKind.DELAY
        return self.times if self.times is not None or unbounded else 1

    @property
    def error_condition(self) -> str | None:
        """The AMQP error condition that the client is told, if any."""
        return self.condition or CONDITIONS.get(self.kind)


def _seconds(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{text[:40]!r} is no number of seconds") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST_TIMES))):
        raise InvalidInputError(f"times is 1 to {MOST_TIMES}, not {text[:40]!r}")
    return int(text)


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "device": str,
    "after": _seconds,
    "for": _seconds,
    "times": _number,
    "by": _seconds,
    "link": str,
    "condition": str,
}
_FIELDS: Final[Mapping[str, str]] = {"for": "duration"}
