"""FeedbackStream: an async iterator of what became of messages."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from c2dkit._connection import CLOSED, Connection
from c2dkit._errors import ClosedError, UnsupportedOperationError
from c2dkit._retry import RetryPolicy
from c2dkit._rules.credentials import ServiceCredential
from c2dkit._shared_feedback import shared_feedback
from c2dkit.transports._mailbox import Mailbox
from c2dkit.transports._ports import ServiceOperation
from c2dkit.transports._registry import refuse_text, service_transport

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from c2dkit._feedback_reader import FeedbackReader, HeldBatch
    from c2dkit._models import FeedbackRecord
    from c2dkit._rules.settlement import Settlement
    from c2dkit._shared_feedback import SharedFeedback
    from c2dkit.transports._plugin import ServiceFactory
    from c2dkit.transports._ports import ServiceTransport

__all__ = ["FeedbackStream"]

DEFAULT_RETRY: Final = RetryPolicy()


class FeedbackStream:
    """Receives delivery feedback of a whole hub: one record a message whose sender asked for it.

    Use it with ``async with`` and iterate over it with ``async for``. The hub sends records in batches and locks a
    batch for 60 s. A batch is completed when the record after its last one is asked for, or when the block is left
    without an exception after its last record. Otherwise it is abandoned, and the hub delivers the whole batch again:
    a crash loses no record, but may repeat some.

    Streams of one process and event loop that have one credential are read for together, over the transport of the
    first, and so are the receipts of its senders: each of these streams gets every record, and a batch is completed
    when all of them are done with it. Streams elsewhere share the hub's one queue: what one of them gets the others do
    not.

    A lost connection is made anew, as the retry policy says, and the iteration goes on. Only an error that does not
    pass, or the policy's deadline, ends it with an error; closing the stream ends it in order. One task iterates over
    a stream; for more, make more streams.

    Args:
        transport: How to connect; ``from_connection_string`` is the short door.
        retry: When to connect again; the first opening is tried once.

    Raises:
        InvalidInputError: ``transport`` is a text.
    """

    def __init__(self, transport: ServiceTransport, *, retry: RetryPolicy = DEFAULT_RETRY) -> None:
        refuse_text(transport, FeedbackStream)
        self._transport = transport
        self._retry = retry
        self._batches = _Batches()
        self._shared: SharedFeedback | None = None
        self._reader: FeedbackReader | None = None
        self._held: HeldBatch | None = None
        self._unread: deque[FeedbackRecord] = deque()

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
        return self._batches.connection

    async def __aenter__(self) -> Self:
        """Connect, once, or take part in what is read for others with the same credential.

        Cancellation: safe, nothing stays open.

        Raises:
            ClosedError: It has been opened before.
            UnsupportedOperationError: The transport cannot receive feedback.
            C2dError: No connection could be made, or the hub refused.
        """
        if self._reader is not None:
            raise ClosedError("a feedback stream is opened once; make a new one")
        supported = self._transport.operations
        if ServiceOperation.FEEDBACK not in supported:
            raise UnsupportedOperationError(
                ServiceOperation.FEEDBACK, transport=self._transport.name, supported=supported
            )
        self._shared = shared_feedback(self._transport)
        self._reader = self._shared.join(self._batches, self._transport, self._retry, patient=False)
        try:
            await self._reader.opened()
        except BaseException:
            await self._reader.leave(self._batches)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete or abandon the batch in hand, as the class says, and give back the others.

        Cancellation: the batch comes again if the hub has not been told; the connection is still closed.
        """
        reader = self._open_reader()
        self._batches.close()
        try:
            if exc_type is None and not self._unread:
                await self._let_go()
        finally:
            await reader.leave(self._batches)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedbackRecord:
        """Return the next record.

        Cancellation: safe, no record is lost; one may be repeated.

        Raises:
            C2dError: The connection is lost for good, or the stream was never opened.
        """
        reader = self._open_reader()
        try:
            while not self._unread:
                await self._let_go()
                self._held = await self._batches.get(reader)
                self._unread.extend(self._held.records)
        except ClosedError:
            raise StopAsyncIteration from None
        return self._unread.popleft()

    def _open_reader(self) -> FeedbackReader:
        if self._reader is None:
            raise ClosedError("open the feedback stream first: async with feedback: ...")
        return self._reader

    async def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await self._open_reader().let_go(self._batches, held, handled=True)


class _Batches:
    """A stream's batches that it has not begun with: what the reader knows of a stream."""

    def __init__(self) -> None:
        self.connection = Connection()
        self._mailbox: Mailbox[HeldBatch] = Mailbox()

    async def get(self, reader: FeedbackReader) -> HeldBatch:
        """Return the next one; raises the error that ended the reading, or ClosedError.

        Cancellation: safe.
        """
        with reader.wanted():
            return await self._mailbox.get()

    def take(self, batch: HeldBatch) -> Settlement | None:
        """See ``FeedbackMember``."""
        self._mailbox.put(batch)
        return None

    def end(self, error: Exception) -> None:
        """See ``FeedbackMember``."""
        self._mailbox.close(error)

    def close(self) -> None:
        """Say that the stream is closed to whoever waits, and on the connection."""
        self._mailbox.close(ClosedError("the feedback stream is closed"))
        self.connection.change(CLOSED)
