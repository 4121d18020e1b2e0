"""What every AMQP link of the hub has in common, and the links over which devices and back ends send to it.

Sources: IoT Hub developer guide, "AMQP support"; traces of the service; what the official SDKs insist on, each named
where it matters. What is our reading is marked as inferred.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar
from uuid import uuid4

from c2dkit._errors import C2dError
from c2dkit._protocols import amqp
from c2dkit._wire.amqp import decode_message, device_of
from c2dkit._wire.amqp_errors import amqp_from_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from c2dkit.hub._amqp_grants import Grants
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._faults import FaultLink

__all__ = ["EventsLink", "Incoming", "ServedLink", "ServiceBoundLink", "error_of"]

log = logging.getLogger("c2dkit.hub")

LinkT = TypeVar("LinkT", amqp.SenderLink, amqp.ReceiverLink)


def error_of(error: C2dError, *, detached_at: datetime | None = None) -> amqp.AmqpError:
    """Return how AMQP tells of an error, with an id as IoT Hub makes one for every request."""
    error.tracking_id = error.tracking_id or uuid4().hex
    return amqp_from_error(error, detached_at=detached_at)


class ServedLink(ABC, Generic[LinkT]):
    """One attached link.

    Args:
        core: The hub.
        grants: What the connection's tokens allow.
        link: The engine's link, requested by the peer and not yet answered.
        wake: Has what the engine has to say sent; for what does not come out of an event of the connection.
    """

    role: ClassVar[FaultLink]
    rcv_settle_mode: ClassVar[int | None] = None
    max_message_size: ClassVar[int] = 1_048_576

    def __init__(self, core: HubCore, grants: Grants, link: LinkT, wake: Callable[[], None]) -> None:
        self._core = core
        self._grants = grants
        self._wake = wake
        self.link: LinkT = link

    @property
    def device_id(self) -> str | None:
        """Whose link it is; None where it is not one device's."""
        return None

    def accept(self) -> None:
        """Answer the peer's attach.

        Source and target are both there, for uamqp takes the absence of either for a refusal and waits for a detach.
        """
        link = self.link
        link.accept(
            source=link.source if isinstance(link.source, amqp.Source) else amqp.Source(),
            target=link.target if isinstance(link.target, amqp.Target) else amqp.Target(),
            rcv_settle_mode=self.rcv_settle_mode,
            max_message_size=min(link.remote_max_message_size or self.max_message_size, self.max_message_size),
            properties=link.properties,
            initial_delivery_count=0,
        )

    @abstractmethod
    def authorize(self) -> None:
        """Check that the connection's tokens still allow this link; raises UnauthorizedError."""

    def admit(self) -> None:
        """Check that the hub takes one more link of this kind now; raises ThrottledError."""

    def dismiss(self, error: C2dError) -> None:
        """End the link because of an error of IoT Hub."""
        self.detach(error_of(error, detached_at=self._core.clock.now()))

    def detach(self, error: amqp.AmqpError | None) -> None:
        """End the link and tell the peer why."""
        log.info("ended the AMQP link %.200s: %s", self.link.name, error and error.condition)
        self.let_go()
        self.link.detach(error)
        self._wake()

    def let_go(self) -> None:
        """Give up what belongs to the link, which is gone. Idempotent."""


class Incoming(ServedLink[amqp.ReceiverLink]):
    """A link on which the peer sends; its credit is topped up as messages come."""

    credit: ClassVar[int]

    def accept(self) -> None:
        """Answer the peer's attach and let it send."""
        super().accept()
        self.link.flow(self.credit)

    def on_transfer(self, event: amqp.TransferReceived) -> None:
        """Take one message and tell the peer what became of it."""
        outcome = self._outcome(event.payload)
        if not event.settled:
            # uamqp's sender waits for ever for a disposition that is not settled.
            self.link.settle(event.delivery_id, outcome, settled=True)
        if self.link.credit <= self.credit // 2:
            self.link.flow(self.credit)

    def _outcome(self, payload: bytes) -> amqp.Outcome:
        try:
            return self.take(payload)
        except amqp.AmqpProtocolError as error:
            return amqp.Rejected(amqp.AmqpError(error.condition, str(error)))
        except C2dError as error:
            return amqp.Rejected(error_of(error))

    @abstractmethod
    def take(self, payload: bytes) -> amqp.Outcome:
        """Do what the message is for; an error of AMQP or of IoT Hub that this raises is told to the peer."""


class ServiceBoundLink(Incoming):
    """A back end sends messages for devices."""

    role = "servicebound"
    credit = 100

    def authorize(self) -> None:
        """ServiceConnect is needed."""
        self._grants.require_service("messages/devicebound")

    def take(self, payload: bytes) -> amqp.Outcome:
        """Queue the message; accepted means that it is queued."""
        message = decode_message(payload)
        self._core.gate.message(message, device_of(message.to or ""))
        self._core.state.send(message)
        self._core.gate.queued(message)
        return amqp.Accepted()


class EventsLink(Incoming):
    """A device sends telemetry, which SDKs open a link for by themselves; this hub keeps none of it."""

    role = "events"
    credit = 1000

    def __init__(
        self, core: HubCore, grants: Grants, link: amqp.ReceiverLink, wake: Callable[[], None], device_id: str
    ) -> None:
        super().__init__(core, grants, link, wake)
        self._device_id = device_id

    @property
    def device_id(self) -> str:
        """The device."""
        return self._device_id

    def authorize(self) -> None:
        """It must be the device's own."""
        self._grants.require_device(self._device_id)

    def take(self, payload: bytes) -> amqp.Outcome:
        """Drop the message, unless it is refused."""
        self._core.gate.event(self._device_id, amqp.decode_message(payload).application_properties or {})
        return amqp.Accepted()
