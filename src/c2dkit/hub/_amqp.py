"""The hub's AMQP 1.0 door: devices, many on one connection if they like, and back ends.

Sources: IoT Hub developer guide, "AMQP support" and "Control access to IoT Hub with shared access signatures"; traces
of the service.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar, Final
from uuid import uuid4

from c2dkit._driver import Driver
from c2dkit._errors import C2dError, ServiceError, UnauthorizedError
from c2dkit._protocols import amqp
from c2dkit._wire.amqp import Cbs, DeviceBound, DeviceEvents, Feedback, ServiceBound, parse_address
from c2dkit.hub._amqp_cbs import CbsAnswers, CbsRequests
from c2dkit.hub._amqp_grants import Grants
from c2dkit.hub._amqp_links import EventsLink, Incoming, ServiceBoundLink, error_of
from c2dkit.hub._amqp_queues import DeviceBoundLink, FeedbackLink, Outgoing
from c2dkit.hub._certificates import peer_certificate
from c2dkit.hub._fault_stream import wire_of
from c2dkit.hub._guests import CLOSED_BY_CLIENT, DROPPED_BY_HUB, Guests, lost
from c2dkit.hub._peer import peer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from anyio.abc import ByteStream

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._faults import FaultLink
    from c2dkit.hub._listener import Visit
    from c2dkit.hub._timers import Timer

__all__ = ["AmqpDoor", "AmqpVisit"]

log = logging.getLogger("c2dkit.hub")

# IoT Hub's list, in its order. MSSBCBS and ANONYMOUS say nothing of who the client is: a token has to follow.
MECHANISMS: Final = ("EXTERNAL", "MSSBCBS", "ANONYMOUS", "PLAIN")
WITHOUT_IDENTITY: Final = ("MSSBCBS", "ANONYMOUS")
WELCOME: Final = b"Welcome!"

IDLE_SECONDS: Final = 240.0
"""The silence after which a client is given up. It is told half of that, which is what IoT Hub tells."""

CHANNEL_MAX: Final = 1023
"""The .NET SDK has a session for each device, and up to 995 devices on a connection."""

ANONYMOUS_SECONDS: Final = 60.0
"""How long a connection may be open without a valid token (inferred: IoT Hub documents no limit)."""


CBS_ROLES: Final = ("cbs-requests", "cbs-answers")

LINGER_SECONDS: Final = 1.0
"""How long a client that was refused may take to close the connection."""


class AmqpDoor:
    """Lets devices and back ends in over AMQP."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def __call__(self, stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None]) -> Visit:
        """Serve one connection."""
        return AmqpVisit(self._core, stream, initial, on_closed)


class AmqpVisit:
    """One connection."""

    protocol: ClassVar[str] = "AMQP"

    def __init__(self, core: HubCore, stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None]) -> None:
        self._core = core
        self._on_closed = on_closed
        self.wire = wire_of(stream)
        self.peer = peer_of(stream, self.protocol)
        self._guests = Guests(core.events, self.peer)
        self._grants = Grants(core, peer_certificate(stream), self.reauthorize, guests=self._guests)
        self._links: dict[Incoming | Outgoing, None] = {}
        self._over = False
        self._engine = amqp.Connection(
            container_id=f"DeviceGateway_{uuid4().hex}",
            server=True,
            idle_timeout=IDLE_SECONDS,
            channel_max=CHANNEL_MAX,
            sasl=amqp.SaslServer(MECHANISMS),
        )
        self._driver = Driver(stream, self._engine, handle=self._handle, on_closed=self._closed, clock=core.patience)
        self._lingering: asyncio.Task[None] | None = None
        self._anonymous: Timer[float] | None = None
        self._bear_anonymous()
        core.connections.add(self)
        self._driver.start(initial)

    @property
    def is_known(self) -> bool:
        """Whether a token or the certificate has been found good."""
        return bool(self._grants)

    @property
    def device_ids(self) -> Collection[str]:
        """The devices that have put a token of their own, or have a link."""
        links = {served.device_id for served in self._links if served.device_id is not None}
        return {*self._grants.device_ids, *links}

    @property
    def clients(self) -> Collection[str]:
        """The devices, and the policies whose tokens were put."""
        return {*self.device_ids, *self._grants.policies}

    def drop(self) -> None:
        """End the connection without a CLOSE."""
        self._end(DROPPED_BY_HUB)

    def reauthorize(self) -> None:
        """Detach the links that the tokens and the certificate no longer allow."""
        for served in tuple(self._links):
            try:
                served.authorize()
            except UnauthorizedError as error:
                self._links.pop(served)
                self._guests.refused(str(error))
                served.dismiss(error)
        self._bear_anonymous()

    def close(self, error: amqp.AmqpError | None, /) -> None:
        """End the connection with a CLOSE."""
        if not self._over:
            self._engine.close(error)
            self._let_go(DROPPED_BY_HUB)
            self._linger()

    def detach_links(self, error: amqp.AmqpError | None, /, *, link: FaultLink | None, device_id: str | None) -> bool:
        """End links."""
        found = [
            served
            for served in self._served(device_id)
            if served.role == link or (link is None and served.role not in CBS_ROLES)
        ]
        for served in found:
            self._links.pop(served, None)
            served.detach(error)
        return bool(found)

    def end_sessions(self, error: amqp.AmqpError | None, /, *, device_id: str | None) -> bool:
        """End sessions, with all their links."""
        sessions = {served.link.session for served in self._served(device_id)}
        for served in [served for served in self._links if served.link.session in sessions]:
            self._links.pop(served)
            served.let_go()
        for session in sessions:
            session.end(error)
        self._driver.wake()
        return bool(sessions)

    async def aclose(self) -> None:
        """End the connection without a CLOSE and wait until it is over."""
        self._end(DROPPED_BY_HUB)
        await self._driver.aclose()

    def _served(self, device_id: str | None) -> list[Incoming | Outgoing]:
        return [served for served in self._links if device_id is None or served.device_id in (None, device_id)]

    def _handle(self, events: Sequence[amqp.Event]) -> None:
        for event in events:
            if self._over:
                return
            match event:
                case amqp.TransferReceived(link=link):
                    if isinstance(link.context, Incoming):
                        link.context.on_transfer(event)
                case amqp.DeliveryUpdated(link=link):
                    if isinstance(link.context, Outgoing):
                        link.context.on_update(event)
                case amqp.LinkFlowed(link=link):
                    if isinstance(link.context, Outgoing):
                        link.context.on_flow()
                case _:
                    self._handle_rare(event)
        self._core.changed()

    def _handle_rare(self, event: amqp.Event) -> None:
        match event:
            case amqp.SaslInitReceived():
                self._on_sasl(event)
            case amqp.Opened():
                self._engine.open()
            case amqp.LinkRequested(link=link):
                self._on_link(link)
            case amqp.LinkDetached(link=link):
                self._on_detached(link)
            case amqp.Closed():
                self._end(CLOSED_BY_CLIENT)
            case _:
                pass  # sessions begin and end by themselves

    def _on_sasl(self, event: amqp.SaslInitReceived) -> None:
        try:
            self._authenticate(event)
        except (C2dError, ValueError) as error:
            log.info("refused an AMQP connection by SASL %.20s: %s", event.mechanism, error)
            self._engine.sasl_outcome(amqp.SASL_AUTH)
            self._refuse(str(error))
        else:
            self._handle(self._engine.sasl_outcome(amqp.SASL_OK, WELCOME))

    def _authenticate(self, event: amqp.SaslInitReceived) -> None:
        if event.mechanism in WITHOUT_IDENTITY:
            return
        if event.mechanism == "EXTERNAL":
            if self._grants.certificate is None:
                raise UnauthorizedError("EXTERNAL needs a client certificate in the TLS handshake")
            return
        _, username, password = (event.initial_response or b"").decode().split("\0")
        self._grants.put(self._core.auth.plain(username, password))

    def _on_link(self, link: amqp.SenderLink | amqp.ReceiverLink) -> None:
        served = self._serve(link)
        if served is None:
            self._refuse_link(link, _not_found())
            return
        try:
            served.authorize()
            served.admit()
        except ServiceError as error:
            self._guests.refused(str(error))
            self._refuse_link(link, error)
            return
        if served.device_id is not None and self._core.faults.refuses(served.device_id):
            self._end(DROPPED_BY_HUB)
            return
        link.context = served
        self._links[served] = None
        if isinstance(served, DeviceBoundLink):  # a certificate says who somebody is only now
            self._guests.signed_in(served.device_id)
        served.accept()
        if served.role not in CBS_ROLES:
            self._core.faults.came(self)

    def _refuse_link(self, link: amqp.SenderLink | amqp.ReceiverLink, error: ServiceError) -> None:
        log.info("refused an AMQP link: %s", error)
        link.refuse(error_of(error, detached_at=self._core.clock.now()))

    def _serve(self, link: amqp.SenderLink | amqp.ReceiverLink) -> Incoming | Outgoing | None:
        if isinstance(link, amqp.SenderLink):
            return self._serve_source(link)
        return self._serve_target(link)

    def _serve_source(self, link: amqp.SenderLink) -> Outgoing | None:
        # What the peer receives comes from a source.
        match _address(link.source):
            case DeviceBound(device_id):
                return DeviceBoundLink(self._core, self._grants, link, self._driver.wake, device_id)
            case Feedback():
                return FeedbackLink(self._core, self._grants, link, self._driver.wake)
            case Cbs():
                return CbsAnswers(self._core, self._grants, link, self._driver.wake)
            case _:
                return None

    def _serve_target(self, link: amqp.ReceiverLink) -> Incoming | None:
        # What the peer sends goes to a target.
        match _address(link.target):
            case ServiceBound():
                return ServiceBoundLink(self._core, self._grants, link, self._driver.wake)
            case DeviceEvents(device_id):
                return EventsLink(self._core, self._grants, link, self._driver.wake, device_id)
            case Cbs():
                return CbsRequests(self._core, self._grants, link, self._driver.wake, self._answers)
            case _:
                return None

    def _answers(self, session: amqp.Session) -> CbsAnswers | None:
        """Return where to answer a request that came in a session: .NET has a session of its own for that."""
        found = [served for served in self._links if isinstance(served, CbsAnswers)]
        same = [served for served in found if served.link.session is session]
        return next(reversed(same or found), None)

    def _on_detached(self, link: amqp.SenderLink | amqp.ReceiverLink) -> None:
        served = link.context
        if isinstance(served, Incoming | Outgoing):
            self._links.pop(served, None)
            served.let_go()

    def _bear_anonymous(self) -> None:
        if self._anonymous is None and not self._over:
            self._anonymous = self._core.patience.call_later(ANONYMOUS_SECONDS, self._end_anonymous)

    def _end_anonymous(self) -> None:
        self._anonymous = None
        if not self._grants:
            log.info("closed an AMQP connection that has had no valid token for %g s", ANONYMOUS_SECONDS)
            error = UnauthorizedError("no token was put on this connection")
            self._engine.close(error_of(error))
            self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        self._guests.refused(reason)
        self._let_go(reason)
        self._linger()

    def _linger(self) -> None:
        # Not dropped at once: what the client has sent in the meantime would cost it the answer.
        self._lingering = asyncio.create_task(self._driver.aclose(linger=LINGER_SECONDS))

    def _end(self, reason: str) -> None:
        self._let_go(reason)
        self._driver.finish()

    def _let_go(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._guests.over(reason)
        for served in tuple(self._links):
            served.let_go()
        self._links.clear()
        self._grants.close()
        if self._anonymous is not None:
            self._anonymous.cancel()

    def _closed(self, cause: Exception | None) -> None:
        log.debug("an AMQP connection is over: %r", cause)
        self._core.connections.remove(self)
        self._end(lost(cause))
        self._on_closed(self)


def _address(terminus: object) -> object:
    if isinstance(terminus, amqp.Source | amqp.Target) and terminus.address is not None:
        return parse_address(terminus.address)
    return None


def _not_found() -> ServiceError:
    """Return what IoT Hub says of an address that it does not have."""
    return ServiceError("the link address does not match any of the expected formats", hub_code=404006)
