"""A WebSocket as a byte stream, so that what is behind it cannot tell it from TLS.

Sources: RFC 6455; IoT Hub developer guide, "AMQP support" and "Communicate with an IoT hub using the MQTT protocol".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
from aiohttp import WSCloseCode, WSMsgType, web
from anyio.abc import ByteStream

from c2dkit.hub._peer import TunnelAttribute

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["WebSocketStream", "choose_subprotocol", "new_websocket"]

MAX_MESSAGE_BYTES: Final = 4_194_304
"""The largest message that a client may send: it may put all into one that its engine has to say at a time."""

SEND_BYTES: Final = 65_536
"""The largest message that the hub sends."""

CLOSE_SECONDS: Final = 1.0
"""How long to wait for the peer to agree to the end."""


def choose_subprotocol(offered: str | None, known: Collection[str]) -> str | None:
    """Return the first subprotocol of a ``Sec-WebSocket-Protocol`` header that is known, exactly as it was offered.

    The SDKs write ``mqtt`` and ``MQTT``, so the case of letters does not matter.

    Args:
        offered: The header, or None where the request has none.
        known: Lower-case names.
    """
    names = [name.strip() for name in (offered or "").split(",")]
    return next((name for name in names if name.lower() in known), None)


def new_websocket(subprotocol: str) -> web.WebSocketResponse:
    """Return the answer to an upgrade; compression, which Node.js offers, is not taken up."""
    return web.WebSocketResponse(
        protocols=(subprotocol,), compress=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_SECONDS
    )


class WebSocketStream(ByteStream):
    """The payloads of binary messages, one behind the other.

    Messages mean nothing: MQTT.js spreads one MQTT packet over several. A ping is answered while something receives.

    Args:
        websocket: Prepared.
        outer: The stream under it, which knows the socket and the TLS session.
    """

    def __init__(self, websocket: web.WebSocketResponse, outer: ByteStream) -> None:
        self._websocket = websocket
        self._outer = outer
        self._unread = memoryview(b"")

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream under it, and the subprotocol."""
        outer: Mapping[Any, Callable[[], Any]] = self._outer.extra_attributes  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - so in anyio
        return {**outer, TunnelAttribute.subprotocol: lambda: self._websocket.ws_protocol}

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next bytes.

        Cancellation: safe, nothing is lost.

        Raises:
            EndOfStream: The peer has closed the WebSocket, or the connection is gone.
            BrokenResourceError: The peer broke the protocol, or sent text; the WebSocket has been closed.
        """
        while not self._unread:
            self._unread = memoryview(await self._message())
        data, self._unread = bytes(self._unread[:max_bytes]), self._unread[max_bytes:]
        return data

    async def send(self, item: bytes) -> None:
        """Send bytes: in one binary message, unless they are many.

        Raises:
            BrokenResourceError: The WebSocket is closed, or the connection is gone.
        """
        try:
            for start in range(0, len(item), SEND_BYTES):
                await self._websocket.send_bytes(item[start : start + SEND_BYTES])
        except ConnectionError as error:
            raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Close the WebSocket, of which no half can be closed alone."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the WebSocket and, once the peer agrees or takes too long, the connection."""
        await self._websocket.close()

    async def _message(self) -> bytes:
        message = await self._websocket.receive()
        if message.type is WSMsgType.BINARY:
            payload: bytes = message.data
            return payload
        if message.type is WSMsgType.TEXT:
            await self._websocket.close(code=WSCloseCode.UNSUPPORTED_DATA)
            raise anyio.BrokenResourceError("a text message came")
        if message.type is WSMsgType.ERROR:
            raise anyio.BrokenResourceError(f"the peer broke the WebSocket protocol: {message.data}")
        raise anyio.EndOfStream
