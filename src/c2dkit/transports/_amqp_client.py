"""One AMQP connection of a client: connected, authenticated, with one session for every link."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from c2dkit._driver import Driver
from c2dkit._errors import C2dError, ConnectionLostError, UnauthorizedError
from c2dkit._protocols import amqp
from c2dkit._wire import amqp_errors
from c2dkit.transports._amqp_cbs import CbsNode
from c2dkit.transports._amqp_handler import LinkHandler
from c2dkit.transports._tokens import token_for
from c2dkit.transports._waiting import answer, fail, link_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from c2dkit._rules.credentials import Credential
    from c2dkit.transports._dialer import Dialer
    from c2dkit.transports._tokens import HubToken

__all__ = ["AmqpClient"]

LINGER_SECONDS: Final = 1.0
"""How long a close waits for the hub's own close."""
IDLE_SECONDS: Final = 60.0
"""How long the peer may be silent before the connection counts as dead; IoT Hub mirrors a client's value."""


class AmqpClient:
    """An open AMQP connection; made by ``connect``."""

    def __init__(self, engine: amqp.Connection, *, host: str) -> None:
        self.error: C2dError | None = None
        self.host = host
        self._engine = engine
        self._driver: Driver[amqp.Event] | None = None
        self._links: set[LinkHandler] = set()
        self._begun: asyncio.Future[amqp.Session] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, credential: Credential, dialer: Dialer) -> AmqpClient:
        """Connect and authenticate; errors as ``DeviceTransport.open``.

        Cancellation: safe, nothing stays open.
        """
        token = await token_for(credential, datetime.now(UTC))
        stream = await dialer.open(credential)
        engine = amqp.Connection(
            container_id=f"c2dkit-{uuid.uuid4().hex}",
            hostname=credential.host_name,
            idle_timeout=IDLE_SECONDS,
            # A certificate in the TLS handshake is the identity (EXTERNAL); a token is put after an opening that
            # gives none (MSSBCBS). IoT Hub developer guide, "AMQP support".
            sasl=amqp.external() if token is None else amqp.mssbcbs(),
        )
        client = cls(engine, host=dialer.peer(credential))
        client._driver = Driver(stream, engine, handle=client._handle, on_closed=client._closed)
        engine.open()
        session = engine.begin()
        session.context = client
        client._driver.start()
        try:
            await answer(client._begun, host=client.host, doing="the opening of the connection")
            if token is not None:
                await client._authenticate(token)
        except BaseException:
            await client.close()
            raise
        return client

    async def _authenticate(self, token: HubToken) -> None:
        node = await CbsNode.attach(self)
        await answer(node.put(token), host=self.host, doing="the token")

    def attach_receiver(self, handler: LinkHandler, *, source: str) -> amqp.ReceiverLink:
        """Ask for a link that receives from ``source``; ``attached`` waits for the hub's word."""
        link = self._session().attach_receiver(
            f"c2dkit-{uuid.uuid4().hex}",
            source=amqp.Source(address=source),
            target=amqp.Target(address=source),
            # second: the hub confirms each settlement, so a lost lock is an error and not a surprise.
            rcv_settle_mode=amqp.SECOND,
        )
        self._begin(link, handler)
        return link

    def attach_sender(self, handler: LinkHandler, *, target: str) -> amqp.SenderLink:
        """Ask for a link that sends to ``target``; ``attached`` waits for the hub's word."""
        link = self._session().attach_sender(
            f"c2dkit-{uuid.uuid4().hex}",
            source=amqp.Source(address=target),
            target=amqp.Target(address=target),
            max_message_size=amqp.MAX_MESSAGE_SIZE,
        )
        self._begin(link, handler)
        return link

    def _session(self) -> amqp.Session:
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self._begun.result()

    def _begin(self, link: amqp.SenderLink | amqp.ReceiverLink, handler: LinkHandler) -> None:
        link.context = handler
        self._links.add(handler)
        self.wake()

    async def attached(self, link: amqp.SenderLink | amqp.ReceiverLink, handler: LinkHandler) -> None:
        """Wait for the hub's word on a link; errors as ``DeviceTransport.open``."""
        try:
            await answer(handler.attached, host=self.host, doing=f"the attach of {link.name}")
        except BaseException:
            self.detach(link, handler)
            raise

    def detach(self, link: amqp.SenderLink | amqp.ReceiverLink, handler: LinkHandler) -> None:
        """End one link."""
        self._links.discard(handler)
        if self.error is None and link.attached:
            link.detach()
            self.wake()

    def wake(self) -> None:
        """Have what was queued written at the end of this turn of the loop."""
        if self._driver is not None:
            self._driver.wake()

    async def close(self) -> None:
        """Close the connection in order, or after a second without an answer. Idempotent."""
        if self.error is None and not self._engine.closed:
            self._engine.close()
        if self._driver is not None:
            await self._driver.aclose(linger=LINGER_SECONDS)

    def _handle(self, events: Sequence[amqp.Event]) -> None:
        for event in events:
            match event:
                case amqp.TransferReceived(link=link):
                    _handler(link).on_transfer(event)
                case amqp.DeliveryUpdated(link=link):
                    _handler(link).on_update(event)
                case amqp.LinkFlowed(link=link):
                    _handler(link).on_flow()
                case _:
                    self._handle_rare(event)

    def _handle_rare(self, event: amqp.Event) -> None:
        match event:
            case amqp.LinkAttached(link=link):
                attached = _handler(link).attached
                # A refused attach is answered with a null source or target, and the reason follows in a detach
                # (AMQP 1.0 part 2, 2.6.3).
                if not attached.done() and link.source is not None and link.target is not None:
                    attached.set_result(None)
            case amqp.LinkDetached(link=link, error=error):
                _handler(link).lost(_detached(error))
            case amqp.SessionBegun(session=session):
                if not self._begun.done():
                    self._begun.set_result(session)
            case amqp.SaslFailed():
                self._lost(UnauthorizedError(f"{self.host} refused the credential (SASL code {event.code})"))
            case amqp.SessionEnded(error=error) | amqp.Closed(error=error):
                self._lost(_detached(error))
            case _:
                pass

    def _lost(self, error: C2dError) -> None:
        self._closed(error)
        if self._driver is not None:
            self._driver.finish()

    def _closed(self, cause: Exception | None) -> None:
        if self.error is not None:
            return
        self.error = link_error(cause, host=self.host)
        fail(self._begun, self.error)
        for handler in tuple(self._links):
            handler.lost(self.error)
        self._links.clear()


def _handler(link: amqp.SenderLink | amqp.ReceiverLink) -> LinkHandler:
    handler = link.context
    assert isinstance(handler, LinkHandler)  # noqa: S101 - every link of this connection is attached above
    return handler


def _detached(error: amqp.AmqpError | None) -> C2dError:
    if error is None:
        return ConnectionLostError("the hub ended the link without a reason")
    return amqp_errors.error_from_amqp(error, doing="the hub ended the link")
