"""The transports ``amqp`` and ``amqp-ws``: AMQP 1.0 over TLS or a WebSocket, for a device and for a back end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._clock import SYSTEM_CLOCK
from c2dkit._errors import ClosedError, ServiceError
from c2dkit._protocols import amqp
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import amqp as wire
from c2dkit._wire import amqp_errors
from c2dkit.transports._amqp_client import AmqpClient
from c2dkit.transports._amqp_inbox import Inbox
from c2dkit.transports._amqp_outbox import Outbox
from c2dkit.transports._dialer import Dialer
from c2dkit.transports._https import HttpsServiceTransport
from c2dkit.transports._ports import Delivery, DeviceLink, FeedbackBatch, FeedbackLink, SenderLink, ServiceOperation
from c2dkit.transports._sharing import Sharing

if TYPE_CHECKING:
    import ssl

    from c2dkit._clock import Clock
    from c2dkit._models import Message
    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
    from c2dkit._rules.entra import EntraCredential
    from c2dkit.transports._ending import Ending
    from c2dkit.transports._sharing import Leave

__all__ = ["AmqpDeviceTransport", "AmqpServiceTransport"]

PORT: Final = 5671
SUBPROTOCOL: Final = "AMQPWSB10"


class AmqpDeviceTransport:
    """One device over AMQP 1.0 with TLS, port 5671, or a WebSocket, port 443; it can complete, abandon and reject.

    A settlement is confirmed: ``complete()`` returns when the hub has said that it is done. A link that goes silent
    is found after 45 s. A fresh token is put on the open connection before the old one ends.

    Args:
        credential: Who the device is.
        ssl_context: What to trust, and the device's certificate for X.509; by default
            ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: The HTTP proxy to go through, ``http://host:port`` or ``http://user:password@host:port``; by default
            none, whatever the environment says.
        websocket: Whether to go through a WebSocket.
        clock: What time tokens go by; by default this machine's.

    Raises:
        InvalidInputError: ``proxy`` is no such URL.
    """

    settlements: frozenset[Settlement] = frozenset(Settlement)

    def __init__(
        self,
        credential: DeviceCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        websocket: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name: str = _name(websocket=websocket)
        self._credential = credential
        self._clock = clock
        self._dialer = _dialer(ssl_context, proxy, websocket=websocket)

    async def open(self, *, prefetch: int) -> DeviceLink:
        """See ``DeviceTransport.open``; ``prefetch`` is the link credit."""
        client = await AmqpClient.connect(self._credential, self._dialer, self._clock)
        source = wire.device_address(self._credential.device_id)
        try:
            return _AmqpDeviceLink(client, await Inbox.attach(client, source, read=_delivery, prefetch=prefetch))
        except BaseException:
            await client.close()
            raise


class _AmqpDeviceLink:
    def __init__(self, client: AmqpClient, inbox: Inbox[Delivery]) -> None:
        self._client = client
        self._inbox = inbox

    async def receive(self) -> Delivery:
        return await self._inbox.receive()

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        await self._inbox.settle(_delivery_id(delivery.tag), settlement)

    @property
    def ending(self) -> Ending:
        return self._inbox.ending

    async def close(self) -> None:
        self._inbox.close(ClosedError("the receiver is closed"))
        await self._client.close()


def _delivery(event: amqp.TransferReceived) -> Delivery:
    return Delivery(wire.decode_message(event.payload), wire.lock_token(event.tag), event.delivery_id)


def _delivery_id(tag: object) -> int:
    assert isinstance(tag, int)  # noqa: S101 - this link made it
    return tag


class AmqpServiceTransport:
    """A back end over AMQP 1.0 with TLS, port 5671, or a WebSocket, port 443: sends, and receives feedback.

    Whatever is opened from one object shares one connection, which closes when the last of it closes. AMQP has no way
    to purge a queue or to read the registry, so ``purge`` and ``queue_depth`` are requests over HTTPS, port 443, each
    with a connection of its own.

    Args:
        credential: Who the back end is.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: As for ``AmqpDeviceTransport``.
        websocket: As for ``AmqpDeviceTransport``.
        clock: As for ``AmqpDeviceTransport``.

    Raises:
        InvalidInputError: ``proxy`` cannot be used.
    """

    operations: frozenset[ServiceOperation] = frozenset(ServiceOperation)

    def __init__(
        self,
        credential: ServiceCredential | EntraCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        websocket: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name: str = _name(websocket=websocket)
        self._credential = credential
        self._clock = clock
        self._dialer = _dialer(ssl_context, proxy, websocket=websocket)
        self._https = HttpsServiceTransport(credential, ssl_context=ssl_context, proxy=proxy, clock=clock)
        self._sharing = Sharing(lambda: AmqpClient.connect(self._credential, self._dialer, self._clock))

    @property
    def credential(self) -> ServiceCredential | EntraCredential:
        """See ``ServiceTransport.credential``."""
        return self._credential

    async def open_sender(self) -> SenderLink:
        """See ``ServiceTransport.open_sender``."""
        async with self._sharing.joining() as (client, leave):
            return _AmqpSenderLink(await Outbox.attach(client, wire.SERVICE_ADDRESS), leave)

    async def open_feedback(self) -> FeedbackLink:
        """See ``ServiceTransport.open_feedback``; one batch at a time waits in memory."""
        async with self._sharing.joining() as (client, leave):
            inbox = await Inbox.attach(client, wire.FEEDBACK_ADDRESS, read=_feedback_batch, prefetch=1)
            return _AmqpFeedbackLink(inbox, leave)

    async def purge(self, device_id: str) -> int:
        """See ``ServiceTransport.purge``."""
        return await self._https.purge(device_id)

    async def queue_depth(self, device_id: str) -> int:
        """See ``ServiceTransport.queue_depth``."""
        return await self._https.queue_depth(device_id)


class _AmqpSenderLink:
    def __init__(self, outbox: Outbox, leave: Leave) -> None:
        self._outbox = outbox
        self._leave = leave

    async def send(self, message: Message) -> None:
        state = await self._outbox.send(wire.encode_message(message))
        if isinstance(state, amqp.Accepted):
            return
        if isinstance(state, amqp.Rejected):
            raise amqp_errors.error_from_amqp(state.error, doing="the hub refused the message")
        raise ServiceError(f"the hub gave the message back ({type(state).__name__.lower()})", transient=True)

    @property
    def ending(self) -> Ending:
        return self._outbox.ending

    async def close(self) -> None:
        if not self._outbox.closed:
            self._outbox.close()
            await self._leave()


class _AmqpFeedbackLink:
    def __init__(self, inbox: Inbox[FeedbackBatch], leave: Leave) -> None:
        self._inbox = inbox
        self._leave = leave

    async def receive(self) -> FeedbackBatch:
        return await self._inbox.receive()

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        await self._inbox.settle(_delivery_id(batch.tag), settlement)

    @property
    def ending(self) -> Ending:
        return self._inbox.ending

    async def close(self) -> None:
        if not self._inbox.closed:
            self._inbox.close(ClosedError("the feedback stream is closed"))
            await self._leave()


def _name(*, websocket: bool) -> str:
    return "amqp-ws" if websocket else "amqp"


def _dialer(ssl_context: ssl.SSLContext | None, proxy: str | None, *, websocket: bool) -> Dialer:
    return Dialer(port=PORT, subprotocol=SUBPROTOCOL if websocket else None, ssl_context=ssl_context, proxy=proxy)


def _feedback_batch(event: amqp.TransferReceived) -> FeedbackBatch:
    return FeedbackBatch(wire.decode_feedback(event.payload), wire.lock_token(event.tag), event.delivery_id)
