"""The transports ``uamqp``: AMQP 1.0 on Microsoft's archived library, for a device and for a back end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._errors import ClosedError, InvalidInputError
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import amqp as wire
from c2dkit.transports._foreign import load
from c2dkit.transports._https import HttpsServiceTransport
from c2dkit.transports._ports import Delivery, DeviceLink, FeedbackBatch, FeedbackLink, SenderLink, ServiceOperation
from c2dkit.transports._sharing import Sharing
from c2dkit.transports._uamqp_client import UamqpClient
from c2dkit.transports._uamqp_inbox import UamqpInbox
from c2dkit.transports._uamqp_message import make_message, wire_form
from c2dkit.transports._uamqp_outbox import UamqpOutbox

if TYPE_CHECKING:
    import ssl

    from c2dkit._models import Message
    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
    from c2dkit._rules.entra import EntraCredential
    from c2dkit.transports._ending import Ending
    from c2dkit.transports._sharing import Leave
    from c2dkit.transports._uamqp_message import UamqpMessage

__all__ = ["UamqpDeviceTransport", "UamqpServiceTransport"]

NAME: Final = "uamqp"


class UamqpDeviceTransport:
    """One device over AMQP 1.0 with TLS, port 5671, by uamqp; it can complete, abandon and reject.

    For whoever must use that library; the transport ``amqp`` does the same without it. uamqp is archived and has no
    wheel for Python 3.14 and later.

    A settlement is not confirmed: uamqp sends it as settled and has no way to hear what the hub says to it. So
    ``complete()`` returns at once, and where the message's lock had run out nothing tells so: the hub delivers the
    message again.

    uamqp works in the event loop, which it holds up for some milliseconds when it connects, and is asked for news up to
    20 times a second while nothing happens: a message may wait for 50 ms. It renews tokens by itself. A link that goes
    silent is found after 60 s.

    Args:
        credential: Who the device is, with a key or a signature; uamqp cannot present a certificate.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
            uamqp has a TLS library of its own, so nothing but the certificates that the context has loaded is taken
            from it; where it has loaded none, what certifi names is trusted.
        proxy: Not supported; must be None.

    Raises:
        TransportUnavailableError: uamqp is not installed, or there is none for this Python.
        InvalidInputError: There is a proxy, or the credential is a certificate.
    """

    name: str = NAME
    settlements: frozenset[Settlement] = frozenset(Settlement)

    def __init__(
        self, credential: DeviceCredential, *, ssl_context: ssl.SSLContext | None = None, proxy: str | None = None
    ) -> None:
        _check(proxy)
        if credential.x509:
            raise InvalidInputError("uamqp has no way to present a certificate; use the transport amqp or mqtt")
        self._credential = credential
        self._ssl_context = ssl_context

    async def open(self, *, prefetch: int) -> DeviceLink:
        """See ``DeviceTransport.open``; ``prefetch`` is the link credit."""
        client = await UamqpClient.connect(self._credential, ssl_context=self._ssl_context)
        source = wire.device_address(self._credential.device_id)
        try:
            return _UamqpDeviceLink(client, await UamqpInbox.attach(client, source, read=_delivery, prefetch=prefetch))
        except BaseException:
            await client.close()
            raise


class _UamqpDeviceLink:
    def __init__(self, client: UamqpClient, inbox: UamqpInbox[Delivery]) -> None:
        self._client = client
        self._inbox = inbox

    @property
    def ending(self) -> Ending:
        return self._inbox.ending

    async def receive(self) -> Delivery:
        return await self._inbox.receive()

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        self._inbox.settle(delivery.tag, settlement)

    async def close(self) -> None:
        self._inbox.close(ClosedError("the receiver is closed"))
        await self._client.close()


def _delivery(message: UamqpMessage) -> Delivery:
    return Delivery(wire.decode_message(wire_form(message)), wire.lock_token(message.delivery_tag or b""), message)


class UamqpServiceTransport:
    """A back end over AMQP 1.0 with TLS, port 5671, by uamqp: sends, and receives feedback.

    Whatever is opened from one object shares one connection, which closes when the last of it closes. ``purge`` and
    ``queue_depth`` are requests of the transport ``https``, because AMQP has neither. What ``UamqpDeviceTransport``
    says of uamqp goes for this one too.

    Args:
        credential: Who the back end is.
        ssl_context: As for ``UamqpDeviceTransport``.
        proxy: Not supported; must be None.

    Raises:
        TransportUnavailableError: uamqp is not installed, or there is none for this Python.
        InvalidInputError: There is a proxy.
    """

    name: str = NAME
    operations: frozenset[ServiceOperation] = frozenset(ServiceOperation)

    def __init__(
        self,
        credential: ServiceCredential | EntraCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        _check(proxy)
        self._credential = credential
        self._ssl_context = ssl_context
        self._https = HttpsServiceTransport(credential, ssl_context=ssl_context)
        self._sharing = Sharing(lambda: UamqpClient.connect(self._credential, ssl_context=self._ssl_context))

    @property
    def credential(self) -> ServiceCredential | EntraCredential:
        """See ``ServiceTransport.credential``."""
        return self._credential

    async def open_sender(self) -> SenderLink:
        """See ``ServiceTransport.open_sender``."""
        async with self._sharing.joining() as (client, leave):
            return _UamqpSenderLink(client, await UamqpOutbox.attach(client, wire.SERVICE_ADDRESS), leave)

    async def open_feedback(self) -> FeedbackLink:
        """See ``ServiceTransport.open_feedback``; one batch at a time waits in memory."""
        async with self._sharing.joining() as (client, leave):
            inbox = await UamqpInbox.attach(client, wire.FEEDBACK_ADDRESS, read=_feedback_batch, prefetch=1)
            return _UamqpFeedbackLink(inbox, leave)

    async def purge(self, device_id: str) -> int:
        """See ``ServiceTransport.purge``."""
        return await self._https.purge(device_id)

    async def queue_depth(self, device_id: str) -> int:
        """See ``ServiceTransport.queue_depth``."""
        return await self._https.queue_depth(device_id)


class _UamqpSenderLink:
    def __init__(self, client: UamqpClient, outbox: UamqpOutbox, leave: Leave) -> None:
        self._uamqp = client.uamqp
        self._outbox = outbox
        self._leave = leave
        self._closed = False

    @property
    def ending(self) -> Ending:
        return self._outbox.ending

    async def send(self, message: Message) -> None:
        await self._outbox.send(make_message(self._uamqp, message))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._outbox.close()
            await self._leave()


class _UamqpFeedbackLink:
    def __init__(self, inbox: UamqpInbox[FeedbackBatch], leave: Leave) -> None:
        self._inbox = inbox
        self._leave = leave
        self._closed = False

    @property
    def ending(self) -> Ending:
        return self._inbox.ending

    async def receive(self) -> FeedbackBatch:
        return await self._inbox.receive()

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        self._inbox.settle(batch.tag, settlement)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._inbox.close(ClosedError("the feedback stream is closed"))
            try:
                await self._inbox.gone.wait()
            finally:
                await self._leave()


def _feedback_batch(message: UamqpMessage) -> FeedbackBatch:
    return FeedbackBatch(
        wire.decode_feedback(wire_form(message)), wire.lock_token(message.delivery_tag or b""), message
    )


def _check(proxy: str | None) -> None:
    load("uamqp", transport=NAME, extra="uamqp")
    if proxy is not None:
        raise InvalidInputError("the transport uamqp cannot go through a proxy; amqp-ws and mqtt-ws can")
