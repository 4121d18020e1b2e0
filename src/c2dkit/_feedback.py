"""FeedbackStream: an async iterator of what became of messages."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

from c2dkit._errors import ClosedError, MessageLockLostError, OutcomeUnknownError, UnsupportedOperationError
from c2dkit._rules.credentials import ServiceCredential
from c2dkit._rules.settlement import Settlement
from c2dkit.transports._ports import ServiceOperation
from c2dkit.transports._registry import service_transport

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from c2dkit._models import FeedbackRecord
    from c2dkit.transports._plugin import ServiceFactory
    from c2dkit.transports._ports import FeedbackBatch, FeedbackLink, ServiceTransport

__all__ = ["FeedbackStream"]


class FeedbackStream:
    """Receives delivery feedback of a whole hub: one record a message whose sender asked for it.

    Use it with ``async with`` and iterate over it with ``async for``. The hub sends records in batches and locks a
    batch for 60 s. A batch is completed when the record after its last one is asked for, or when the block is left
    without an exception after its last record. Otherwise it is abandoned, and the hub delivers the whole batch again:
    a crash loses no record, but may repeat some. All streams of a hub share one queue.

    A lost connection ends the iteration with an error; closing the stream ends it in order. One task iterates over a
    stream; for more, make more streams.

    Args:
        transport: How to connect; ``from_connection_string`` is the short door.
    """

    def __init__(self, transport: ServiceTransport) -> None:
        self._transport = transport
        self._link: FeedbackLink | None = None
        self._batch: FeedbackBatch | None = None
        self._unread: deque[FeedbackRecord] = deque()
        self._closed = False

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        transport: str | ServiceTransport | ServiceFactory = "amqp",
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> Self:
        """Make a stream from a service connection string; arguments and errors as ``CloudSender``'s."""
        credential = ServiceCredential.from_connection_string(connection_string)
        return cls(service_transport(transport, credential, ssl_context=ssl_context, proxy=proxy))

    async def __aenter__(self) -> Self:
        if self._link is not None or self._closed:
            raise ClosedError("a feedback stream is opened once; make a new one")
        supported = self._transport.operations
        if ServiceOperation.FEEDBACK not in supported:
            raise UnsupportedOperationError(
                ServiceOperation.FEEDBACK, transport=self._transport.name, supported=supported
            )
        self._link = await self._transport.open_feedback()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        link = self._link
        if link is None:
            return
        try:
            handled = exc_type is None and not self._unread
            await self._settle(link, Settlement.COMPLETE if handled else Settlement.ABANDON)
        finally:
            await link.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedbackRecord:
        """Return the next record.

        Cancellation: safe, no record is lost; one may be repeated.

        Raises:
            C2dError: The connection is lost, or the stream was never opened.
        """
        link = self._link
        if link is None:
            raise ClosedError("open the feedback stream first: async with feedback: ...")
        try:
            while not self._unread:
                await self._next_batch(link)
        except ClosedError:
            raise StopAsyncIteration from None
        return self._unread.popleft()

    async def _next_batch(self, link: FeedbackLink) -> None:
        if self._closed:
            raise ClosedError("the feedback stream is closed")
        await self._settle(link, Settlement.COMPLETE)
        self._batch = await link.receive()
        self._unread.extend(self._batch.records)

    async def _settle(self, link: FeedbackLink, settlement: Settlement) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            # Where the lock or the link is gone the hub delivers the batch again. Nothing is lost, so the iteration
            # goes on; if the link has ended, the next receive says so.
            with contextlib.suppress(MessageLockLostError, OutcomeUnknownError):
                await link.settle(batch, settlement)
