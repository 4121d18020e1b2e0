"""The hub's HTTP door: polling devices, back ends, and the WebSockets through which AMQP and MQTT come too.

aiohttp reads and writes HTTP/1.1. It gives a connection no bound of time or of bytes before the first request, and
older versions none on the number of headers, so both are set here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion11, web

from c2dkit._errors import C2dError, MessageTooLargeError, ServiceError
from c2dkit.hub._certificates import peer_certificate
from c2dkit.hub._fault_stream import wire_of
from c2dkit.hub._http_client import HttpClient
from c2dkit.hub._http_endpoints import HttpEndpoints, error_reply, segments_of
from c2dkit.hub._http_faults import FAULTS_SEGMENTS
from c2dkit.hub._http_request import Request
from c2dkit.hub._http_transport import BoundedTransport
from c2dkit.hub._peer import peer_of
from c2dkit.hub._websocket import WebSocketStream, choose_subprotocol, new_websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import ByteStream

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._listener import Door, Visit
    from c2dkit.hub._timers import PatienceTimers, Timer

__all__ = ["HttpDoor", "HttpVisit"]

# aiohttp calls a stranger's nonsense an error and shows a traceback, and what goes wrong in here is logged in here.
SILENT: Final = logging.Logger("aiohttp", logging.CRITICAL + 1)

log = logging.getLogger("c2dkit.hub")

WEBSOCKET_PATHS: Final = (("$iothub", "websocket"), ("$servicebus", "websocket"))
"""IoT Hub's own, and the one that the Python SDK (azure-iot-hub) dials."""

MAX_LINE_BYTES: Final = 8190
"""Of the request line, and of each header."""

MAX_BODY_BYTES: Final = 262_144
"""Of the registry's documents: 100 devices with all that they can have (inferred)."""

MAX_USELESS_BODY_BYTES: Final = 65_536
"""Of a body that no endpoint has need of, or that somebody sends who may not; it is thrown away."""

MAX_REQUEST_BYTES: Final = 1_048_576
"""Head and body together, what a client sends on while it is refused, and what it sends ahead of the answer."""

IDLE_SECONDS: Final = 60.0
"""How long a connection may take to send a request, counted from the one before."""

BODY_SECONDS: Final = 30.0

REFUSED_SECONDS: Final = 1.0
"""How long to go on reading a body that was refused, so that the client comes to read the answer."""


class HttpDoor:
    """Lets devices and back ends in over HTTP.

    Args:
        core: The hub.
        tunnels: The doors behind a WebSocket, by its subprotocol in lower case.
    """

    def __init__(self, core: HubCore, tunnels: Mapping[str, Door]) -> None:
        self._core = core
        self._endpoints = HttpEndpoints(core)
        self._tunnels = tunnels

    def __call__(self, stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None]) -> Visit:
        """Serve one connection."""
        return HttpVisit(self._core, stream, initial, on_closed, endpoints=self._endpoints, tunnels=self._tunnels)


class HttpVisit:
    """One connection: request after request, or a WebSocket from some request on."""

    def __init__(
        self,
        core: HubCore,
        stream: ByteStream,
        initial: bytes,
        on_closed: Callable[[Visit], None],
        *,
        endpoints: HttpEndpoints,
        tunnels: Mapping[str, Door],
    ) -> None:
        self._core = core
        self._endpoints = endpoints
        self._tunnels = tunnels
        self._stream = stream
        self._on_closed = on_closed
        self._idle: Timer[float] | None = None
        self._tunnel: Visit | None = None
        self._connected = True
        self._granted = False
        server = web.Server(
            self._respond,
            logger=SILENT,
            access_log=None,
            auto_decompress=False,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            lingering_time=REFUSED_SECONDS,
        )
        self._transport = BoundedTransport(stream, server(), self._closed)
        self._await_request()
        self._transport.start(initial)

    @property
    def is_known(self) -> bool:
        """Whether a request has been granted, or the client is known to what is behind the WebSocket."""
        return self._granted if self._tunnel is None else self._tunnel.is_known

    async def aclose(self) -> None:
        """Drop the connection, and what came through its WebSocket."""
        tunnel = self._tunnel
        await self._transport.aclose()
        if tunnel is not None:
            await tunnel.aclose()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        self._stop_waiting()
        try:
            if tuple(segment.lower() for segment in segments_of(request.rel_url.raw_path)) in WEBSOCKET_PATHS:
                return await self._serve_websocket(request)
            return await self._serve_request(request)
        finally:
            self._await_request()

    async def _serve_request(self, request: web.BaseRequest) -> web.StreamResponse:
        url, headers = request.rel_url, request.headers
        asked = Request(
            request.method,
            url.raw_path,
            url.query,
            headers.get("Authorization"),
            headers,
            peer_certificate(self._stream),
            headers.get("If-Match"),
            headers.get("Host", ""),
            peer_of(self._stream, "HTTPS"),
        )
        try:
            keep = self._endpoints.takes_body(asked)
            self._granted |= asked.granted  # a stranger could not send as large a body
            await _call_for_body(request)
            asked.body = await _read_body(request, self._core.patience, keep=keep)
            if self._meets_fault(url.raw_path):
                return web.Response(status=503)  # which nobody gets: the connection is over
            reply = self._endpoints.answer(asked)
        except C2dError as error:
            reply = error_reply(error, self._core.clock.now())
        self._granted |= asked.granted
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    def _meets_fault(self, path: str) -> bool:
        """Let faults of connections befall this one; returns whether that ended it."""
        segments = segments_of(path)
        if segments == FAULTS_SEGMENTS:
            return False
        device_id = segments[1] if segments[0].lower() == "devices" and len(segments) > 2 else None
        client = HttpClient(device_id, wire_of(self._stream), self._transport.abort)
        if device_id is not None and self._core.faults.refuses(device_id):
            client.drop()
        self._core.faults.asks(client)
        return self._transport.is_closing()

    async def _serve_websocket(self, request: web.BaseRequest) -> web.StreamResponse:
        subprotocol = choose_subprotocol(request.headers.get("Sec-WebSocket-Protocol"), self._tunnels)
        if subprotocol is None:
            raise web.HTTPBadRequest(text=f"offer one of the subprotocols {', '.join(self._tunnels)}")
        self._transport.allowance = None
        websocket = new_websocket(subprotocol)
        await websocket.prepare(request)
        over = asyncio.Event()

        def closed(_: Visit) -> None:
            over.set()
            self._tunnel = None
            self._report_end()

        stream = WebSocketStream(websocket, self._stream)
        self._tunnel = self._tunnels[subprotocol.lower()](stream, b"", closed)
        await over.wait()  # it ends by itself when the connection is lost
        return websocket

    def _await_request(self) -> None:
        if not self._connected:
            return
        self._transport.allowance = MAX_REQUEST_BYTES
        self._idle = self._core.patience.call_later(IDLE_SECONDS, self._transport.close)

    def _stop_waiting(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _closed(self) -> None:
        self._connected = False
        self._stop_waiting()
        self._report_end()

    def _report_end(self) -> None:
        if not self._connected and self._tunnel is None:
            self._on_closed(self)


async def _call_for_body(request: web.BaseRequest) -> None:
    """Have a client send its body that waits to be told to (RFC 9110, 10.1.1)."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the answer, and aiohttp itself does so


async def _read_body(request: web.BaseRequest, patience: PatienceTimers, *, keep: bool) -> bytes:
    limit, size, kept = MAX_BODY_BYTES if keep else MAX_USELESS_BODY_BYTES, 0, bytearray()
    try:
        async with patience.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise MessageTooLargeError(f"the body has more than {limit} bytes")
                if keep:
                    kept += chunk
    except TimeoutError as error:
        raise ServiceError(f"the body did not come within {BODY_SECONDS:g} s", hub_code=400024) from error
    return bytes(kept)
