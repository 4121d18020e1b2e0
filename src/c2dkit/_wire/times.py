"""Times as IoT Hub writes them in text: UTC, seven fractional digits, ``Z``.

It is .NET's round-trip format, and .NET's device client refuses any other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

__all__ = ["format_time", "parse_time", "read_time"]

MAX_LENGTH: Final = 64


def format_time(time: datetime) -> str:
    """Write a time that has a time zone, for example ``2026-01-31T12:00:00.0000000Z``."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "0Z"


def parse_time(text: str) -> datetime:
    """Read any ISO 8601 time; one without a time zone is in UTC, and digits below a microsecond are dropped.

    Raises:
        ValueError: It is none, or lies outside the years 1 to 9999.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("not an ISO 8601 time")
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"not an ISO 8601 time: {text!r}") from None


def read_time(text: str | None) -> datetime | None:
    """Read a time of a message as ``parse_time`` does: None where there is none, for the message is good without it."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None
