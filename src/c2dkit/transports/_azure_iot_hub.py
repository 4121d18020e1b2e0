"""The transport ``azure-iot-hub``: a back end on Microsoft's service library."""

from __future__ import annotations

import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from c2dkit._errors import (
    C2dError,
    ClosedError,
    ConnectError,
    InvalidInputError,
    MessageLockLostError,
    PeerProtocolError,
)
from c2dkit._net import open_tls
from c2dkit._rules.credentials import ServiceCredential
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import feedback
from c2dkit._wire import https as wire
from c2dkit.transports._azure_iot_hub_errors import error_from_rest, error_from_send
from c2dkit.transports._azure_iot_hub_manager import ManagerThread
from c2dkit.transports._azure_iot_hub_message import pack
from c2dkit.transports._ending import Ending
from c2dkit.transports._foreign import load
from c2dkit.transports._https import FEEDBACK_POLLING
from c2dkit.transports._https_poller import Poller
from c2dkit.transports._ports import FeedbackBatch, FeedbackLink, SenderLink, ServiceOperation
from c2dkit.transports._uamqp_auth import PORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit._models import Message
    from c2dkit._rules.entra import EntraCredential
    from c2dkit.transports._azure_iot_hub_manager import RegistryManager
    from c2dkit.transports._https_polling import PollingInterval

__all__ = ["AzureIotHubServiceTransport"]

NAME: Final = "azure-iot-hub"
REQUESTS_AT_ONCE: Final = 4
READY_SECONDS: Final = 30.0
GIVE_BACK_SECONDS: Final = 2.0
"""How long the close of a feedback stream may take to give back what is held."""

ResultT = TypeVar("ResultT")


class AzureIotHubServiceTransport:
    """A back end through the ``IoTHubRegistryManager`` of azure-iot-hub: AMQP to send, HTTPS for the rest.

    For whoever must use that library; the transport ``amqp`` does the same without it. It needs uamqp, which has no
    wheel for Python 3.14 and later.

    That library blocks, so its calls are made in threads: one for each sender and each feedback stream, and at most four
    for ``purge`` and ``queue_depth``. So the sends of one sender are made one after another, not pipelined. A call
    cannot be interrupted: cancelling a send stops the waiting for it, the message may be sent all the same, and the next
    send of that sender waits for its end. That library sets a send no limit of time.

    It answers every refusal of a message alike and drops the hub's reason: an unknown device, a full queue and a
    message that is too large are all a ServiceError without ``hub_code``. It tries three times where it takes a refusal
    for transient. It cannot send a user id, nor application properties whose names it takes for system properties.
    ``send`` refuses both with InvalidMessageError.

    Feedback is polled as by the transport ``https``, with complete and abandon. ``queue_depth`` needs the right
    RegistryRead, the rest ServiceConnect.

    It dials the standard ports 5671 and 443 and trusts what certifi names (HTTPS: ``REQUESTS_CA_BUNDLE``, if set).

    Args:
        credential: Who the back end is: a policy's key, or Entra ID.
        ssl_context: Not supported; must be None.
        proxy: Not supported; must be None.
        polling: How long to wait after a poll for feedback that brought none; by default from 1 to 15 s.

    Raises:
        TransportUnavailableError: azure-iot-hub or uamqp is not installed, or there is none for this Python.
        InvalidInputError: There is something that the library has no way to honour.
    """

    name: str = NAME
    operations: frozenset[ServiceOperation] = frozenset(ServiceOperation)

    def __init__(
        self,
        credential: ServiceCredential | EntraCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        polling: PollingInterval = FEEDBACK_POLLING,
    ) -> None:
        load("uamqp", transport=NAME, extra="azure")
        load("azure.iot.hub", transport=NAME, extra="azure")
        _check(credential, ssl_context, proxy)
        self._credential = credential
        self._polling = polling
        self._requests = anyio.CapacityLimiter(REQUESTS_AT_ONCE)

    @property
    def credential(self) -> ServiceCredential | EntraCredential:
        """See ``ServiceTransport.credential``."""
        return self._credential

    async def open_sender(self) -> SenderLink:
        """See ``ServiceTransport.open_sender``."""
        # uamqp does not say why it cannot connect, so that is found out with a connection of our own first.
        trusted = ssl.create_default_context(cafile=load("certifi", transport=NAME, extra="azure").where())
        host, _ = self._credential.dial
        try:
            await anyio.aclose_forcefully(await open_tls(host, PORT, ssl_context=trusted))
        except ConnectError as error:
            if not isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise
            raise ConnectError(
                f"the certificate of {host}:{PORT} is not trusted ({error.__cause__.verify_message}). azure-iot-hub trusts "
                "the file that certifi.where() names: have that name a copy with the hub's certificate authority added",
                transient=False,
            ) from error.__cause__
        link = _SenderLink(ManagerThread(self._credential))
        try:
            await link.start()
        except BaseException:
            await link.close()
            raise
        return link

    async def open_feedback(self) -> FeedbackLink:
        """See ``ServiceTransport.open_feedback``; sends nothing."""
        return _FeedbackLink(ManagerThread(self._credential), self._polling)

    async def purge(self, device_id: str) -> int:
        """See ``ServiceTransport.purge``."""
        result = await self._ask(
            lambda manager: manager.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue(device_id),
            doing="the hub did not purge the queue",
            changes=True,
        )
        return _number(result.total_messages_purged)

    async def queue_depth(self, device_id: str) -> int:
        """See ``ServiceTransport.queue_depth``."""
        device = await self._ask(
            lambda manager: manager.get_device(device_id), doing="the hub did not read the registry", changes=False
        )
        return _number(device.cloud_to_device_message_count)

    async def _ask(self, function: Callable[[RegistryManager], ResultT], *, doing: str, changes: bool) -> ResultT:
        async with self._requests:
            thread = ManagerThread(self._credential)
            try:
                return await _rest(thread, function, doing=doing, changes=changes)
            finally:
                thread.stop()


class _SenderLink:
    def __init__(self, thread: ManagerThread) -> None:
        self._thread = thread
        self.ending = Ending()

    async def start(self) -> None:
        try:
            await self._thread.call(_connect)
        except Exception as error:
            raise error_from_send(error) from error

    async def send(self, message: Message) -> None:
        self.ending.check()
        parcel = pack(message)
        try:
            await self._thread.call(lambda manager: manager.send_c2d_message(*parcel))
        except Exception as error:
            failed = error_from_send(error)
            if type(error) is not Exception:
                # What ended the connection leaves the message in that library's queue: the next send would repeat it.
                self.ending.come(failed)
            raise failed from error

    async def close(self) -> None:
        self.ending.come(ClosedError("the sender is closed"))
        self._thread.stop()


def _connect(manager: RegistryManager) -> None:
    client = manager.amqp_svc_client.amqp_client
    client.open()
    deadline = time.monotonic() + READY_SECONDS
    while not client.client_ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the hub did not answer")
        time.sleep(0.005)


class _FeedbackLink:
    def __init__(self, thread: ManagerThread, interval: PollingInterval) -> None:
        self._thread = thread
        self._poller: Poller[FeedbackBatch] = Poller(self._poll, interval)
        self._held: set[str] = set()
        self._closed = False

    @property
    def ending(self) -> Ending:
        return self._poller.ending

    async def receive(self) -> FeedbackBatch:
        return await self._poller.receive()

    async def _poll(self) -> FeedbackBatch | None:
        raw = await _rest(
            self._thread,
            lambda manager: manager.protocol.cloud_to_device_messages.receive_feedback_notification(raw=True),
            doing="the hub did not give feedback",
            changes=False,
        )
        response = raw.response
        if response.status_code == 204:
            return None
        try:
            lock_token = wire.unquote_etag(response.headers.get(wire.ETAG, ""))
            records = feedback.decode_records(response.content)
        except (ValueError, C2dError) as error:
            raise PeerProtocolError(f"the hub sent feedback that cannot be read: {error}") from error
        self._held.add(lock_token)
        return FeedbackBatch(records, lock_token, lock_token)

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        if self._closed:
            raise MessageLockLostError("the batch was given back at the close; the hub delivers it again")
        self._held.discard(batch.lock_token)
        await self._settle(batch.lock_token, settlement)

    async def _settle(self, lock_token: str, settlement: Settlement) -> None:
        await _rest(
            self._thread,
            partial(_SETTLE[settlement], lock_token),
            doing=f"the hub did not {settlement.value} the feedback",
            changes=True,
        )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            with anyio.move_on_after(GIVE_BACK_SECONDS, shield=True):
                await self._poller.close(ClosedError("the feedback stream is closed"))
                await self._give_back()
        finally:
            self._thread.stop()

    async def _give_back(self) -> None:
        for lock_token in self._held:
            try:
                await self._settle(lock_token, Settlement.ABANDON)
            except C2dError:
                return  # the locks run out by themselves


def _complete(lock_token: str, manager: RegistryManager) -> None:
    manager.protocol.cloud_to_device_messages.complete_feedback_notification(lock_token)


def _abandon(lock_token: str, manager: RegistryManager) -> None:
    manager.protocol.cloud_to_device_messages.abandon_feedback_notification(lock_token)


_SETTLE: Final = {Settlement.COMPLETE: _complete, Settlement.ABANDON: _abandon}


async def _rest(
    thread: ManagerThread, function: Callable[[RegistryManager], ResultT], *, doing: str, changes: bool
) -> ResultT:
    try:
        return await thread.call(function)
    except Exception as error:
        raise error_from_rest(error, doing=doing, changes=changes) from error


def _number(value: int | None) -> int:
    if value is None:
        raise PeerProtocolError("the hub's answer lacks the number that was asked for")
    return value


def _check(
    credential: ServiceCredential | EntraCredential, ssl_context: ssl.SSLContext | None, proxy: str | None
) -> None:
    if ssl_context is not None:
        raise InvalidInputError("azure-iot-hub takes no ssl_context: it trusts what certifi.where() names")
    if proxy is not None:
        raise InvalidInputError("the transport azure-iot-hub cannot go through a proxy; amqp-ws can")
    if credential.port is not None:
        raise InvalidInputError("azure-iot-hub dials the ports 5671 and 443 only; leave the port out of HostName")
    if isinstance(credential, ServiceCredential) and credential.shared_access_key is None:
        raise InvalidInputError("azure-iot-hub makes its own signatures; it needs the policy's SharedAccessKey")
