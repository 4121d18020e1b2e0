"""The shared access keys of devices and policies: how they are made, and which ones a hub may have."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias

from c2dkit._errors import InvalidInputError
from c2dkit._rules.sas import decode_key

__all__ = ["DEVELOPMENT_KEY", "KeyName", "Keys", "is_loopback", "new_key"]

KeyName: TypeAlias = Literal["primary", "secondary"]

DEVELOPMENT_KEY: Final = b64encode(b"c2dkit local hub development key").decode("ascii")
"""The key that everybody knows: the same on every machine, so that connection strings can be committed."""

_KEY_BYTES: Final = 32
_LEAST_BYTES: Final = 16
_MOST_BYTES: Final = 64
"""The least and the most bytes of a given key, as the portal asks for them (inferred: no reference names them)."""


def new_key() -> str:
    """Return a fresh key: 32 random bytes in base64."""
    return b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def is_loopback(host: str) -> bool:
    """Say whether what listens on a host can be reached from this machine alone; a name could mean anything."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Makes and checks the keys of one hub.

    Attributes:
        development: Whether a key that nobody gives is the development key, and not a random one.
        exposed: Whether other machines can reach the hub, which then may not have the development key.
    """

    development: bool = False
    exposed: bool = False

    def __post_init__(self) -> None:
        if self.development:
            self.check(DEVELOPMENT_KEY)

    def make(self) -> str:
        """Return a key for whoever has none."""
        return DEVELOPMENT_KEY if self.development else new_key()

    def check(self, key: str) -> str:
        """Return a given key.

        Raises:
            InvalidInputError: It is not base64 of 16 to 64 bytes, or is the development key on an exposed hub. The
                error does not show it.
        """
        try:
            decoded = decode_key(key)
        except ValueError as error:
            raise InvalidInputError(str(error)) from error
        if not _LEAST_BYTES <= len(decoded) <= _MOST_BYTES:
            raise InvalidInputError(
                f"a shared access key is base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes; this one has {len(decoded)}"
            )
        if self.exposed and decoded == decode_key(DEVELOPMENT_KEY):
            raise InvalidInputError(
                "the development key is known to everybody and holds on loopback only: listen on localhost, or use "
                "other keys"
            )
        return key
