"""Keeps a connection signed in: a fresh token before the old one ends, or an error that says why there was none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from c2dkit._errors import C2dError, ConnectError, ConnectionLostError, ConnectionStringError, UnauthorizedError
from c2dkit._retry import Backoff, RetryPolicy
from c2dkit.transports._tokens import token_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from c2dkit._clock import Clock
    from c2dkit._rules.credentials import Credential
    from c2dkit.transports._tokens import HubToken

__all__ = ["keep_signed_in"]

TRIES: Final = RetryPolicy(
    first_delay=timedelta(seconds=5), max_delay=timedelta(minutes=1), deadline=None, retries=lambda _: True
)
"""The old token is good meanwhile, so whatever went wrong has time to pass: twelve minutes of a token of one hour."""


async def keep_signed_in(
    credential: Credential, token: HubToken, put: Callable[[HubToken], Awaitable[None]], clock: Clock
) -> NoReturn:
    """Put a fresh token whenever it is time to, until a token has ended and there was no other.

    Args:
        credential: Gives the tokens.
        token: The one that is good now.
        put: Presents one to the hub; raises C2dError where the hub does not take it.
        clock: What time it is.

    Cancellation: safe.

    Raises:
        ConnectionStringError: A ready-made signature has ended.
        ConnectionLostError: The token has ended, and the last try to get or to put another may succeed later.
        UnauthorizedError: The token has ended, and the last try was refused for good.
    """
    while True:
        await clock.until(token.renew_at)
        token = await _renewed(credential, token, put, clock)


async def _renewed(
    credential: Credential, old: HubToken, put: Callable[[HubToken], Awaitable[None]], clock: Clock
) -> HubToken:
    backoff = Backoff(TRIES)
    while True:
        try:
            token = await _newer(credential, old, clock)
            await put(token)
        except C2dError as error:
            now = clock.now()
            if now >= old.expires_at:
                if isinstance(error, ConnectionStringError):
                    raise
                raise _ended(old, error) from error
            delay = timedelta(seconds=backoff.delay(error, now.timestamp()) or 0.0)
        else:
            return token
        await clock.until(min(now + delay, old.expires_at))


async def _newer(credential: Credential, old: HubToken, clock: Clock) -> HubToken:
    token = await token_for(credential, clock.now())
    if token is None or token.expires_at <= old.expires_at:
        raise ConnectError("the token credential gave the same token again")
    return token


def _ended(old: HubToken, error: C2dError) -> C2dError:
    kind = ConnectionLostError if error.transient else UnauthorizedError
    return kind(f"the token ended at {old.expires_at.isoformat()}, and the last try to renew it failed: {error}")
