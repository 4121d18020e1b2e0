"""Shared access signatures: how a token is made, read and verified.

Source: IoT Hub developer guide, "Control access to IoT Hub with shared access signatures".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

__all__ = [
    "DEFAULT_LIFETIME",
    "MAX_EXPIRY",
    "RENEW_AFTER",
    "ParsedSas",
    "SasToken",
    "covers",
    "decode_key",
    "parse",
    "sign",
    "verify",
]

SCHEME: Final = "SharedAccessSignature "
DEFAULT_LIFETIME: Final = timedelta(hours=1)
"""How long a token lives unless told otherwise; every Azure IoT SDK says one hour."""

RENEW_AFTER: Final = 0.8
"""The part of its lifetime after which a token is renewed: 48 minutes of the default hour.

The SDKs range from 75 % (Node) over 80 % (C) and 85 % (.NET, Java) to 97 % (Python); 80 % leaves 12 minutes for
tries against a hub that is out of reach, and clocks may differ by 5 minutes (IoT Hub error 401003, clock skew).
"""

MAX_TOKEN_LENGTH: Final = 4096
MAX_EXPIRY: Final = 253_402_300_799
"""The last second of the year 9999, the last that a ``datetime`` can name."""

_PORT: Final = re.compile(r":[0-9]*$")


@dataclass(frozen=True, slots=True)
class SasToken:
    """A token to present to the hub.

    Attributes:
        resource: What it opens, not percent-encoded: a host name, or ``host/devices/id``.
        expires_at: From when on the hub refuses it, in UTC.
        renew_at: When to make the next one; ``expires_at`` where c2dkit has no key to make it with.
        policy: The shared access policy that signed it, or None for a device's own key.
        text: The token, a secret.
    """

    resource: str
    expires_at: datetime
    renew_at: datetime
    policy: str | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParsedSas:
    """The fields of a token that somebody presented; nothing in it is verified yet.

    Attributes:
        resource_raw: The text of ``sr`` exactly as it stands in the token, which is what was signed.
        signature: The bytes of ``sig``.
        expiry: ``se``, in seconds since 1970.
        policy: ``skn``, or None.
    """

    resource_raw: str
    signature: bytes = field(repr=False)
    expiry: int
    policy: str | None

    @property
    def resource(self) -> str:
        """``sr`` without percent-encoding."""
        return unquote(self.resource_raw)


def sign(
    resource: str,
    key: str,
    expires_at: datetime,
    policy: str | None = None,
    *,
    lifetime: timedelta = DEFAULT_LIFETIME,
) -> SasToken:
    """Make a token.

    Args:
        resource: What it opens, not percent-encoded.
        key: The shared access key in base64, as the portal shows it.
        expires_at: Its end, with a time zone; the fraction of a second is dropped.
        policy: The name of the policy that the key belongs to, None for a device's own key.
        lifetime: How long it will have lived by then; ``renew_at`` follows from it.

    Raises:
        ValueError: The key is not base64.
    """
    resource_raw = quote(resource, safe="")
    expiry = int(expires_at.timestamp())
    signature = quote(base64.b64encode(_digest(resource_raw, expiry, decode_key(key))), safe="")
    text = f"{SCHEME}sr={resource_raw}&sig={signature}&se={expiry}"
    if policy is not None:
        text += f"&skn={quote(policy, safe='')}"
    return SasToken(resource, expires_at, expires_at - lifetime * (1 - RENEW_AFTER), policy, text)


def parse(text: str) -> ParsedSas:
    """Read a token; its fields may stand in any order, and unknown ones are ignored.

    Raises:
        ValueError: It is not a token. The error does not show it.
    """
    if len(text) > MAX_TOKEN_LENGTH:
        raise ValueError(f"a shared access signature has at most {MAX_TOKEN_LENGTH} characters")
    if not text.startswith(SCHEME):
        raise ValueError("a shared access signature begins with 'SharedAccessSignature '")
    fields = _fields(text[len(SCHEME) :])
    policy = fields.get("skn")
    return ParsedSas(
        resource_raw=_resource(fields["sr"]),
        signature=_signature(fields["sig"]),
        expiry=_expiry(fields["se"]),
        policy=None if policy is None else unquote(policy),
    )


def verify(parsed: ParsedSas, key: str) -> bool:
    """Say whether ``key`` (base64) made the token, in a time that does not depend on where they differ."""
    return hmac.compare_digest(parsed.signature, _digest(parsed.resource_raw, parsed.expiry, decode_key(key)))


def covers(scope: str, resource: str) -> bool:
    """Say whether a token for ``scope`` opens ``resource``; both without percent-encoding.

    A scope is a prefix by path segment. Host names compare without case; a port is ignored, because an SDK that was
    given ``HostName=localhost:15671`` signs for that text, and others for the host alone.
    """
    host, *path = scope.rstrip("/").split("/")
    other_host, *other_path = resource.split("/")
    return _bare_host(host) == _bare_host(other_host) and other_path[: len(path)] == path


def decode_key(key: str) -> bytes:
    """Return the bytes of a shared access key.

    Raises:
        ValueError: It is empty or not base64. The error does not show it.
    """
    try:
        decoded = base64.b64decode(key, validate=True)
    except ValueError:
        decoded = b""
    if not decoded:
        raise ValueError("a shared access key is base64 text")
    return decoded


def _digest(resource_raw: str, expiry: int, key: bytes) -> bytes:
    return hmac.new(key, f"{resource_raw}\n{expiry}".encode(), hashlib.sha256).digest()


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name in fields:
            raise ValueError("a shared access signature names each field once")
        fields[name] = value
    for name in ("sr", "sig", "se"):
        if not fields.get(name):
            raise ValueError(f"the shared access signature has no {name}")
    return fields


def _resource(text: str) -> str:
    if not text.isascii():  # else it may hold what came in and is no text (PEP 383), and cannot have been signed
        raise ValueError("sr in the shared access signature is not ASCII: percent-encode it")
    return text


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(unquote(text), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("sig in the shared access signature is not base64") from None


def _expiry(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_EXPIRY)) and int(text) <= MAX_EXPIRY):
        raise ValueError("se in the shared access signature is not a time in seconds since 1970")
    return int(text)


def _bare_host(host: str) -> str:
    return _PORT.sub("", host).lower()
