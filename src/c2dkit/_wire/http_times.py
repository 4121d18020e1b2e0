"""Times in HTTPS headers of a message: written the US way, read in every way that IoT Hub may have.

A captured response of IoT Hub has ``12/09/2019 12:00:00 PM`` (a test fixture of the Azure CLI's IoT extension); that
this is UTC, and .NET's invariant culture, is inferred. The .NET SDK reads these headers leniently.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from c2dkit._wire.times import parse_time

__all__ = ["format_http_time", "parse_http_time"]

MAX_LENGTH: Final = 64
US: Final = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}) (?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?: (?P<half>[AaPp])[Mm])?",
    re.ASCII,
)


def format_http_time(time: datetime) -> str:
    """Write a time that has a time zone, to the second, for example ``1/31/2026 12:00:00 PM``."""
    time = time.astimezone(UTC)
    half = "AM" if time.hour < 12 else "PM"
    return f"{time.month}/{time.day}/{time.year:04} {time.hour % 12 or 12}:{time.minute:02}:{time.second:02} {half}"


def parse_http_time(text: str) -> datetime:
    """Read a US, an ISO 8601 or an RFC 1123 time; one without a time zone is in UTC.

    Raises:
        ValueError: It is none of these.
    """
    us = US.fullmatch(text)
    if us is not None:
        return _us_time(us)
    return _rfc_1123_time(text) if text[:3].isalpha() else parse_time(text)


def _us_time(match: re.Match[str]) -> datetime:
    hour = int(match["hour"])
    if match["half"] is not None:
        if not 1 <= hour <= 12:
            raise ValueError(f"not a time: {match.string!r}")
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    month, day, year = int(match["month"]), int(match["day"]), int(match["year"])
    return datetime(year, month, day, hour, int(match["minute"]), int(match["second"]), tzinfo=UTC)


def _rfc_1123_time(text: str) -> datetime:
    if len(text) > MAX_LENGTH:
        raise ValueError("not a time: it is too long")
    try:
        time = parsedate_to_datetime(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):
        raise ValueError(f"not a time: {text!r}") from None
