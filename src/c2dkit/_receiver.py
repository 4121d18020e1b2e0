"""DeviceReceiver: an async iterator of a device's cloud-to-device messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar, overload

from c2dkit._errors import C2dError, ClosedError, InvalidInputError, UnsupportedSettlementError
from c2dkit._handling import Handling
from c2dkit._keeper import Keeper
from c2dkit._message import ReceivedMessage
from c2dkit._payloads import PayloadDecoder
from c2dkit._retry import RetryPolicy
from c2dkit._rules.credentials import DeviceCredential
from c2dkit._rules.on_error import OnError, OnErrorWord, parse_on_error, verdicts
from c2dkit._rules.settlement import Settlement
from c2dkit._run import DEFAULT_DRAIN, Run
from c2dkit.transports._registry import device_transport, refuse_text

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from datetime import timedelta
    from types import TracebackType
    from typing import Self

    from pydantic import TypeAdapter

    from c2dkit._connection import Connection
    from c2dkit._dead_letters import DeadLetters
    from c2dkit._journal import Journal
    from c2dkit._payloads import DefaultPayload
    from c2dkit.transports._plugin import DeviceFactory
    from c2dkit.transports._ports import Delivery, DeviceLink, DeviceTransport

__all__ = ["DEFAULT_PREFETCH", "DeviceReceiver"]

T = TypeVar("T")
PayloadT_co = TypeVar("PayloadT_co", covariant=True)

DEFAULT_PREFETCH: Final = 10
DEFAULT_RETRY: Final = RetryPolicy()


class DeviceReceiver(Generic[PayloadT_co]):
    """Receives the cloud-to-device messages of one device.

    Use it with ``async with`` and iterate over it with ``async for``. Nothing is acknowledged before the application
    says so: settle each message with ``complete``, ``abandon`` or ``reject``. Several tasks may iterate over one
    receiver; each message goes to one of them. A lost connection is made anew, as the retry policy says, and the
    iteration goes on; what was held is then void, and the hub delivers it again. Only an error that does not pass, or
    the policy's deadline, ends the iteration with an error; closing the receiver ends it in order.

    Args:
        transport: How to connect; ``from_connection_string`` is the short door.
        payload_type: What ``message.payload`` shall be: a pydantic model, a dataclass, a TypedDict, ``str``,
            ``bytes``, or a pydantic ``TypeAdapter`` for any other type. By default the content type decides: a JSON
            value, a text, or bytes.
        prefetch: How many messages may wait in memory, at least 1. Their locks (60 s on AMQP) run while they wait,
            so keep it below what the application handles in that time.
        retry: When to connect again; the first opening is tried once.

    Raises:
        InvalidInputError: ``prefetch`` is less than 1, pydantic cannot check for ``payload_type``, or ``transport`` is a
            text.
    """

    @overload
    def __init__(
        self: DeviceReceiver[DefaultPayload],
        transport: DeviceTransport,
        *,
        payload_type: None = None,
        prefetch: int = DEFAULT_PREFETCH,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None: ...
    @overload
    def __init__(
        self,
        transport: DeviceTransport,
        *,
        payload_type: type[PayloadT_co] | TypeAdapter[PayloadT_co],
        prefetch: int = DEFAULT_PREFETCH,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None: ...
    def __init__(
        self,
        transport: DeviceTransport,
        *,
        payload_type: type[PayloadT_co] | TypeAdapter[PayloadT_co] | None = None,
        prefetch: int = DEFAULT_PREFETCH,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        if prefetch < 1:
            raise InvalidInputError(f"prefetch is {prefetch}; at least 1 is needed to receive anything")
        refuse_text(transport, DeviceReceiver)
        self._transport = transport
        self._decoder: PayloadDecoder[PayloadT_co] = PayloadDecoder(payload_type)
        self._prefetch = prefetch
        self._keeper: Keeper[DeviceLink] = Keeper(f"the receiver over {transport.name}", self._open, retry)
        self._opened = False
        self._closed = False

    @overload
    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        transport: str | DeviceTransport | DeviceFactory = "amqp",
        payload_type: None = None,
        prefetch: int = DEFAULT_PREFETCH,
        retry: RetryPolicy = DEFAULT_RETRY,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> DeviceReceiver[DefaultPayload]: ...
    @overload
    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        transport: str | DeviceTransport | DeviceFactory = "amqp",
        payload_type: type[T] | TypeAdapter[T],
        prefetch: int = DEFAULT_PREFETCH,
        retry: RetryPolicy = DEFAULT_RETRY,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> DeviceReceiver[T]: ...
    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        transport: str | DeviceTransport | DeviceFactory = "amqp",
        payload_type: type[T] | TypeAdapter[T] | None = None,
        prefetch: int = DEFAULT_PREFETCH,
        retry: RetryPolicy = DEFAULT_RETRY,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> DeviceReceiver[T] | DeviceReceiver[DefaultPayload]:
        """Make a receiver from a device's connection string; nothing is opened yet.

        Args:
            connection_string: ``HostName=...;DeviceId=...;SharedAccessKey=...``, or with ``x509=true`` in place of
                the key; ``GatewayHostName`` is honoured.
            transport: A name, see ``c2dkit.transports.available``; or what makes a transport, such as the class of
                one; or a transport, which then has a credential of its own.
            payload_type: As for the class.
            prefetch: As for the class.
            retry: As for the class.
            ssl_context: What to trust, and with ``x509=true`` the device's certificate; by default
                ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
            proxy: The HTTP proxy to go through, ``http://host:port`` or ``http://user:password@host:port``; by
                default none.

        Raises:
            ConnectionStringError: The connection string cannot be used.
            TransportUnavailableError: There is no such transport, or it cannot be used here; the text says why.
            InvalidInputError: The transport cannot honour ``ssl_context`` or ``proxy``; or as for the class.
        """
        credential = DeviceCredential.from_connection_string(connection_string)
        adapter = device_transport(transport, credential, ssl_context=ssl_context, proxy=proxy)
        if payload_type is None:
            return DeviceReceiver(adapter, prefetch=prefetch, retry=retry)
        return DeviceReceiver(adapter, payload_type=payload_type, prefetch=prefetch, retry=retry)

    @property
    def connection(self) -> Connection:
        """The state of the connection, to be looked at, awaited or followed."""
        return self._keeper.connection

    async def __aenter__(self) -> Self:
        """Connect, once: a receiver that is closed or could not be opened is not opened again.

        Cancellation: safe, nothing stays open.

        Raises:
            ClosedError: It has been opened before.
            C2dError: No connection could be made, or the hub refused. What polls (``https``) makes none yet: the first
                receive raises it.
        """
        if self._opened or self._closed:
            raise ClosedError("a receiver is opened once; make a new one")
        self._opened = True
        await self._keeper.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give back the messages that are held, close the connection and end every iteration.

        Cancellation: the connection is still closed.
        """
        self._closed = True
        await self._keeper.close(ClosedError("the receiver is closed"))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceivedMessage[PayloadT_co]:
        """Return the next message.

        Cancellation: safe, no message is lost.

        Raises:
            C2dError: The connection is lost for good, or the receiver was never opened.
        """
        if not self._opened:
            raise ClosedError("open the receiver first: async with receiver: ...")
        try:
            link, delivery = await self._receive()
        except ClosedError:
            raise StopAsyncIteration from None
        return ReceivedMessage(delivery, link, self._transport, self._decoder)

    async def run(
        self,
        handler: Callable[[ReceivedMessage[PayloadT_co]], Awaitable[None]],
        *,
        concurrency: int = 1,
        key: Callable[[ReceivedMessage[PayloadT_co]], str | None] | None = None,
        on_error: OnError | OnErrorWord = OnError.REDELIVER,
        journal: Journal | None = None,
        dead_letters: DeadLetters | None = None,
        drain: timedelta = DEFAULT_DRAIN,
    ) -> None:
        """Handle the messages until the receiver is closed, and settle each: complete it once its handler has returned.

        A handler may settle its message itself; then nothing else is said of it. One whose message is locked for a
        time (AMQP, HTTPS) is cancelled five seconds before that ends, and the message abandoned, unless it has settled
        it by then. A settlement that fails is logged, with the message's id, and so is an error of a handler.

        Args:
            handler: Called with each message.
            concurrency: How many handlers may run at a time.
            key: Messages with the same key are handled one after the other, in the hub's order; those with None are
                in nobody's way. Up to ``prefetch`` messages more are then taken, to wait for their turn.
            on_error: What becomes of a message whose handler raised an error.
            journal: Remembers by its id each message that was handled, before it is completed; one that comes again
                is completed without its handler. Messages without an id are always handled.
            dead_letters: Where a message is written before it is rejected, and before one whose payload cannot be
                parsed is rejected or, where the wire cannot say that (MQTT), completed.
            drain: How long the handlers under way have to return when this ends; at most 10 minutes.

        Cancellation: safe, it is the way to stop. No other message is taken, the handlers under way have ``drain`` to
        return and their messages are settled; then they are cancelled, and what is left stays held, to be delivered
        again. A second cancellation does not wait for ``drain``.

        Raises:
            UnsupportedSettlementError: The transport cannot say what this needs; nothing was received.
            InvalidInputError: An argument is out of its range; nothing was received. Or ``handler`` is no coroutine
                function; its message stays held.
            C2dError: The connection is lost for good, or the receiver was never opened.
            Exception: What ``journal`` or ``dead_letters`` raised; the message at fault stays held.
        """
        if concurrency < 1:
            raise InvalidInputError(f"concurrency is {concurrency}; at least 1 is needed to handle anything")
        parsed = parse_on_error(on_error, dead_letters=dead_letters is not None)
        says = verdicts(parsed, self._transport.settlements, dead_letters=dead_letters is not None)
        for settlement in (Settlement.COMPLETE, says.failed):
            self._check_settlement(settlement)
        handling = Handling(
            handler, concurrency=concurrency, key=key, verdicts=says, journal=journal, dead_letters=dead_letters
        )
        waiting = 0 if key is None else self._prefetch
        await Run(self, handling, room=concurrency + waiting, drain=drain).run()

    def _check_settlement(self, settlement: Settlement | None) -> None:
        supported = self._transport.settlements
        if settlement is not None and settlement not in supported:
            raise UnsupportedSettlementError(settlement, transport=self._transport.name, supported=supported)

    async def _receive(self) -> tuple[DeviceLink, Delivery]:
        link = await self._keeper.link()
        while True:
            try:
                return link, await link.receive()
            except C2dError as error:
                link = await self._keeper.recover(link, error)

    async def _open(self) -> DeviceLink:
        return await self._transport.open(prefetch=self._prefetch)
