"""Splits a connection string into its keys and says clearly what is wrong with one.

No error shows a value, and an unknown key only where it cannot be a piece of a secret. Stricter than some SDKs (a
duplicate or a trailing semicolon is an error, as in the Python SDK), because a connection string that was cut or
pasted twice fails here and not as a refused sign-in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from c2dkit._errors import ConnectionStringError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEVICE_KEYS", "SERVICE_KEYS", "check_host", "split_connection_string", "split_host"]

DEVICE_KEYS: Final = frozenset(
    {
        "HostName",
        "DeviceId",
        "SharedAccessKey",
        "SharedAccessKeyName",
        "SharedAccessSignature",
        "GatewayHostName",
        "x509",
    }
)
SERVICE_KEYS: Final = frozenset({"HostName", "SharedAccessKeyName", "SharedAccessKey", "SharedAccessSignature"})

# What a key that belongs elsewhere tells about the mistake.
MISPLACED: Final[Mapping[str, str]] = {
    "ModuleId": "this is a module's connection string, and modules have no cloud-to-device messages; use the device's",
    "DeviceId": "this is a device's connection string; a back end needs the hub's own, with SharedAccessKeyName=service",
    "GatewayHostName": "a gateway stands between devices and the hub; a back end connects to HostName",
    "x509": "only a device signs in with a certificate; a back end needs SharedAccessKeyName and SharedAccessKey",
    "Endpoint": "this is an Event Hubs or Service Bus connection string; IoT Hub's begins with HostName=",
}

MAX_LENGTH: Final = 8192
_KNOWN: Final[Mapping[str, str]] = {key.lower(): key for key in DEVICE_KEYS | SERVICE_KEYS | MISPLACED.keys()}
_LOOKS_LIKE_A_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,23}")
_HOST: Final = re.compile(r"(?P<host>[A-Za-z0-9_.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")


def split_connection_string(text: object, allowed: frozenset[str]) -> dict[str, str]:
    """Return the keys and values of ``Key=Value;Key=Value``; a value may contain ``=``.

    Raises:
        ConnectionStringError: The text breaks that form, or has a key twice or one that is not in ``allowed``.
    """
    if not isinstance(text, str):  # None, from os.environ.get
        raise ConnectionStringError(f"a connection string is text; this is {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ConnectionStringError(
            f"a connection string has at most {MAX_LENGTH} characters; this one has {len(text)}"
        )
    if text.strip()[:1] in {"'", '"'}:
        raise ConnectionStringError("the connection string begins with a quotation mark; leave the marks out")
    values: dict[str, str] = {}
    for number, part in enumerate(text.strip().split(";"), start=1):
        key, value = _split_part(part, number)
        _check_key(key, number, allowed)
        if key in values:
            raise ConnectionStringError(f"{key} is given twice")
        if not value:
            raise ConnectionStringError(f"{key} has no value")
        values[key] = value
    return values


def split_host(text: str, key: str = "HostName") -> tuple[str, int | None]:
    """Split ``host`` or ``host:port``; an IPv6 address stands in brackets and keeps them.

    Raises:
        ConnectionStringError: It is neither. The error names ``key``.
    """
    match = _HOST.fullmatch(text)
    port = None if match is None or match["port"] is None else int(match["port"])
    if match is None or (port is not None and not 1 <= port <= 65_535):
        raise ConnectionStringError(
            f"{key} is not a host name, with or without a port (for example my-hub.azure-devices.net or localhost:5671)"
        )
    return match["host"], port


def check_host(host_name: str, key: str) -> None:
    """Check a host that is given without a port.

    Raises:
        ConnectionStringError: It is none, or it has a port. The error names ``key``.
    """
    host, _ = split_host(host_name, key)
    if host != host_name:
        raise ConnectionStringError(f"the port of {key} is an argument of its own")


def _split_part(part: str, number: int) -> tuple[str, str]:
    if not part:
        raise ConnectionStringError(
            f"part {number} is empty: the connection string is empty, or has a semicolon too many"
        )
    key, equals, value = part.partition("=")
    if not equals:
        raise ConnectionStringError(f"part {number} is not of the form Key=Value")
    return key, value


def _check_key(key: str, number: int, allowed: frozenset[str]) -> None:
    if key in allowed:
        return
    if key in MISPLACED:
        raise ConnectionStringError(f"{key} does not belong here: {MISPLACED[key]}")
    meant = _KNOWN.get(key.lower())
    if meant is not None:
        raise ConnectionStringError(f"part {number}: the key is spelled {meant}")
    # The rest of a cut key in base64 would stand where a key stands, so only what is too short for one is shown.
    shown = f" {key!r}" if _LOOKS_LIKE_A_KEY.fullmatch(key) else ""
    raise ConnectionStringError(f"part {number} has an unknown key{shown}; known are {', '.join(sorted(allowed))}")
