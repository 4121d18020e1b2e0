"""Turns a credential into what is presented to the hub, whatever kind of credential it is."""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from c2dkit._cancellation import is_cancelled
from c2dkit._errors import C2dError, ConnectError, InvalidInputError
from c2dkit._rules.entra import ENTRA_SCOPE, EntraCredential
from c2dkit._rules.sas import MAX_EXPIRY, RENEW_AFTER

if TYPE_CHECKING:
    from c2dkit._rules.credentials import Credential

__all__ = ["HubToken", "token_for"]

MAX_TOKEN_LENGTH: Final = 16_384
"""Of a token of Entra ID; they have some thousand characters, and HTTP servers bound a header."""

TOKEN_SECONDS: Final = 30.0
"""How long a token credential may take to give a token."""

_TOKEN: Final = re.compile(rf"[!-~]{{1,{MAX_TOKEN_LENGTH}}}")


class HubToken(NamedTuple):
    """What to present to the hub.

    Attributes:
        text: The password of MQTT, the body of a put-token of AMQP, the ``Authorization`` header of HTTP; a secret.
        kind: A shared access signature, or a token of Entra ID with ``Bearer`` before it.
        audience: What it opens, as AMQP's put-token names it.
        expires_at: From when on the hub refuses it, in UTC.
        renew_at: When to ask for the next one.
    """

    text: str
    kind: Literal["sas", "bearer"]
    audience: str
    expires_at: datetime
    renew_at: datetime

    def __repr__(self) -> str:
        return f"HubToken(kind={self.kind!r}, audience={self.audience!r}, expires_at={self.expires_at.isoformat()})"


async def token_for(credential: Credential, now: datetime) -> HubToken | None:
    """Return a token that is good at ``now``; None where the certificate of the TLS handshake says who connects.

    Entra ID: waits for the application's token credential, 30 s at most.

    Cancellation: safe, nothing has been sent to the hub.

    Raises:
        ConnectionStringError: A ready-made signature has expired.
        InvalidInputError: The token credential does not give what its protocol says.
        ConnectError: The token credential failed or took too long; ``__cause__`` is its error, whose text is not
            repeated because it may show secrets.
    """
    if isinstance(credential, EntraCredential):
        return await _entra_token(credential, now)
    if getattr(credential, "x509", False):
        return None
    token = credential.token(now)
    return HubToken(token.text, "sas", credential.resource, token.expires_at, token.renew_at)


async def _entra_token(credential: EntraCredential, now: datetime) -> HubToken:
    try:
        async with asyncio.timeout(TOKEN_SECONDS):
            pending: object = credential.token_credential.get_token(ENTRA_SCOPE)
            given = await pending if inspect.isawaitable(pending) else None
    except C2dError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        raise ConnectError(f"the token credential gave no token: it raised {type(error).__name__}") from error
    if given is None:
        raise InvalidInputError("get_token of the token credential is not async; take it from azure.identity.aio")
    return _checked(getattr(given, "token", None), getattr(given, "expires_on", None), now)


def _checked(text: object, expires_on: object, now: datetime) -> HubToken:
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise InvalidInputError("the token credential gave an object whose token is not one")
    if not isinstance(expires_on, int | float) or not 0 <= expires_on <= MAX_EXPIRY:
        raise InvalidInputError("the token credential gave a token whose expires_on is not in seconds since 1970")
    expires_at = datetime.fromtimestamp(expires_on, UTC)
    return HubToken(f"Bearer {text}", "bearer", ENTRA_SCOPE, expires_at, now + RENEW_AFTER * (expires_at - now))
