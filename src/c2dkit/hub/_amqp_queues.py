"""The AMQP links over which the hub sends what it has queued: messages to a device, feedback to a back end.

Every delivery is sent unsettled under a tag of exactly 16 bytes, its lock token, of which the .NET SDK makes a GUID.
The peer settles it at once (Node, C), or tells the outcome and waits for the hub to settle it (.NET, receiver settle
mode second). Whatever was asked for at attach, IoT Hub answers with second.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from c2dkit._errors import C2dError, ConnectionLostError, DeviceNotFoundError, ThrottledError
from c2dkit._protocols import amqp
from c2dkit._rules.settlement import Settlement
from c2dkit._wire.amqp import OUTCOME_OF, encode_feedback, encode_message, settlement_of
from c2dkit.hub._amqp_links import ServedLink, error_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from c2dkit.hub._amqp_grants import Grants
    from c2dkit.hub._core import HubCore

__all__ = ["DeviceBoundLink", "FeedbackLink", "Outgoing"]

log = logging.getLogger("c2dkit.hub")

MAX_UNSETTLED: Final = 100
"""Deliveries of one link that may be unsettled, twice what a device's queue holds: those with locks that have ended are
among them, so a peer that does not read, or never settles, would be sent the same messages over and over."""


class Outgoing(ServedLink[amqp.SenderLink]):
    """A link on which the hub sends, as credit allows."""

    @abstractmethod
    def pull(self) -> None:
        """Send what there is, as far as the credit reaches."""

    def on_flow(self) -> None:
        """Use the credit; what is left of it when the peer drains the link is given up."""
        self.pull()
        if self.link.drain_requested:
            self.link.drained()

    @abstractmethod
    def on_update(self, event: amqp.DeliveryUpdated) -> None:
        """Take what the peer says of a delivery."""


class Parcel(NamedTuple):
    """A locked item of a queue, as it travels."""

    lock_token: UUID
    payload: bytes


class QueueLink(Outgoing):
    """Sends the items of one queue and settles them there as the peer says."""

    rcv_settle_mode = amqp.SECOND

    def __init__(self, core: HubCore, grants: Grants, link: amqp.SenderLink, wake: Callable[[], None]) -> None:
        super().__init__(core, grants, link, wake)
        self._locks: dict[int, UUID] = {}

    def pull(self) -> None:
        """Lock and send items while there are some, the credit reaches, and the peer settles what it gets."""
        try:
            while self.link.attached and self._room() and (parcel := self.take()):
                self._send(parcel)
        except DeviceNotFoundError as error:  # disabled or removed while attached
            self.dismiss(error)
        self._core.changed()
        self._wake()

    def on_update(self, event: amqp.DeliveryUpdated) -> None:
        """Settle the item and, unless the peer has settled the delivery, settle that as well.

        A delivery that the peer settles without an outcome goes back to the queue (inferred).
        """
        settlement = settlement_of(event.state)
        if settlement is None and not event.settled:
            return
        lock_token = self._locks.pop(event.delivery_id, None)
        if lock_token is None:
            return
        outcome = self._settle(lock_token, settlement or Settlement.ABANDON)
        if not event.settled:
            self.link.settle(event.delivery_id, outcome)
        if len(self._locks) == MAX_UNSETTLED - 1:
            self.pull()

    def let_go(self) -> None:
        """Give back at once what the peer holds (inferred)."""
        self._locks.clear()
        self._core.state.release_holder(self)
        self._core.changed()

    def _room(self) -> bool:
        return self.link.credit > 0 and len(self._locks) < MAX_UNSETTLED

    def _send(self, parcel: Parcel) -> None:
        limit = self.link.remote_max_message_size
        if limit is not None and len(parcel.payload) > limit:
            log.warning("rejected a message that is larger than the peer of %.200s takes", self.link.name)
            self._settle(parcel.lock_token, Settlement.REJECT)  # inferred: it could never be delivered here
            return
        tag = parcel.lock_token.bytes_le  # the byte order of a .NET GUID
        self._locks[self.link.send(parcel.payload, tag=tag)] = parcel.lock_token

    def _settle(self, lock_token: UUID, settlement: Settlement) -> amqp.Outcome:
        try:
            self.settle(lock_token, settlement)
        except C2dError as error:
            log.info("could not %s a message: %s", settlement.value, error)
            return amqp.Rejected(error_of(error))
        return OUTCOME_OF[settlement]

    @abstractmethod
    def take(self) -> Parcel | None:
        """Lock the queue's next item, if there is one."""

    @abstractmethod
    def settle(self, lock_token: UUID, settlement: Settlement) -> None:
        """Settle an item."""


class DeviceBoundLink(QueueLink):
    """Sends a device its messages."""

    role = "devicebound"
    max_message_size = 65536
    protocol: ClassVar[str] = "AMQP"

    def __init__(
        self, core: HubCore, grants: Grants, link: amqp.SenderLink, wake: Callable[[], None], device_id: str
    ) -> None:
        super().__init__(core, grants, link, wake)
        self._device_id = device_id

    @property
    def device_id(self) -> str:
        """The device."""
        return self._device_id

    def authorize(self) -> None:
        """It must be the device's own, and the device must be there and enabled."""
        self._grants.require_device(self._device_id)

    def admit(self) -> None:
        """The device connects, as far as IoT Hub's throttles are concerned."""
        try:
            self._core.gate.connect(self._device_id)
        except ThrottledError as error:
            error.hub_code = 503008  # ReceiveLinkOpensThrottled
            raise

    def accept(self) -> None:
        """Answer the peer's attach; the device's receiver before, whatever its protocol, makes way."""
        self._core.receivers.claim(self._device_id, self)
        super().accept()
        log.info("%s receives over AMQP", self._device_id)

    def displace(self) -> None:
        """Make way for a newer receiver: 409002 LinkCreationConflict (the condition is inferred)."""
        text = f"another client has opened a receive link for device {self._device_id!r}"
        self.dismiss(ConnectionLostError(text, hub_code=409002))

    def let_go(self) -> None:
        """Receive no more and give back what the device holds."""
        self._core.receivers.release(self._device_id, self)
        super().let_go()

    def take(self) -> Parcel | None:
        """Lock the next message."""
        locked = self._core.state.receive(self._device_id, holder=self)
        return None if locked is None else Parcel(locked.lock_token, encode_message(locked.message))

    def settle(self, lock_token: UUID, settlement: Settlement) -> None:
        """Complete, abandon or reject a message."""
        state = self._core.state
        {
            Settlement.COMPLETE: self._core.complete,
            Settlement.ABANDON: state.abandon,
            Settlement.REJECT: state.reject,
        }[settlement](self._device_id, lock_token)


class FeedbackLink(QueueLink):
    """Sends a back end batches of feedback."""

    role = "feedback"

    def authorize(self) -> None:
        """ServiceConnect is needed."""
        self._grants.require_service("messages/serviceBound/feedback")

    def accept(self) -> None:
        """Answer the peer's attach and share the queue."""
        super().accept()
        self._core.receivers.add_feedback(self)

    def on_flow(self) -> None:
        """Wait for its turn; a peer that drains the link does not wait."""
        if self.link.drain_requested:
            super().on_flow()
        else:
            self._core.receivers.ready(None)

    def let_go(self) -> None:
        """Receive no more and give back what the peer holds."""
        self._core.receivers.remove_feedback(self)
        super().let_go()

    def take(self) -> Parcel | None:
        """Lock the next batch."""
        locked = self._core.state.receive_feedback(self)
        if locked is None:
            return None
        self._core.receivers.served_feedback(self)
        payload = encode_feedback(
            locked.records,
            hub_name=self._core.host_name.partition(".")[0],
            enqueued_at=locked.enqueued_at,
            omit_success_status=self._core.options.omit_success_status,
        )
        return Parcel(locked.lock_token, payload)

    def settle(self, lock_token: UUID, settlement: Settlement) -> None:
        """Complete a batch, or give it back; a rejected one is given back too (inferred: there is no third way)."""
        if settlement is Settlement.COMPLETE:
            self._core.state.complete_feedback(lock_token)
        else:
            self._core.state.abandon_feedback(lock_token)
