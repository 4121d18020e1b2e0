"""Opens the byte stream that an engine runs over: TCP with TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import anyio

from c2dkit._errors import ConnectError

if TYPE_CHECKING:
    from anyio.abc import ByteStream

__all__ = ["CONNECT_SECONDS", "open_tls"]

CONNECT_SECONDS = 30.0
"""How long a TCP connect and a TLS handshake may take together."""


async def open_tls(host: str, port: int, *, ssl_context: ssl.SSLContext | None = None) -> ByteStream:
    """Connect and verify the peer's certificate for ``host``.

    Args:
        host: The name to look up, to send as SNI and to verify.
        port: The TCP port.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.

    Cancellation: safe, nothing stays open.

    Raises:
        ConnectError: No connection; ``__cause__`` is the operating system's or the TLS library's error.
    """
    context = ssl_context if ssl_context is not None else ssl.create_default_context()
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            return await anyio.connect_tcp(
                host, port, ssl_context=context, tls_hostname=host, tls_standard_compatible=False
            )
    except TimeoutError as error:
        raise ConnectError(f"{host}:{port} did not answer within {CONNECT_SECONDS:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise ConnectError(
            f"the certificate of {host}:{port} is not trusted ({error.verify_message}). For a hub with a certificate "
            "authority of its own, set SSL_CERT_FILE to its PEM file or pass ssl_context=",
            transient=False,
        ) from error
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        raise ConnectError(f"cannot connect to {host}:{port}: {str(error) or type(error).__name__}") from error
