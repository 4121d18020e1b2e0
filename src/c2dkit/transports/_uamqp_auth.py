"""How uamqp gets to know what to trust, and its tokens."""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from c2dkit._errors import InvalidInputError
from c2dkit._wire import cbs
from c2dkit.transports._foreign import load
from c2dkit.transports._tokens import token_for
from c2dkit.transports._waiting import ANSWER_SECONDS

if TYPE_CHECKING:
    from c2dkit._rules.credentials import Credential

__all__ = ["PORT", "Authentication", "make_authentication"]

PORT: Final = 5671


class Authentication(Protocol):
    """What is used of an authentication object of uamqp."""

    _session: object

    async def create_authenticator_async(self, connection: object, *, incoming_window: int) -> object:
        """Open the connection, and on it the session and the links of CBS."""
        ...

    async def handle_token_async(self) -> tuple[bool | None, bool | None]:
        """Put the token, or a new one when it is time; returns (timed out, in progress)."""
        ...

    async def close_authenticator_async(self) -> None:
        """Destroy what ``create_authenticator_async`` has made."""
        ...


class _AccessToken(NamedTuple):
    token: str
    expires_on: float


async def make_authentication(credential: Credential, *, ssl_context: ssl.SSLContext | None) -> Authentication:
    """Return a ``JWTTokenAsync`` of uamqp, for any kind of token, which uamqp renews by itself.

    Raises:
        InvalidInputError: The credential is a certificate.
        C2dError: The credential gives no token.
    """
    authentication = load("uamqp.authentication", transport="uamqp", extra="uamqp")
    host, port = credential.dial
    token = await token_for(credential, datetime.now(UTC))
    if token is None:
        raise InvalidInputError("uamqp has no way to present a certificate; use the transport amqp or mqtt")

    async def get_token() -> _AccessToken:
        fresh = await token_for(credential, datetime.now(UTC))
        assert fresh is not None  # noqa: S101 - checked above
        return _AccessToken(fresh.text, fresh.expires_at.timestamp())

    with tempfile.TemporaryDirectory() as folder:
        made: Authentication = authentication.JWTTokenAsync(
            token.audience,
            f"amqps://{credential.host_name}",
            get_token,
            port=port or PORT,
            verify=_ca_file(ssl_context, Path(folder)),  # read at once
            token_type=cbs.TOKEN_TYPES[token.kind].encode(),
            timeout=int(ANSWER_SECONDS),
            refresh_window=int((token.expires_at - token.renew_at).total_seconds()),
            retry_policy=authentication.TokenRetryPolicy(retries=0),
            custom_endpoint_hostname=host,
        )
    return made


def _ca_file(ssl_context: ssl.SSLContext | None, folder: Path) -> str | None:
    """Write what a context trusts for uamqp, which has a TLS library of its own; None for what certifi names."""
    context = ssl.create_default_context() if ssl_context is None else ssl_context
    certificates = context.get_ca_certs(binary_form=True)
    if not certificates:
        return None
    path = folder / "ca.pem"
    path.write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificates)), encoding="ascii")
    return str(path)
