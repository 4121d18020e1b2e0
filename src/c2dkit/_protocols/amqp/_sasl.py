"""The SASL mechanisms of the two roles (AMQP 1.0 part 5, 5.3): one message of the client, one answer of the server.

Mechanisms with a challenge are not supported; no Azure service uses one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SASL_AUTH", "SASL_OK", "SaslClient", "SaslServer", "anonymous", "external", "mssbcbs", "plain"]

SASL_OK: Final = 0
"""The outcome code of success (part 5, 5.3.3.6)."""
SASL_AUTH: Final = 1
"""The outcome code of a failed authentication (part 5, 5.3.3.6)."""


@dataclass(frozen=True, slots=True)
class SaslClient:
    """What a client says to authenticate.

    Attributes:
        mechanism: Must be among those that the server offers.
        initial_response: The credentials in the mechanism's form, or None to send no such field.
    """

    mechanism: str
    initial_response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SaslServer:
    """What a server offers, in the order in which it likes it."""

    mechanisms: Sequence[str]


def plain(username: str, password: str) -> SaslClient:
    """Return the PLAIN mechanism (RFC 4616), without an authorization identity."""
    return SaslClient("PLAIN", f"\0{username}\0{password}".encode())


def external() -> SaslClient:
    """Return the EXTERNAL mechanism: the client's TLS certificate says who it is (RFC 4422, appendix A)."""
    return SaslClient("EXTERNAL", b"")


def anonymous() -> SaslClient:
    """Return the ANONYMOUS mechanism (RFC 4505)."""
    return SaslClient("ANONYMOUS", b"")


def mssbcbs() -> SaslClient:
    """Return Microsoft's MSSBCBS mechanism: the identity follows in a put-token, as with ANONYMOUS."""
    return SaslClient("MSSBCBS")
