"""One AMQP connection of a client: connected, authenticated, with one session for every link."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Final

from c2dkit._driver import Driver
from c2dkit._errors import C2dError, ConnectionLostError, PeerProtocolError, UnauthorizedError
from c2dkit._protocols import amqp
from c2dkit._wire import amqp_errors
from c2dkit.transports._amqp_cbs import CbsNode
from c2dkit.transports._amqp_handler import LinkHandler
from c2dkit.transports._renewal import keep_signed_in
from c2dkit.transports._tokens import token_for
from c2dkit.transports._waiting import answer, fail, link_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from c2dkit._clock import Clock
    from c2dkit._rules.credentials import Credential
    from c2dkit.transports._dialer import Dialer
    from c2dkit.transports._tokens import HubToken

__all__ = ["AmqpClient"]

LINGER_SECONDS: Final = 1.0
"""How long a close waits for the hub's own close."""
IDLE_SECONDS: Final = 45.0
"""How long the peer may be silent before the connection counts as dead; IoT Hub mirrors what a client announces, which
is half of this."""
OUTCOME_SECONDS: Final = 45.0
"""How long the hub may take to say what became of a message or a settlement, or to give credit for a message."""


class AmqpClient:
    """An open AMQP connection; made by ``connect``."""

    def __init__(self, engine: amqp.Connection, *, host: str) -> None:
        self.error: C2dError | None = None
        self.host = host
        self._engine = engine
        self._driver: Driver[amqp.Event] | None = None
        self._cbs: CbsNode | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._links: set[LinkHandler] = set()
        self._begun: asyncio.Future[amqp.Session] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, credential: Credential, dialer: Dialer, clock: Clock) -> AmqpClient:
        """Connect and authenticate, and stay authenticated; errors as ``DeviceTransport.open``.

        Cancellation: safe, nothing stays open.
        """
        token = await token_for(credential, clock.now())
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
                await client._put(token)
                client._session()  # raises where the end came together with the answer: it would not end what begins now
                client._renewing = asyncio.create_task(client._stay_signed_in(credential, token, clock))
        except BaseException:
            await client.close()
            raise
        return client

    async def _put(self, token: HubToken) -> None:
        if self._cbs is not None and self._cbs.over:
            self._cbs.close()
            self._cbs = None
        if self._cbs is None:
            self._cbs = await CbsNode.attach(self)
        await answer(self._cbs.put(token), host=self.host, doing="the token")

    async def _stay_signed_in(self, credential: Credential, token: HubToken, clock: Clock) -> None:
        try:
            await keep_signed_in(credential, token, self._put, clock)
        except C2dError as error:
            self._lost(error)

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
        """End one link, attached or about to be."""
        self._links.discard(handler)
        if self.error is None:
            link.detach()
            self.wake()

    async def outcome(self, waiting: asyncio.Future[object], *, doing: str) -> object:
        """Wait for what the hub says of a delivery; when it says nothing for too long, the connection is dead.

        Cancellation: safe.
        """
        loop = asyncio.get_running_loop()
        patience = loop.call_later(OUTCOME_SECONDS, self._unanswered, doing)
        try:
            return await waiting
        finally:
            patience.cancel()

    def _unanswered(self, doing: str) -> None:
        self._lost(ConnectionLostError(f"{self.host} did not answer {doing} within {OUTCOME_SECONDS:g} s"))

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
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

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
                if link.reported and error is not None:  # by the engine: the peer broke a rule on this link
                    broken = PeerProtocolError(f"{self.host} broke the protocol: {error.description}")
                    _handler(link).lost(broken)
                else:
                    self._detached(_handler(link), _reason(error))
            case amqp.SessionBegun(session=session):
                if not self._begun.done():
                    self._begun.set_result(session)
            case amqp.LinkRequested():
                raise PeerProtocolError(f"{self.host} asked for a link, which only a client does")
            case amqp.SaslFailed():
                self._lost(UnauthorizedError(f"{self.host} refused the credential (SASL code {event.code})"))
            case amqp.SessionEnded(error=error) | amqp.Closed(error=error):
                self._lost(_reason(error))
            case _:
                pass

    def _detached(self, handler: LinkHandler, error: C2dError) -> None:
        if isinstance(error, UnauthorizedError) and handler.attached.done():
            # It was authorized once, so the token has ended by the hub's clock, or the key is another now. All links
            # have the one token. The next connection has a fresh one, and then the hub's word is final.
            lost = ConnectionLostError(f"{self.host} no longer takes the token of this connection: {error}")
            lost.__cause__ = error
            self._lost(lost)
        else:
            handler.lost(error)

    def _lost(self, error: C2dError) -> None:
        self._closed(error)
        if self._driver is not None:
            self._driver.finish()

    def _closed(self, cause: Exception | None) -> None:
        if self.error is not None:
            return
        self.error = link_error(cause, host=self.host)
        if self._renewing is not None:
            self._renewing.cancel()
        fail(self._begun, self.error)
        for handler in tuple(self._links):
            handler.lost(self.error)
        self._links.clear()


def _handler(link: amqp.SenderLink | amqp.ReceiverLink) -> LinkHandler:
    handler = link.context
    assert isinstance(handler, LinkHandler)  # noqa: S101 - no other link than those attached above is let be
    return handler


def _reason(error: amqp.AmqpError | None) -> C2dError:
    if error is None:
        return ConnectionLostError("the hub ended the link without a reason")
    return amqp_errors.error_from_amqp(error, doing="the hub ended the link")
