"""A message in the hands of a device's application, and its settlement."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from c2dkit._errors import AlreadySettledError, MessageLockLostError, UnsupportedSettlementError
from c2dkit._rules.limits import LOCK_DURATION
from c2dkit._rules.settlement import Settlement, SettlementEvent, SettlementState, event_of, next_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from c2dkit._models import Ack
    from c2dkit._payloads import PayloadDecoder
    from c2dkit.transports._ports import Delivery, DeviceLink, DeviceTransport

__all__ = ["ReceivedMessage"]

PayloadT_co = TypeVar("PayloadT_co", covariant=True)


class ReceivedMessage(Generic[PayloadT_co]):
    """A cloud-to-device message that the hub holds locked until the application settles it.

    Say once what became of it: ``complete``, ``abandon`` or ``reject``. A message that nobody settles is delivered
    again. On AMQP and HTTPS the lock ends after 60 s (IoT Hub developer guide, "Send cloud-to-device messages"); on
    MQTT it lasts as long as the connection.
    """

    __slots__ = ("_decoder", "_delivery", "_link", "_payload", "_settlement", "_state", "_transport")

    def __init__(
        self,
        delivery: Delivery,
        link: DeviceLink,
        transport: DeviceTransport,
        decoder: PayloadDecoder[PayloadT_co],
    ) -> None:
        self._delivery = delivery
        self._link = link
        self._transport = transport
        self._decoder = decoder
        self._state = SettlementState.HELD
        self._settlement: Settlement | None = None

    @property
    def payload(self) -> PayloadT_co:
        """The body as ``payload_type`` says, parsed at the first access.

        Raises:
            PayloadError: The body is something else; the message can still be settled.
        """
        try:
            return self._payload
        except AttributeError:
            message = self._delivery.message
            self._payload: PayloadT_co = self._decoder.decode(
                message.body, message.content_type, message.content_encoding
            )
            return self._payload

    @property
    def body(self) -> bytes:
        """The raw bytes."""
        return self._delivery.message.body

    @property
    def message_id(self) -> str | None:
        """The sender's id of the message, or None where it gave none."""
        return self._delivery.message.message_id

    @property
    def correlation_id(self) -> str | None:
        """What the message answers or belongs to, in the sender's words."""
        return self._delivery.message.correlation_id

    @property
    def user_id(self) -> str | None:
        """Who made the message, in the sender's words."""
        return self._delivery.message.user_id

    @property
    def to(self) -> str | None:
        """The address that the sender wrote, for example ``/devices/dev-1/messages/deviceBound``."""
        return self._delivery.message.to

    @property
    def content_type(self) -> str | None:
        """The media type of the body, for example ``application/json``."""
        return self._delivery.message.content_type

    @property
    def content_encoding(self) -> str | None:
        """The encoding of the body, for example ``utf-8``."""
        return self._delivery.message.content_encoding

    @property
    def properties(self) -> Mapping[str, str | None]:
        """The application properties; the value is None for a name without a value (MQTT)."""
        return self._delivery.message.properties

    @property
    def ack(self) -> Ack | None:
        """The feedback that the sender asked for, or None where it did not say."""
        return self._delivery.message.ack

    @property
    def expires_at(self) -> datetime | None:
        """When the message expires, in UTC, or None where the sender left that to the hub."""
        return self._delivery.message.expires_at

    @property
    def sequence_number(self) -> int | None:
        """The hub's number of the message in this device's queue; None on MQTT, which does not carry it."""
        return self._delivery.message.sequence_number

    @property
    def enqueued_at(self) -> datetime | None:
        """When the hub took the message, in UTC; None on MQTT, which does not carry it."""
        return self._delivery.message.enqueued_at

    @property
    def delivery_count(self) -> int | None:
        """How many counted deliveries came before this one, 0 at first; None on MQTT, which does not carry it."""
        return self._delivery.message.delivery_count

    @property
    def lock_token(self) -> str | None:
        """The hub's name for the lock; None on MQTT, which has none."""
        return self._delivery.lock_token

    @property
    def lock_remaining(self) -> timedelta | None:
        """How long the hub still holds the message for this device; None on MQTT, as long as the connection lasts.

        An estimate, and rather too long than too short: the lock began at the hub, and this counts from the moment at
        which the message reached this process, its wait in memory included. Zero once the connection that the message
        came on has ended.
        """
        if self._link.ending.error is not None:
            return timedelta(0)
        if self._delivery.lock_token is None:
            return None
        return max(LOCK_DURATION - timedelta(seconds=time.monotonic() - self._delivery.received_at), timedelta(0))

    @property
    def settlement(self) -> Settlement | None:
        """What the application has said of the message, whether or not the hub has confirmed it; None while held.

        None again where the hub has refused for now, as after a ``ThrottledError``.
        """
        return self._settlement

    async def complete(self) -> None:
        """Tell the hub that the message has been processed; the hub removes it.

        On AMQP this returns when the hub has confirmed it. On MQTT it returns at once: the acknowledgment leaves in
        its turn, and the protocol has no confirmation of it.

        Cancellation: the hub may or may not have been told; the message counts as settled here.

        Raises:
            AlreadySettledError: It has been settled before.
            MessageLockLostError: The lock is gone, by time or with the connection.
            OutcomeUnknownError: The connection ended before the hub confirmed.
            C2dError: On HTTPS, another error: the hub could not be asked, or has refused. The message is held as
                before, so it may be settled while its lock lasts.
        """
        await self._settle(Settlement.COMPLETE)

    async def abandon(self) -> None:
        """Tell the hub to deliver the message again, at most up to its maximum delivery count.

        Cancellation and errors: as ``complete``.

        Raises:
            UnsupportedSettlementError: This transport cannot say it (MQTT). Nothing was sent.
        """
        await self._settle(Settlement.ABANDON)

    async def reject(self) -> None:
        """Tell the hub to dead-letter the message: never again.

        Cancellation and errors: as ``complete``.

        Raises:
            UnsupportedSettlementError: This transport cannot say it (MQTT). Nothing was sent.
        """
        await self._settle(Settlement.REJECT)

    async def _settle(self, settlement: Settlement) -> None:
        self._check(settlement)
        # The state moves before the first await, so that of two tasks that settle one message only one gets through.
        self._state = next_state(self._state, SettlementEvent.ASKED)
        self._settlement = settlement
        event = SettlementEvent.CONFIRMED
        try:
            await self._link.settle(self._delivery, settlement)
        except BaseException as error:
            event = event_of(error)
            raise
        finally:
            self._state = next_state(self._state, event)
            if self._state is SettlementState.HELD:
                self._settlement = None

    def _check(self, settlement: Settlement) -> None:
        supported = self._transport.settlements
        if settlement not in supported:
            raise UnsupportedSettlementError(settlement, transport=self._transport.name, supported=supported)
        if self._state is SettlementState.LOCK_LOST:
            raise MessageLockLostError("the lock on the message was lost; the hub delivers it again")
        if self._settlement is not None:
            raise AlreadySettledError(self._settlement)

    def __repr__(self) -> str:
        message = self._delivery.message
        return f"<ReceivedMessage {message.message_id!r}, {len(message.body)} bytes, {self._state.value}>"
