"""CloudSender: sends cloud-to-device messages from a back end."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypedDict

from c2dkit._errors import C2dError, ClosedError, InvalidMessageError, OutcomeUnknownError, UnsupportedOperationError
from c2dkit._keeper import Keeper
from c2dkit._models import NO_PROPERTIES, Ack, AckWord, Message
from c2dkit._outcome_policy import OutcomePolicy
from c2dkit._outcomes import Outcomes
from c2dkit._payloads import encode_payload
from c2dkit._retry import Backoff, RetryPolicy
from c2dkit._rules.credentials import ServiceCredential
from c2dkit._rules.validation import check_device_id, check_message, parse_ack
from c2dkit._turns import Turns
from c2dkit._wire.amqp import device_address
from c2dkit.transports._ports import ServiceOperation
from c2dkit.transports._registry import refuse_text, service_transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self, Unpack

    from c2dkit._connection import Connection
    from c2dkit._models import FeedbackRecord
    from c2dkit._receipt import Receipt
    from c2dkit.transports._plugin import ServiceFactory
    from c2dkit.transports._ports import SenderLink, ServiceTransport

__all__ = ["CloudSender"]

DEFAULT_RETRY: Final = RetryPolicy()
DEFAULT_OUTCOMES: Final = OutcomePolicy()


class SendOptions(TypedDict, total=False):
    """The arguments of ``CloudSender.send`` that are common to all ways of sending."""

    message_id: str | None
    correlation_id: str | None
    user_id: str | None
    expires_in: timedelta | None
    expires_at: datetime | None
    content_type: str | None
    content_encoding: str | None
    properties: Mapping[str, str] | None
    resend_unknown: bool


class CloudSender:
    """Sends messages to devices, and looks after their queues.

    Use it with ``async with``. Sends from several tasks share one link and are pipelined; those to one device go one
    after the other, so that they arrive in the order of the calls whatever has to be tried again. What did not reach
    the hub for want of a connection, and what the hub refused for a reason that passes, is sent again as the retry
    policy says. A sender and a ``FeedbackStream`` made from one transport object share its connection. A transport that
    cannot send (``https``) serves for ``purge`` and ``queue_depth``, which need no opened sender.

    Args:
        transport: How to connect; ``from_connection_string`` is the short door.
        retry: When to connect, and to send, again; the first opening is tried once.
        outcomes: When an outcome is overdue, and what becomes of feedback for others.

    Raises:
        InvalidInputError: ``transport`` is a text.
    """

    def __init__(
        self,
        transport: ServiceTransport,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        outcomes: OutcomePolicy = DEFAULT_OUTCOMES,
    ) -> None:
        refuse_text(transport, CloudSender)
        self._transport = transport
        self._retry = retry
        self._policy = outcomes
        self._outcomes: Outcomes | None = None
        self._keeper: Keeper[SenderLink] = Keeper(f"the sender over {transport.name}", transport.open_sender, retry)
        self._turns = Turns()
        self._closed = False

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        transport: str | ServiceTransport | ServiceFactory = "amqp",
        retry: RetryPolicy = DEFAULT_RETRY,
        outcomes: OutcomePolicy = DEFAULT_OUTCOMES,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> Self:
        """Make a sender from a service connection string; nothing is opened yet.

        Args:
            connection_string: ``HostName=...;SharedAccessKeyName=...;SharedAccessKey=...`` of a policy with the right
                ServiceConnect, for example ``service``.
            transport: A name, see ``c2dkit.transports.available``; or what makes a transport, such as the class of
                one; or a transport, which then has a credential of its own.
            retry: As for the class.
            outcomes: As for the class.
            ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
            proxy: The HTTP proxy to go through, ``http://host:port`` or ``http://user:password@host:port``; by
                default none.

        Raises:
            ConnectionStringError: The connection string cannot be used.
            TransportUnavailableError: There is no such transport, or it cannot be used here; the text says why.
            InvalidInputError: The transport cannot honour ``ssl_context`` or ``proxy``.
        """
        credential = ServiceCredential.from_connection_string(connection_string)
        adapter = service_transport(transport, credential, ssl_context=ssl_context, proxy=proxy)
        return cls(adapter, retry=retry, outcomes=outcomes)

    @property
    def connection(self) -> Connection:
        """The state of the connection for sending, to be looked at, awaited or followed."""
        return self._keeper.connection

    async def __aenter__(self) -> Self:
        """Connect, once, where the transport can send: a sender that is closed or could not be opened stays so.

        Cancellation: safe, nothing stays open.

        Raises:
            ClosedError: It has been opened before.
            C2dError: No connection could be made, or the hub refused.
        """
        if self._outcomes is not None:
            raise ClosedError("a sender is opened once; make a new one")
        self._outcomes = Outcomes(self._transport, self._retry, self._policy)
        if ServiceOperation.SEND in self._transport.operations:
            await self._keeper.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection; whoever waits for an outcome gets a ClosedError.

        Cancellation: the connection is still closed.
        """
        outcomes = self._check_open()
        self._closed = True
        try:
            await outcomes.close()
        finally:
            await self._keeper.close(ClosedError("the sender is closed"))

    async def send(
        self,
        device_id: str,
        payload: object,
        *,
        ack: Ack | AckWord = Ack.NONE,
        message_id: str | None = None,
        correlation_id: str | None = None,
        user_id: str | None = None,
        expires_in: timedelta | None = None,
        expires_at: datetime | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        properties: Mapping[str, str] | None = None,
        resend_unknown: bool = False,
    ) -> Receipt:
        """Send one message and wait until the hub has queued it for the device.

        Args:
            device_id: The device; it need not be connected.
            payload: ``bytes`` and ``str`` are sent as they are; a JSON value, a pydantic model, a dataclass or a
                TypedDict is sent as JSON.
            ack: The feedback to ask for: none, positive, negative or full.
            message_id: At most 128 characters; by default a fresh UUID. Feedback names it.
            correlation_id: Free text for the application, at most 128 characters.
            user_id: Who makes the message, for the application.
            expires_in: How long the device has, from one minute to two days; by default the hub's setting (1 hour).
            expires_at: The same as an aware point in time; give one of the two.
            content_type: The media type; by default ``application/json`` for what is sent as JSON and ``text/plain``
                for ``str``.
            content_encoding: By default ``utf-8`` for text.
            properties: Application properties.
            resend_unknown: Whether to send the message again, under the same id, where the connection ended before
                the hub had answered. The device may then get it twice, so it must know a message by its id.

        Returns:
            A receipt, whose message id is always set, and which can be asked for the message's outcome.

        Cancellation: the message may or may not have been queued.

        Raises:
            UnsupportedOperationError: The transport cannot send (``https``); nothing was sent.
            InvalidMessageError: An argument breaks a limit; nothing was sent.
            DeviceNotFoundError: The hub has no such device, or it is disabled.
            DeviceQueueFullError: The device's queue holds as many messages as the error's ``depth`` says.
            ServiceError: Another refusal of the hub.
            OutcomeUnknownError: The connection ended before the hub answered, and ``resend_unknown`` is False, or no
                later try succeeded; then ``__cause__`` is why.
            LinkError: There was no connection for as long as the retry policy tries.
        """
        self._check(ServiceOperation.SEND)
        outcomes = self._check_open()
        now = datetime.now(UTC)
        encoded = encode_payload(payload, content_type, content_encoding)
        check_device_id(device_id)
        asked = parse_ack(ack)
        chosen_id = str(uuid.uuid4()) if message_id is None else message_id
        message = Message(
            encoded.body,
            message_id=chosen_id,
            correlation_id=correlation_id,
            user_id=user_id,
            to=device_address(device_id),
            content_type=encoded.content_type,
            content_encoding=encoded.content_encoding,
            expires_at=_expiry(now, expires_in, expires_at),
            ack=asked,
            properties=NO_PROPERTIES if properties is None else dict(properties),
        )
        check_message(message, now=now)
        # Before anything is sent: the device may be faster than the hub's answer.
        expected = outcomes.expect(device_id, chosen_id, asked)
        async with self._turns.of(device_id):
            await self._deliver(message, resend_unknown=resend_unknown)
        return outcomes.receipt(
            expected, device_id=device_id, message_id=chosen_id, ack=asked, expires_at=message.expires_at
        )

    async def send_and_confirm(
        self,
        device_id: str,
        payload: object,
        *,
        ack: Ack | AckWord = Ack.FULL,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the error carries the receipt
        **options: Unpack[SendOptions],
    ) -> FeedbackRecord:
        """Send one message as ``send`` does, wait until the hub says what became of it, and return that record.

        Its ``status`` is ``Success`` where the device has completed the message; every other one means that the
        message is gone.

        Args:
            device_id: As for ``send``.
            payload: As for ``send``.
            ack: As for ``send``, but full by default, and not none.
            timeout: How long to wait at most once the hub has queued the message; see ``Receipt.outcome``.
            options: The other arguments of ``send``. An expiry bounds the wait, too.

        Cancellation: the message may or may not have been queued, and nobody is told its outcome. Where that matters,
        ``send`` and then wait for the receipt's ``outcome``.

        Raises:
            InvalidMessageError: ``ack`` is none, or an argument breaks a limit; nothing was sent.
            UnsupportedOperationError: The transport cannot send, or cannot receive feedback; nothing was sent.
            OutcomeTimeoutError: ``timeout`` is over; the error has the receipt, which can be asked again.
            OutcomeOverdueError: The record should have come and has not.
            C2dError: As ``send`` and ``Receipt.outcome``.
        """
        self._check(ServiceOperation.SEND)
        self._check_open().check(parse_ack(ack))
        receipt = await self.send(device_id, payload, ack=ack, **options)
        return await receipt.outcome(timeout=timeout)

    async def purge(self, device_id: str) -> int:
        """Remove every message from a device's queue, and return how many there were.

        Whoever asked for negative feedback on one of them gets it, with the status ``Purged``. AMQP has no such
        request, so the transports ``amqp`` and ``amqp-ws`` make it over HTTPS, port 443.

        Cancellation: the messages may or may not have been removed.

        Raises:
            UnsupportedOperationError: The transport cannot do this; nothing was sent.
            InvalidMessageError: ``device_id`` is none; nothing was sent.
            ServiceError: A refusal of the hub: DeviceNotFoundError, UnauthorizedError or another.
            OutcomeUnknownError: The connection ended before the hub answered.
            LinkError: No connection could be made.
        """
        self._check(ServiceOperation.PURGE)
        check_device_id(device_id)
        self._check_not_closed()
        return await self._transport.purge(device_id)

    async def queue_depth(self, device_id: str) -> int:
        """Return how many messages wait for a device, as the hub's registry says.

        Needs a policy with the right RegistryRead, for example ``registryRead`` or ``iothubowner``. As with
        ``purge``, the request is one over HTTPS.

        Cancellation: safe.

        Raises:
            UnsupportedOperationError: The transport cannot do this; nothing was sent.
            InvalidMessageError: ``device_id`` is none; nothing was sent.
            ServiceError: A refusal of the hub: DeviceNotFoundError, UnauthorizedError or another.
            LinkError: No connection could be made, or it ended.
        """
        self._check(ServiceOperation.QUEUE_DEPTH)
        check_device_id(device_id)
        self._check_not_closed()
        return await self._transport.queue_depth(device_id)

    def _check(self, operation: ServiceOperation) -> None:
        supported = self._transport.operations
        if operation not in supported:
            raise UnsupportedOperationError(operation, transport=self._transport.name, supported=supported)

    def _check_not_closed(self) -> None:
        if self._closed:
            raise ClosedError("the sender is closed")

    def _check_open(self) -> Outcomes:
        self._check_not_closed()
        if self._outcomes is None:
            raise ClosedError("open the sender first: async with sender: ...")
        return self._outcomes

    async def _deliver(self, message: Message, *, resend_unknown: bool) -> None:
        backoff = Backoff(self._retry)
        unknown: OutcomeUnknownError | None = None
        try:
            link = await self._keeper.link()
            while True:
                try:
                    return await link.send(message)
                except OutcomeUnknownError as cut_off:
                    if not resend_unknown:
                        raise
                    error: C2dError = cut_off
                    unknown = cut_off
                except C2dError as failure:
                    error = failure
                delay = backoff.delay(error, asyncio.get_running_loop().time())
                if delay is None:
                    raise error
                await self._keeper.pause(delay)
                link = await self._keeper.link(after=link if link.ending.error else None)
        except C2dError as last:
            # That the last try failed says nothing of the one before, whose message may be in the queue.
            if unknown is None or last is unknown:
                raise
            raise OutcomeUnknownError(f"{unknown}; the next try failed: {last}") from last


def _expiry(now: datetime, expires_in: object, expires_at: datetime | None) -> datetime | None:
    if expires_in is None:
        return expires_at
    if expires_at is not None:
        raise InvalidMessageError(
            "give expires_in or expires_at, not both", field="expires_in", limit="one of the two", actual="both"
        )
    if not isinstance(expires_in, timedelta):
        raise InvalidMessageError(
            f"expires_in must be a timedelta; it is {expires_in!r}",
            field="expires_in",
            limit="a timedelta",
            actual=expires_in,
        )
    try:
        return now + expires_in
    except OverflowError:
        limit = "1 minute to 2 days"
        raise InvalidMessageError(
            f"expires_in must be {limit}, not {expires_in}", field="expires_in", limit=limit, actual=expires_in
        ) from None
