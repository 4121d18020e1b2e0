"""Issuers of the tokens with which back ends sign in, in the place of Microsoft Entra ID.

Sources: IoT Hub developer guide, "Control access to IoT Hub by using Microsoft Entra ID"; RFC 7519.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.asymmetric import rsa

from c2dkit._errors import UnauthorizedError
from c2dkit._rules.entra import ENTRA_AUDIENCE
from c2dkit._rules.sas import MAX_EXPIRY
from c2dkit.hub import _jwt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit._rules.entra import AsyncTokenCredential

__all__ = ["TokenIssuer", "check_token"]

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of issuer and hub may differ: as far as IoT Hub bears it of a device's (error 401003)."""

LIFETIME: Final = timedelta(hours=1)


class TokenIssuer:
    """Makes tokens as Microsoft Entra ID does, so that code that signs in with Entra ID runs with no cloud.

    A ``LocalHub`` that names it among its ``issuers`` takes them from back ends, which may then do everything that a
    back end can. Made by ``create``.
    """

    def __init__(self, name: str, key: rsa.RSAPrivateKey) -> None:
        self.name: str = name
        self._key = key

    @classmethod
    def create(cls, name: str = "https://sts.c2dkit.localtest/") -> Self:
        """Make an issuer with a key of its own; a hub tells issuers apart by name."""
        return cls(name, rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """What verifies its tokens."""
        return self._key.public_key()

    def token(
        self, lifetime: timedelta = LIFETIME, *, audience: str = ENTRA_AUDIENCE, not_before: datetime | None = None
    ) -> str:
        """Make a token, which is a secret.

        Args:
            lifetime: How long it is good, counted from ``not_before``; less than nothing makes one that has expired.
            audience: Whom it is for; IoT Hub takes no other than the default.
            not_before: From when on it is good, by default now.
        """
        start = datetime.now(UTC) if not_before is None else not_before
        claims = {
            "iss": self.name,
            "aud": audience,
            "iat": int(start.timestamp()),
            "nbf": int(start.timestamp()),
            "exp": int((start + lifetime).timestamp()),
        }
        return _jwt.sign(claims, self._key)

    def credential(self, lifetime: timedelta = LIFETIME) -> AsyncTokenCredential:
        """Return what can stand in the place of a credential of ``azure.identity.aio``; each of its tokens is fresh."""
        return _IssuerCredential(self, lifetime)


@dataclass(frozen=True, slots=True)
class _IssuedToken:
    token: str = field(repr=False)
    expires_on: int


class _IssuerCredential:
    def __init__(self, issuer: TokenIssuer, lifetime: timedelta) -> None:
        self._issuer = issuer
        self._lifetime = lifetime

    async def get_token(self, *scopes: str) -> _IssuedToken:
        """Make a token for one scope, which is an audience with ``/.default`` behind it."""
        (scope,) = scopes
        now = datetime.now(UTC)
        token = self._issuer.token(self._lifetime, audience=scope.removesuffix("/.default"), not_before=now)
        return _IssuedToken(token, int((now + self._lifetime).timestamp()))


def check_token(text: str, issuers: Mapping[str, TokenIssuer], now: datetime) -> datetime:
    """Check a token (without ``Bearer``) and return until when the hub takes it: its end, and the skew of clocks.

    Raises:
        UnauthorizedError: It does not hold; the error does not show it.
    """
    try:
        token = _jwt.parse(text)
    except ValueError as error:
        raise UnauthorizedError(str(error)) from error
    issuer = issuers.get(str(token.claims.get("iss")))
    if issuer is None:
        raise UnauthorizedError("the token's issuer is not one that the hub trusts")
    if not _jwt.verify(token, issuer.public_key):
        raise UnauthorizedError("the token's signature is not its issuer's")
    _check_audience(token.claims.get("aud"))
    if _time(token.claims, "nbf") - CLOCK_SKEW > now:
        raise UnauthorizedError("the token is not good yet")
    end = _time(token.claims, "exp") + CLOCK_SKEW
    if end <= now:
        raise UnauthorizedError("the token has expired; get a new one and connect again")
    return end


def _check_audience(audience: object) -> None:
    # One, or a list (RFC 7519, 4.1.3).
    if ENTRA_AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        raise UnauthorizedError(f"the token's audience is not {ENTRA_AUDIENCE}")


def _time(claims: Mapping[str, object], name: str) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int | float) or not 0 <= value <= MAX_EXPIRY:
        raise UnauthorizedError(f"the token's {name} is not a time in seconds since 1970")
    return datetime.fromtimestamp(value, UTC)
