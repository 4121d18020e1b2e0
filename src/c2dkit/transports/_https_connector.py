"""Connections on which no more comes in than an answer may have; aiohttp bounds each header, but not all together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["BoundedConnector"]

MAX_ANSWER_BYTES: Final = 1_572_864
"""Head and body of one answer, and whatever else comes until the next request."""


class BoundedConnector(aiohttp.TCPConnector):
    """Ends a connection on which more than that comes."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Return a new connection, or one that is kept, for one request."""
        connection = await super().connect(req, traces, timeout)
        transport, handler = connection.transport, connection.protocol
        if transport is not None and handler is not None:
            guard = transport.get_protocol()
            if not isinstance(guard, _Guard):
                guard = _Guard(transport, handler)
                transport.set_protocol(guard)
            guard.allowance = MAX_ANSWER_BYTES
        return connection


class _Guard(asyncio.Protocol):
    """Stands between a connection and aiohttp's protocol, and counts."""

    def __init__(self, transport: asyncio.Transport, handler: ResponseHandler) -> None:
        self.allowance = 0
        self._transport = transport
        self._handler = handler

    def data_received(self, data: bytes) -> None:
        self.allowance -= len(data)
        if self.allowance >= 0:
            self._handler.data_received(data)
            return
        self._handler.set_exception(HttpProcessingError(message=f"more than {MAX_ANSWER_BYTES} bytes came"))
        self._transport.abort()

    def eof_received(self) -> None:
        self._handler.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()
