"""Opens the byte stream that an engine runs over: TCP with TLS, straight or through a proxy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import anyio
from anyio.streams.tls import TLSStream

from c2dkit._errors import ConnectError
from c2dkit._proxy import open_tunnel, why_not_connected
from c2dkit._tls import certificate_refusal, not_trusted

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from c2dkit._proxy import Proxy

__all__ = ["CONNECT_SECONDS", "open_tls"]

CONNECT_SECONDS = 30.0
"""How long a TCP connect, a proxy's answer and a TLS handshake may take together."""


async def open_tls(
    host: str, port: int, *, ssl_context: ssl.SSLContext | None = None, proxy: Proxy | None = None
) -> ByteStream:
    """Connect and verify the peer's certificate for ``host``.

    Args:
        host: The name to look up, to send as SNI and to verify.
        port: The TCP port.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: Who makes the connection. TLS runs inside it, so the proxy sees host, port and encrypted bytes, and it
            is the proxy that looks up ``host``.

    Cancellation: safe, nothing stays open.

    Raises:
        ConnectError: No connection; ``__cause__`` is the operating system's or the TLS library's error.
        UnauthorizedError: The peer refused the client's certificate.
    """
    context = ssl_context if ssl_context is not None else ssl.create_default_context()
    peer = f"{host}:{port}" if proxy is None else f"{host}:{port} through the proxy {proxy.address}"
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            stream = await (anyio.connect_tcp(host, port) if proxy is None else open_tunnel(proxy, host, port))
            return await _encrypt(stream, host, context)
    except TimeoutError as error:
        raise ConnectError(f"{peer} did not answer within {CONNECT_SECONDS:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise not_trusted(error, host=peer) from error
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        if refusal := certificate_refusal(error, host=peer):
            raise refusal from error
        raise ConnectError(f"cannot connect to {peer}: {why_not_connected(error)}") from error


async def _encrypt(stream: ByteStream, host: str, context: ssl.SSLContext) -> ByteStream:
    try:
        return await TLSStream.wrap(
            stream, server_side=False, hostname=host, ssl_context=context, standard_compatible=False
        )
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
