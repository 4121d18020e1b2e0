"""Keeps what this device could not handle, with the reason: a hub's own dead letters can be read by nobody."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from c2dkit._errors import InvalidInputError
from c2dkit._rules.limits import MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from c2dkit._message import ReceivedMessage

__all__ = ["DEFAULT_BYTES", "DEFAULT_COUNT", "DeadLetter", "DeadLetters", "MemoryDeadLetters", "check_bounds"]

DEFAULT_COUNT: Final = 1_000
DEFAULT_BYTES: Final = 16 * 1024 * 1024
REASON_LENGTH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was taken off the queue without having been handled.

    Attributes:
        message_id: The id that its sender gave, or None.
        reason: Why it was not handled, 1,000 characters at most.
        at: When it was given up, in UTC, by this device's clock.
        body: The raw bytes, 65,536 at most; a longer body, which IoT Hub does not take, is cut off.
        content_type: The media type of the body, or None.
        content_encoding: The encoding of the body, or None.
        properties: The application properties.
    """

    message_id: str | None
    reason: str
    at: datetime
    body: bytes = field(repr=False)
    content_type: str | None
    content_encoding: str | None
    properties: Mapping[str, str | None]

    @classmethod
    def of(cls, message: ReceivedMessage[object], reason: str) -> Self:
        """Make one of a message, now."""
        return cls(
            message_id=message.message_id,
            # The text of an error may have what is no Unicode, of a file's name for one; no file takes that.
            reason=reason.encode("utf-8", "backslashreplace").decode()[:REASON_LENGTH],
            at=datetime.now(UTC),
            body=message.body[:MESSAGE_BYTES],
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            properties=message.properties,
        )

    @property
    def size(self) -> int:
        """What it counts towards a bound: the bytes of the body, and the characters of the properties and the reason."""
        texts = (text for pair in self.properties.items() for text in pair if text is not None)
        return len(self.body) + len(self.reason) + sum(map(len, texts))


class DeadLetters(Protocol):
    """What ``DeviceReceiver.run`` needs of a place for dead letters."""

    async def add(self, letter: DeadLetter) -> None:
        """Keep a letter; whatever this promises to survive, it survives on return.

        An error ends the run; the message stays on the queue.

        Cancellation: it may or may not be kept.
        """
        ...


class MemoryDeadLetters:
    """Dead letters that end with the process.

    Args:
        max_count: How many are kept, the last ones; at least 1.
        max_bytes: How many bytes they may have together, by ``DeadLetter.size``; at least 65,536. The last letter is
            kept whatever its size.

    Raises:
        InvalidInputError: A bound is too low.
    """

    def __init__(self, *, max_count: int = DEFAULT_COUNT, max_bytes: int = DEFAULT_BYTES) -> None:
        check_bounds(max_count, max_bytes)
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._letters: deque[DeadLetter] = deque()
        self._bytes = 0

    async def add(self, letter: DeadLetter) -> None:
        """See ``DeadLetters.add``; survives nothing."""
        self._letters.append(letter)
        self._bytes += letter.size
        while len(self._letters) > self._max_count or (self._bytes > self._max_bytes and len(self._letters) > 1):
            self._bytes -= self._letters.popleft().size

    async def letters(self) -> list[DeadLetter]:
        """Return what is kept, oldest first.

        Cancellation: safe.
        """
        return list(self._letters)


def check_bounds(max_count: int, max_bytes: int) -> None:
    """Refuse bounds that leave no room for a message."""
    if max_count < 1:
        raise InvalidInputError(f"max_count must be at least 1, not {max_count}")
    if max_bytes < MESSAGE_BYTES:
        raise InvalidInputError(f"max_bytes must be at least {MESSAGE_BYTES}, the size of a message, not {max_bytes}")
