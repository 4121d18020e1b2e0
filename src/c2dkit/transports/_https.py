"""The transport ``https``: requests to IoT Hub's REST endpoints, for a device and for a back end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from c2dkit._clock import SYSTEM_CLOCK
from c2dkit._errors import ClosedError, PeerProtocolError, UnsupportedOperationError
from c2dkit._proxy import Proxy
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import feedback
from c2dkit._wire import https as wire
from c2dkit.transports._https_link import LockedQueue
from c2dkit.transports._https_polling import PollingInterval
from c2dkit.transports._ports import Delivery, DeviceLink, FeedbackBatch, FeedbackLink, SenderLink, ServiceOperation

if TYPE_CHECKING:
    import ssl

    from c2dkit._clock import Clock
    from c2dkit._rules.credentials import Credential, DeviceCredential, ServiceCredential
    from c2dkit._rules.entra import EntraCredential
    from c2dkit.transports._ending import Ending
    from c2dkit.transports._https_client import Answer, HttpsClient

__all__ = ["FEEDBACK_POLLING", "HttpsDeviceTransport", "HttpsServiceTransport"]

FEEDBACK_POLLING: Final = PollingInterval.adaptive(timedelta(seconds=1), timedelta(seconds=15))
"""The hub makes a batch of feedback every 15 s at most (IoT Hub developer guide, "Message feedback")."""


class HttpsDeviceTransport:
    """One device over HTTPS, port 443; it polls, and can complete, abandon and reject.

    There is no connection to keep: the hub is asked while the application waits for a message, one request at a time,
    and asked again at once after each message. After a poll that brought nothing ``polling`` says how long to wait.
    Opening sends nothing, so a wrong key or host shows at the first receive. At most one message waits in memory,
    whatever the ``prefetch``.

    A settlement is confirmed: ``complete()`` returns when the hub has said that it is done. A lock is the hub's and
    outlives a broken connection, so a message can still be settled while its 60 s last. Closing abandons what is
    held, which counts as a delivery. Connecting takes 30 s at most and a request 45 s in all.

    Args:
        credential: Who the device is.
        ssl_context: What to trust, and the device's certificate for X.509; by default
            ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: The HTTP proxy to go through, ``http://[user:password@]host:port``; by default none.
        polling: How long to wait after a poll that brought nothing; by default ``PollingInterval.polite()``, 25
            minutes, as the service advises. A device that shall hear of a message sooner takes another interval, or
            another transport.
        clock: What time tokens go by; by default this machine's.

    Raises:
        InvalidInputError: The proxy's URL cannot be used.
    """

    name: str = "https"
    settlements: frozenset[Settlement] = frozenset(Settlement)

    def __init__(
        self,
        credential: DeviceCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        polling: PollingInterval | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._credential = credential
        self._ssl_context = ssl_context
        self._proxy = None if proxy is None else Proxy.from_url(proxy)
        self._clock = clock
        self._polling = PollingInterval.polite() if polling is None else polling

    async def open(self, *, prefetch: int) -> DeviceLink:
        """See ``DeviceTransport.open``; sends nothing."""
        client = _client(self._credential, self._ssl_context, self._proxy, self._clock)
        return _HttpsDeviceLink(client, wire.device_path(self._credential.device_id), self._polling)


class _HttpsDeviceLink:
    def __init__(self, client: HttpsClient, path: str, interval: PollingInterval) -> None:
        self._queue = LockedQueue(
            client, path, what="message", max_bytes=wire.MAX_MESSAGE_BYTES, read=_delivery, interval=interval
        )

    @property
    def ending(self) -> Ending:
        return self._queue.ending

    async def receive(self) -> Delivery:
        return await self._queue.receive()

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        await self._queue.settle(_lock_token(delivery.tag), settlement)

    async def close(self) -> None:
        await self._queue.close(ClosedError("the receiver is closed"))


def _delivery(answer: Answer) -> tuple[Delivery, str]:
    message, lock_token = wire.decode_delivery(answer.headers, answer.body)
    return Delivery(message, lock_token, lock_token), lock_token


def _lock_token(tag: object) -> str:
    assert isinstance(tag, str)  # noqa: S101 - this link made it
    return tag


class HttpsServiceTransport:
    """A back end over HTTPS, port 443: receives feedback, purges queues, reads their depth; it cannot send.

    IoT Hub has no known REST call that sends a cloud-to-device message. Whatever is opened has connections of its
    own. Feedback is polled while the application waits for it; opening sends nothing. Connecting takes 30 s at most
    and a request 45 s in all.

    Args:
        credential: Who the back end is; ``queue_depth`` needs the right RegistryRead, the rest ServiceConnect.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: The HTTP proxy to go through, ``http://[user:password@]host:port``; by default none.
        polling: How long to wait after a poll for feedback that brought none; by default from 1 to 15 s, because the
            hub makes a batch every 15 s.
        clock: What time tokens go by; by default this machine's.

    Raises:
        InvalidInputError: The proxy's URL cannot be used.
    """

    name: str = "https"
    operations: frozenset[ServiceOperation] = frozenset(ServiceOperation) - {ServiceOperation.SEND}

    def __init__(
        self,
        credential: ServiceCredential | EntraCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        polling: PollingInterval | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._credential = credential
        self._ssl_context = ssl_context
        self._proxy = None if proxy is None else Proxy.from_url(proxy)
        self._clock = clock
        self._polling = FEEDBACK_POLLING if polling is None else polling

    @property
    def credential(self) -> ServiceCredential | EntraCredential:
        """See ``ServiceTransport.credential``."""
        return self._credential

    async def open_sender(self) -> SenderLink:
        """Refuse: see the class."""
        raise UnsupportedOperationError(ServiceOperation.SEND, transport=self.name, supported=self.operations)

    async def open_feedback(self) -> FeedbackLink:
        """See ``ServiceTransport.open_feedback``; sends nothing."""
        return _HttpsFeedbackLink(self._client(), self._polling)

    async def purge(self, device_id: str) -> int:
        """See ``ServiceTransport.purge``."""
        body = await self._ask("DELETE", wire.purge_path(device_id), changes=True, doing="to purge the queue")
        try:
            return wire.decode_purge(body)
        except ValueError as error:
            raise PeerProtocolError(f"the hub's result of the purge cannot be read: {error}") from error

    async def queue_depth(self, device_id: str) -> int:
        """See ``ServiceTransport.queue_depth``."""
        body = await self._ask("GET", wire.registry_path(device_id), changes=False, doing="to read the registry")
        try:
            return wire.decode_registration(body).message_count
        except ValueError as error:
            raise PeerProtocolError(f"what the hub's registry says cannot be read: {error}") from error

    async def _ask(self, method: str, path: str, *, changes: bool, doing: str) -> bytes:
        # A session of its own: a transport has no end at which a shared one could be closed.
        client = self._client()
        try:
            answer = await client.request(method, path, max_bytes=wire.MAX_DOCUMENT_BYTES, changes=changes, doing=doing)
        finally:
            await client.close()
        return answer.body

    def _client(self) -> HttpsClient:
        return _client(self._credential, self._ssl_context, self._proxy, self._clock)


class _HttpsFeedbackLink:
    def __init__(self, client: HttpsClient, interval: PollingInterval) -> None:
        self._queue = LockedQueue(
            client,
            wire.FEEDBACK_PATH,
            what="batch of feedback",
            max_bytes=feedback.MAX_BODY_BYTES,
            read=_feedback_batch,
            interval=interval,
        )

    @property
    def ending(self) -> Ending:
        return self._queue.ending

    async def receive(self) -> FeedbackBatch:
        return await self._queue.receive()

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        await self._queue.settle(_lock_token(batch.tag), settlement)

    async def close(self) -> None:
        await self._queue.close(ClosedError("the feedback stream is closed"))


def _client(
    credential: Credential, ssl_context: ssl.SSLContext | None, proxy: Proxy | None, clock: Clock
) -> HttpsClient:
    # AMQP has this for its purge: whoever never calls it does without aiohttp, which is large.
    from c2dkit.transports._https_client import HttpsClient  # noqa: PLC0415

    return HttpsClient(credential, ssl_context=ssl_context, proxy=proxy, clock=clock)


def _feedback_batch(answer: Answer) -> tuple[FeedbackBatch, str]:
    # That the lock token travels as the entity tag here too is inferred from the device's side.
    lock_token = wire.unquote_etag(answer.headers.get(wire.ETAG, ""))
    return FeedbackBatch(feedback.decode_records(answer.body), lock_token, lock_token), lock_token
