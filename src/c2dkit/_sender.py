"""CloudSender: sends cloud-to-device messages from a back end."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from c2dkit._errors import ClosedError, InvalidMessageError
from c2dkit._models import NO_PROPERTIES, Ack, Message, Receipt
from c2dkit._payloads import encode_payload
from c2dkit._rules.credentials import ServiceCredential
from c2dkit._rules.validation import check_device_id, check_message, parse_ack
from c2dkit._wire.amqp import device_address
from c2dkit.transports._registry import service_transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from datetime import timedelta
    from types import TracebackType
    from typing import Self

    from c2dkit.transports._ports import SenderLink, ServiceTransport

__all__ = ["CloudSender"]


class CloudSender:
    """Sends messages to devices.

    Use it with ``async with``. Sends from several tasks share one link, are pipelined, and keep the order of the
    calls. A sender and a ``FeedbackStream`` made from one transport object share its connection.

    Args:
        transport: How to connect; ``from_connection_string`` is the short door.
    """

    def __init__(self, transport: ServiceTransport) -> None:
        self._transport = transport
        self._link: SenderLink | None = None
        self._closed = False

    @classmethod
    def from_connection_string(
        cls, connection_string: str, *, transport: str = "amqp", ssl_context: ssl.SSLContext | None = None
    ) -> Self:
        """Make a sender from a service connection string; nothing is opened yet.

        Args:
            connection_string: ``HostName=...;SharedAccessKeyName=...;SharedAccessKey=...`` of a policy with the right
                ServiceConnect, for example ``service``.
            transport: ``"amqp"``.
            ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.

        Raises:
            ConnectionStringError: The connection string cannot be used.
            TransportUnavailableError: There is no such transport.
        """
        credential = ServiceCredential.from_connection_string(connection_string)
        return cls(service_transport(transport, credential, ssl_context=ssl_context))

    async def __aenter__(self) -> Self:
        if self._link is not None or self._closed:
            raise ClosedError("a sender is opened once; make a new one")
        self._link = await self._transport.open_sender()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        if self._link is not None:
            await self._link.close()

    async def send(
        self,
        device_id: str,
        payload: object,
        *,
        ack: Ack | str = Ack.NONE,
        message_id: str | None = None,
        correlation_id: str | None = None,
        user_id: str | None = None,
        expires_in: timedelta | None = None,
        expires_at: datetime | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        properties: Mapping[str, str] | None = None,
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

        Returns:
            A receipt, whose message id is always set.

        Cancellation: the message may or may not have been queued.

        Raises:
            InvalidMessageError: An argument breaks a limit; nothing was sent.
            DeviceNotFoundError: The hub has no such device, or it is disabled.
            DeviceQueueFullError: The device's queue holds 50 messages.
            ServiceError: Another refusal of the hub.
            OutcomeUnknownError: The connection ended before the hub answered.
            LinkError: The connection had ended before the message left.
        """
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
        await self._open_link().send(message)
        return Receipt(message_id=chosen_id, device_id=device_id, ack=asked, expires_at=message.expires_at)

    def _open_link(self) -> SenderLink:
        if self._link is None or self._closed:
            raise ClosedError("the sender is closed" if self._closed else "open the sender first: async with sender:")
        return self._link


def _expiry(now: datetime, expires_in: timedelta | None, expires_at: datetime | None) -> datetime | None:
    if expires_in is None:
        return expires_at
    if expires_at is not None:
        raise InvalidMessageError(
            "give expires_in or expires_at, not both", field="expires_in", limit="one of the two", actual="both"
        )
    return now + expires_in
