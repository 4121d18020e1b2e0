"""FeedbackStream: an async iterator of what became of messages."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

from c2dkit._errors import C2dError, ClosedError, MessageLockLostError, OutcomeUnknownError, UnsupportedOperationError
from c2dkit._keeper import Keeper
from c2dkit._retry import RetryPolicy
from c2dkit._rules.credentials import ServiceCredential
from c2dkit._rules.settlement import Settlement
from c2dkit.transports._ports import ServiceOperation
from c2dkit.transports._registry import service_transport

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from c2dkit._connection import Connection
    from c2dkit._models import FeedbackRecord
    from c2dkit.transports._plugin import ServiceFactory
    from c2dkit.transports._ports import FeedbackBatch, FeedbackLink, ServiceTransport

__all__ = ["FeedbackStream"]

DEFAULT_RETRY: Final = RetryPolicy()


class FeedbackStream:
    """Receives delivery feedback of a whole hub: one record a message whose sender asked for it.

    Use it with ``async with`` and iterate over it with ``async for``. The hub sends records in batches and locks a
    batch for 60 s. A batch is completed when the record after its last one is asked for, or when the block is left
    without an exception after its last record. Otherwise it is abandoned, and the hub delivers the whole batch again:
    a crash loses no record, but may repeat some. All streams of a hub share one queue.

    A lost connection is made anew, as the retry policy says, and the iteration goes on. Only an error that does not
    pass, or the policy's deadline, ends it with an error; closing the stream ends it in order. One task iterates over
    a stream; for more, make more streams.

    Args:
        transport: How to connect; ``from_connection_string`` is the short door.
        retry: When to connect again; the first opening is tried once.
    """

    def __init__(self, transport: ServiceTransport, *, retry: RetryPolicy = DEFAULT_RETRY) -> None:
        self._transport = transport
        self._keeper: Keeper[FeedbackLink] = Keeper(transport.open_feedback, retry)
        self._opened = False
        self._held: tuple[FeedbackLink, FeedbackBatch] | None = None
        self._unread: deque[FeedbackRecord] = deque()
        self._closed = False

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        transport: str | ServiceTransport | ServiceFactory = "amqp",
        retry: RetryPolicy = DEFAULT_RETRY,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> Self:
        """Make a stream from a service connection string; arguments and errors as ``CloudSender``'s."""
        credential = ServiceCredential.from_connection_string(connection_string)
        adapter = service_transport(transport, credential, ssl_context=ssl_context, proxy=proxy)
        return cls(adapter, retry=retry)

    @property
    def connection(self) -> Connection:
        """The state of the connection, to be looked at, awaited or followed."""
        return self._keeper.connection

    async def __aenter__(self) -> Self:
        if self._opened or self._closed:
            raise ClosedError("a feedback stream is opened once; make a new one")
        supported = self._transport.operations
        if ServiceOperation.FEEDBACK not in supported:
            raise UnsupportedOperationError(
                ServiceOperation.FEEDBACK, transport=self._transport.name, supported=supported
            )
        self._opened = True
        await self._keeper.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        try:
            handled = exc_type is None and not self._unread
            await self._settle(Settlement.COMPLETE if handled else Settlement.ABANDON)
        finally:
            await self._keeper.close(ClosedError("the feedback stream is closed"))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedbackRecord:
        """Return the next record.

        Cancellation: safe, no record is lost; one may be repeated.

        Raises:
            C2dError: The connection is lost for good, or the stream was never opened.
        """
        if not self._opened:
            raise ClosedError("open the feedback stream first: async with feedback: ...")
        try:
            while not self._unread:
                await self._next_batch()
        except ClosedError:
            raise StopAsyncIteration from None
        return self._unread.popleft()

    async def _next_batch(self) -> None:
        if self._closed:
            raise ClosedError("the feedback stream is closed")
        await self._settle(Settlement.COMPLETE)
        link = await self._keeper.link()
        while self._held is None:
            try:
                self._held = link, await link.receive()
            except C2dError as error:
                link = await self._keeper.recover(link, error)
        self._unread.extend(self._held[1].records)

    async def _settle(self, settlement: Settlement) -> None:
        held, self._held = self._held, None
        if held is not None:
            # Where the lock or the link is gone the hub delivers the batch again. Nothing is lost, so the iteration
            # goes on.
            with contextlib.suppress(MessageLockLostError, OutcomeUnknownError):
                await held[0].settle(held[1], settlement)
