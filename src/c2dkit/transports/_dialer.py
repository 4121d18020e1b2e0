"""Opens the connections of one transport: over TLS or a WebSocket, straight or through a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._net import open_tls
from c2dkit._proxy import Proxy, host_and_port
from c2dkit._tls import client_context

if TYPE_CHECKING:
    import ssl

    from anyio.abc import ByteStream

    from c2dkit._rules.credentials import Credential

__all__ = ["Dialer"]

WEBSOCKET_PORT: Final = 443


class Dialer:
    """Knows all that a connection needs but who connects.

    Args:
        port: The protocol's own port over TLS; a WebSocket has 443. A credential that names a port overrules both.
        subprotocol: What to ask of a WebSocket, or None for plain TLS.
        ssl_context: What to trust; by default ``ssl.create_default_context()``.
        proxy: The URL of an HTTP proxy, or None for none.

    Raises:
        InvalidInputError: The URL cannot be used.
    """

    def __init__(
        self, *, port: int, subprotocol: str | None, ssl_context: ssl.SSLContext | None, proxy: str | None
    ) -> None:
        self._port = port if subprotocol is None else WEBSOCKET_PORT
        self._subprotocol = subprotocol
        self._ssl_context = ssl_context
        self._proxy = None if proxy is None else Proxy.from_url(proxy)

    def peer(self, credential: Credential) -> str:
        """Return host and port that this credential leads to, as errors have them."""
        return host_and_port(*self._dial(credential))

    async def open(self, credential: Credential) -> ByteStream:
        """Connect; errors and cancellation as ``client_context``, ``open_tls`` and ``open_websocket``."""
        host, port = self._dial(credential)
        context = client_context(credential, self._ssl_context)
        if self._subprotocol is None:
            return await open_tls(host, port, ssl_context=context, proxy=self._proxy)
        from c2dkit._websocket import open_websocket  # noqa: PLC0415 - aiohttp is large, and TLS does without

        return await open_websocket(host, port, subprotocol=self._subprotocol, ssl_context=context, proxy=self._proxy)

    def _dial(self, credential: Credential) -> tuple[str, int]:
        host, port = credential.dial
        return host, port or self._port
