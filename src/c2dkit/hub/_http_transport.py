"""The transport that aiohttp's protocol has in the hub: it reports its end and does not read without bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit._stream_transport import StreamTransport

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from anyio.abc import ByteStream

__all__ = ["BoundedTransport"]


class BoundedTransport(StreamTransport):
    """A transport over one client's connection.

    Args:
        stream: The connection; the transport closes it.
        protocol: Reads and writes.
        on_closed: Called when the connection is over.

    Attributes:
        allowance: How many bytes may still come in; one more ends the connection. None for as many as there are.
    """

    def __init__(self, stream: ByteStream, protocol: asyncio.Protocol, on_closed: Callable[[], None]) -> None:
        super().__init__(stream, protocol)
        self.allowance: int | None = None
        self._on_closed = on_closed

    def receive_data(self, data: bytes) -> list[None]:
        """Hand the protocol what came in.

        Raises:
            ConnectionError: It is more than may come.
        """
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                raise ConnectionError("more came in than any request has")
        return super().receive_data(data)

    def _closed(self, cause: Exception | None) -> None:
        super()._closed(cause)
        self._on_closed()
