"""A WebSocket as a byte stream: what passes where a firewall lets nothing but HTTPS through.

Sources: RFC 6455; IoT Hub developer guide, "AMQP support" and "Communicate with an IoT hub using the MQTT protocol".
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
import anyio
from aiohttp.client_proto import ResponseHandler
from anyio.abc import ByteStream

from c2dkit._errors import C2dError, ConnectError, PeerProtocolError, UnauthorizedError
from c2dkit._net import CONNECT_SECONDS, open_tls
from c2dkit._proxy import host_and_port
from c2dkit._stream_transport import StreamTransport
from c2dkit._tls import certificate_refusal

if TYPE_CHECKING:
    import ssl

    from aiohttp.tracing import Trace

    from c2dkit._proxy import Proxy

__all__ = ["open_websocket"]

PATH: Final = "/$iothub/websocket"

MAX_MESSAGE_BYTES: Final = 4_194_304
"""The largest message that a hub may send: all that a device's queue holds, 50 messages of 64 KiB, fits into one."""

MAX_HEAD_BYTES: Final = 65_536
"""How much a peer may say before it has agreed to be a WebSocket."""

ALLOWANCE: Final = 2 * MAX_MESSAGE_BYTES
"""How much may come from one message to the next, of which some wait in aiohttp."""

CLOSE_SECONDS: Final = 1.0
"""How long to wait for the hub to agree to the end."""

_TRANSIENT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_UNAUTHORIZED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


async def open_websocket(
    host: str,
    port: int,
    *,
    subprotocol: str,
    ssl_context: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
) -> ByteStream:
    """Connect as ``open_tls`` does, and upgrade to a WebSocket that carries ``subprotocol``.

    Pings are answered and none are sent: both engines find a dead link by themselves. Compression is not offered.

    Cancellation: safe, nothing stays open.

    Raises:
        ConnectError: No connection, or the peer does not speak WebSocket or not this subprotocol.
        PeerProtocolError: The peer said more than an upgrade takes.
        UnauthorizedError: The peer refused the upgrade for want of rights (HTTP 401 or 403), or the client's certificate.
    """
    connection = _Connection(await open_tls(host, port, ssl_context=ssl_context, proxy=proxy))
    peer = host_and_port(host, port)
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            websocket = await connection.upgrade(peer, subprotocol)
    except TimeoutError as error:
        await connection.aclose()
        raise ConnectError(f"{peer} did not open a WebSocket within {CONNECT_SECONDS:g} s") from error
    except (aiohttp.ClientError, OSError, anyio.BrokenResourceError) as error:
        await connection.aclose()
        if refusal := certificate_refusal(connection.cause, host=peer):
            raise refusal from connection.cause
        raise _refusal(error, peer) from error
    except BaseException:
        await connection.aclose()
        raise
    opened = WebSocketStream(websocket, connection, peer)
    if websocket.protocol is None:
        await opened.aclose()
        raise ConnectError(f"{peer} does not speak {subprotocol} over WebSockets", transient=False)
    return opened


class WebSocketStream(ByteStream):
    """The payloads of binary messages, one behind the other; the hub may cut a frame or a packet at any place."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, connection: _Connection, peer: str) -> None:
        self._websocket = websocket
        self._connection = connection
        self._peer = peer
        self._unread = memoryview(b"")

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next bytes.

        Cancellation: safe, nothing is lost.

        Raises:
            EndOfStream: The hub has closed the WebSocket, or the connection.
            BrokenResourceError: The connection broke.
            PeerProtocolError: The hub broke the WebSocket protocol, or sent text.
        """
        while not self._unread:
            self._unread = memoryview(await self._message())
        data, self._unread = bytes(self._unread[:max_bytes]), self._unread[max_bytes:]
        return data

    async def send(self, item: bytes) -> None:
        """Send bytes in one binary message.

        Cancellation: the message may or may not have been sent.

        Raises:
            BrokenResourceError: The WebSocket is closed, or the connection is gone.
        """
        try:
            await self._websocket.send_bytes(item)
        except (aiohttp.ClientError, OSError) as error:
            raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Raise: RFC 6455 closes both directions together."""
        raise NotImplementedError("a WebSocket has no half that could be closed alone")

    async def aclose(self) -> None:
        """Close the WebSocket and, once the hub agrees or takes too long, the connection. Idempotent.

        Cancellation: the hub is told, but not waited for, and nothing stays open.
        """
        try:
            with anyio.move_on_after(CLOSE_SECONDS):
                await self._websocket.close()
        finally:
            await self._connection.aclose()

    async def _message(self) -> bytes:
        message = await self._websocket.receive()
        match message.type:
            case aiohttp.WSMsgType.BINARY:
                self._connection.allow(ALLOWANCE)
                payload: bytes = message.data
                return payload
            case aiohttp.WSMsgType.TEXT:
                raise PeerProtocolError(f"{self._peer} sent text where only binary messages belong")
            case aiohttp.WSMsgType.ERROR if isinstance(message.data, aiohttp.WebSocketError):
                raise PeerProtocolError(f"{self._peer} broke the WebSocket protocol: {message.data}")
            case _:
                self._connection.check()
                raise anyio.EndOfStream


class _Connection:
    """What is under a WebSocket: a session of aiohttp's that has one connection, which is open already."""

    def __init__(self, stream: ByteStream) -> None:
        handler = ResponseHandler(asyncio.get_running_loop())
        self._transport = _Transport(stream, handler)
        self._session = aiohttp.ClientSession(
            connector=_Connector(self._transport, handler),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    @property
    def cause(self) -> Exception | None:
        """What broke the connection, if anything has."""
        return self._transport.cause

    async def upgrade(self, peer: str, subprotocol: str) -> aiohttp.ClientWebSocketResponse:
        websocket = await self._session.ws_connect(
            f"wss://{peer}{PATH}", protocols=(subprotocol,), max_msg_size=MAX_MESSAGE_BYTES
        )
        self.allow(ALLOWANCE)
        return websocket

    def allow(self, size: int) -> None:
        self._transport.allowance = size

    def check(self) -> None:
        """Raise what has broken the connection; aiohttp gives every end of one as an orderly one."""
        cause = self._transport.cause
        if isinstance(cause, C2dError):
            raise cause
        if cause is not None:
            raise anyio.BrokenResourceError from cause

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._session.close()
            await self._transport.aclose()


class _Transport(StreamTransport):
    """Bounds what comes in, which not every version of aiohttp does, and remembers what broke the connection."""

    def __init__(self, stream: ByteStream, protocol: asyncio.Protocol) -> None:
        super().__init__(stream, protocol)
        self.allowance = MAX_HEAD_BYTES
        self.cause: Exception | None = None

    def receive_data(self, data: bytes) -> list[None]:
        self.allowance -= len(data)
        if self.allowance < 0:
            raise PeerProtocolError("the peer sent more than an upgrade, or a message of a WebSocket, may hold")
        return super().receive_data(data)

    def _closed(self, cause: Exception | None) -> None:
        self.cause = cause
        super()._closed(cause)


class _Connector(aiohttp.BaseConnector):
    """Hands out its connection once. So a redirect, which would take a second one, is not followed."""

    def __init__(self, transport: StreamTransport, handler: ResponseHandler) -> None:
        super().__init__(force_close=True)
        self._unused: tuple[StreamTransport, ResponseHandler] | None = (transport, handler)

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        if self._unused is None:
            raise aiohttp.ClientConnectionError("it redirects to another address")
        (transport, handler), self._unused = self._unused, None
        transport.start()
        return handler


def _refusal(error: Exception, peer: str) -> C2dError:
    if not isinstance(error, aiohttp.WSServerHandshakeError):
        return ConnectError(f"{peer} did not open a WebSocket: {str(error) or type(error).__name__}")
    status = error.status
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        return ConnectError(f"{peer} did not open a WebSocket: {error.message}", transient=False)
    if status in _UNAUTHORIZED:
        return UnauthorizedError(f"{peer} refused the WebSocket (HTTP {status})")
    transient = status >= 500 or status in _TRANSIENT
    return ConnectError(f"{peer} refused the WebSocket (HTTP {status}); is it an IoT hub?", transient=transient)
