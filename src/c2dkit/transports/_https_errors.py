"""What an exception of aiohttp says of a request, as one table.

Exceptions are known by name, because not every version of aiohttp has all of them.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http import HttpProcessingError

from c2dkit._errors import C2dError, ConnectError, ConnectionLostError, OutcomeUnknownError, PeerProtocolError
from c2dkit._frames import forget_frames
from c2dkit._tls import certificate_refusal, not_trusted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MEANINGS", "RAISED", "Meaning", "error_from_aiohttp", "meaning_of"]


class Meaning(Enum):
    """What became of a request that has no answer."""

    NOT_SENT = auto()
    """No connection was made."""
    CUT_OFF = auto()
    """The connection ended, or went silent, at some point."""
    NONSENSE = auto()
    """The answer is not HTTP, or not what was asked for."""


MEANINGS: Final[Mapping[str, Meaning]] = {
    "ClientConnectorError": Meaning.NOT_SENT,  # DNS, TCP, TLS, certificate, and a proxy out of reach
    "ConnectionTimeoutError": Meaning.NOT_SENT,
    "ClientHttpProxyError": Meaning.NOT_SENT,
    "ServerFingerprintMismatch": Meaning.NOT_SENT,
    "InvalidURL": Meaning.NOT_SENT,
    "NonHttpUrlClientError": Meaning.NOT_SENT,
    "ClientConnectionError": Meaning.CUT_OFF,  # reset, broken pipe, end of stream, silence
    "ClientPayloadError": Meaning.CUT_OFF,
    "UploadAbortedError": Meaning.CUT_OFF,
    "TimeoutError": Meaning.CUT_OFF,
    "ClientResponseError": Meaning.NONSENSE,
    "RedirectClientError": Meaning.NONSENSE,
    "HttpProcessingError": Meaning.NONSENSE,
}
"""By the name of an exception's class, or of the nearest base class that is listed."""

RAISED: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
"""What a request may raise. The last two are wrapped in the first almost everywhere; TimeoutError is an OSError."""


def meaning_of(error: type[BaseException]) -> Meaning | None:
    """Return what an exception of this class says, or None where the table does not tell."""
    return next((MEANINGS[base.__name__] for base in error.__mro__ if base.__name__ in MEANINGS), None)


def error_from_aiohttp(error: Exception, *, host: str, sent: bool, changes: bool, doing: str) -> C2dError:
    """Return the error to raise for a request that has no answer.

    Args:
        error: What aiohttp, or its timeout, raised.
        host: Whom the request was for.
        sent: Whether bytes of the request had left.
        changes: Whether the request changes something at the hub.
        doing: What was being done, to be put into the text.
    """
    # Who was refused for the certificate had not got through the handshake, whatever had been sent.
    mapped = certificate_refusal(error, host=host) or _mapped(error, host, sent=sent, changes=changes, doing=doing)
    if not isinstance(error, aiohttp.ClientResponseError):  # its repr shows the request's headers, token included
        mapped.__cause__ = error
    forget_frames(error)  # aiohttp's have the request's headers, and what prints a traceback may print variables
    return mapped


def _mapped(error: Exception, host: str, *, sent: bool, changes: bool, doing: str) -> C2dError:
    meaning = meaning_of(type(error)) or Meaning.CUT_OFF
    reason = _reason(error)
    # aiohttp repeats a DELETE that was cut off: that no connection could be made then says nothing of the first.
    if not sent or (meaning is Meaning.NOT_SENT and not changes):
        return _not_sent(error, host, reason)
    if changes:
        return OutcomeUnknownError(f"{host} did not answer the request {doing}: {reason}; it may have been done")
    if meaning is Meaning.NONSENSE:
        return PeerProtocolError(f"{host} broke the protocol: {reason}")
    return ConnectionLostError(f"the connection to {host} broke: {reason}")


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.message} ({error.status})"[:200]
    return type(error).__name__


def _not_sent(error: Exception, host: str, reason: str) -> ConnectError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return not_trusted(error.certificate_error, host=host)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # 407 asks for a user name and a password, or for others.
        return ConnectError(
            f"the proxy refused to connect to {host} (HTTP {error.status})", transient=error.status >= 500
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectError(f"cannot connect to {error.host}:{error.port}: {error.os_error}")
    return ConnectError(f"cannot connect to {host}: {reason}")
