"""The receiving end of a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ._errors import AmqpError, AmqpProtocolError
from ._events import LinkFlowed, TransferReceived
from ._limits import MASK, ahead
from ._links import Link, LinkState

if TYPE_CHECKING:
    from ._events import Event
    from ._performatives import Attach, DeliveryState, Flow, Transfer
    from ._session import Session

__all__ = ["ReceiverLink"]


class _Partial:
    """A delivery of which more frames are to come; ``data`` is None if they are to be thrown away."""

    __slots__ = ("data", "delivery_id", "settled", "tag")

    def __init__(self, delivery_id: int, tag: bytes, data: bytearray | None, *, settled: bool) -> None:
        self.delivery_id = delivery_id
        self.tag = tag
        self.data = data
        self.settled = settled


class ReceiverLink(Link):
    """Gives the peer credit and gets messages."""

    role: ClassVar[bool] = True
    __slots__ = ("_delivery_count", "_drain", "_max_message_size", "_partial", "_room", "credit")

    def __init__(self, session: Session, name: str, handle: int, state: LinkState) -> None:
        super().__init__(session, name, handle, state)
        self.credit = 0
        """How many more messages the peer may send."""
        # What the peer may have been told, while it has not seen yet that the credit was lowered.
        self._room = 0
        self._delivery_count = 0
        self._drain = False
        self._max_message_size = 0
        self._partial: _Partial | None = None

    def flow(self, credit: int, *, drain: bool = False) -> None:
        """Set the credit to exactly ``credit``; the peer is told with the next ``data_to_send``.

        Messages that are on their way when the credit is lowered still come.

        Args:
            credit: How many more messages the peer may send.
            drain: The peer sends what it has and gives the rest of the credit up; then ``LinkFlowed`` comes.

        Raises:
            ValueError: The credit is negative or does not fit into 32 bits.
        """
        if not 0 <= credit <= MASK:
            raise ValueError(f"a link credit of {credit}")
        if self.state in {LinkState.ATTACHING, LinkState.ATTACHED}:
            self.credit = credit
            self._room = max(self._room, credit)
            self._drain = drain
            self.session.output.owe(self)

    def settle(self, delivery_id: int, state: DeliveryState | None, *, settled: bool = True) -> None:
        """Tell the peer what became of a delivery; ignored if it is settled already or not of this link.

        Args:
            delivery_id: As in ``TransferReceived``.
            state: The outcome.
            settled: False to have the peer confirm first, with a ``DeliveryUpdated`` that is settled.
        """
        self.session.settle_incoming(self, delivery_id, state, settled=settled)

    def on_attach(self, attach: Attach) -> bool:
        """Take the peer's attach, which says where it begins to count."""
        self._delivery_count = attach.initial_delivery_count or 0
        return super().on_attach(attach)

    def on_transfer(self, transfer: Transfer, payload: bytes, events: list[Event]) -> None:
        """Take one frame of a delivery."""
        if self._partial is not None:
            self._continue(self._partial, transfer, payload, events)
            return
        _, delivery_id, tag, _, settled, more, _, _, _, aborted, _ = transfer
        if delivery_id is None or tag is None:
            # part 2, 2.7.5: both "MUST be supplied on the first transfer of a multi-transfer delivery".
            raise AmqpProtocolError("a delivery without an id or tag", condition="amqp:invalid-field")
        self.session.expect(delivery_id)
        if self.state is not LinkState.ATTACHED or self._room <= 0:
            self._unwanted(delivery_id, tag, events, more=more)
            return
        self._room -= 1
        self._delivery_count = (self._delivery_count + 1) & MASK
        if self.credit:
            self.credit -= 1
        if aborted:
            # part 2, 2.6.14: the payload of an aborted delivery is ignored, and it counts as settled.
            pass
        elif more:
            self._partial = _Partial(delivery_id, tag, bytearray(), settled=bool(settled))
            self._grow(self._partial, payload, events)
        elif len(payload) <= self._max_message_size:
            if not settled:
                self.session.deliveries.incoming[delivery_id] = self
            events.append(TransferReceived(self, delivery_id, tag, payload, bool(settled)))
        else:
            self._too_large(events)
        if self._drain and not self.credit:
            self._drained(events)

    def on_flow(self, flow: Flow, events: list[Event]) -> None:
        """Take the sender's count, which runs ahead when it gives up credit. Its own idea of the credit is ignored."""
        if flow.delivery_count is not None:
            given_up = ahead(flow.delivery_count, self._delivery_count)
            if given_up <= self._room:
                self._delivery_count = (self._delivery_count + given_up) & MASK
                self._room -= given_up
                self.credit = max(0, self.credit - given_up)
        if self._drain and not self.credit:
            self._drained(events)
        if flow.echo and self.state is LinkState.ATTACHED:
            self.session.output.owe(self)

    def flow_frame(self) -> bytes | None:
        """Return our state of the link as a frame."""
        # part 2, 2.7.4: the count is left out while the sender's attach has not come.
        count = None if self.state is LinkState.ATTACHING else self._delivery_count
        return self.session.encode_flow(self.handle, count, self.credit, drain=self._drain)

    def itself(self) -> ReceiverLink:
        """Return the link."""
        return self

    def _continue(self, partial: _Partial, transfer: Transfer, payload: bytes, events: list[Event]) -> None:
        # part 2, 2.7.5: "It is an error if the delivery-id on a continuation transfer differs".
        if transfer.delivery_id is not None and transfer.delivery_id != partial.delivery_id:
            raise AmqpProtocolError("a delivery within another", condition="amqp:invalid-field")
        # part 2, 2.7.5: settled is true if it was on any of the frames.
        partial.settled = partial.settled or bool(transfer.settled)
        if transfer.aborted:
            self._forget_partial()
            return
        self._grow(partial, payload, events)
        if not transfer.more:
            self._finish(partial, events)

    def _grow(self, partial: _Partial, payload: bytes, events: list[Event]) -> None:
        data = partial.data
        if data is None:
            return
        if len(data) + len(payload) > self._max_message_size:
            self._too_large(events)
        elif not self.session.connection.reserve(len(payload)):
            text = "too many messages have come in part"
            self.fail(AmqpError("amqp:resource-limit-exceeded", text), events)
        else:
            data += payload

    def _finish(self, partial: _Partial, events: list[Event]) -> None:
        data = partial.data
        self._forget_partial()
        if data is None:
            return
        if not partial.settled:
            self.session.deliveries.incoming[partial.delivery_id] = self
        events.append(TransferReceived(self, partial.delivery_id, partial.tag, bytes(data), partial.settled))

    def _too_large(self, events: list[Event]) -> None:
        text = f"messages of up to {self._max_message_size} bytes are taken"
        self.fail(AmqpError("amqp:link:message-size-exceeded", text), events)

    def _unwanted(self, delivery_id: int, tag: bytes, events: list[Event], *, more: bool) -> None:
        if self.state is not LinkState.DETACHING:
            self.fail(AmqpError("amqp:link:transfer-limit-exceeded", "there is no credit left"), events)
        if more:
            self._partial = _Partial(delivery_id, tag, None, settled=True)

    def _drained(self, events: list[Event]) -> None:
        self._drain = False
        events.append(LinkFlowed(self))

    def _prepare(self, max_message_size: int, initial_delivery_count: int) -> None:
        self._max_message_size = max_message_size

    def _forget_partial(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None and partial.data is not None:
            self.session.connection.release(len(partial.data))

    def _drop(self) -> None:
        self.credit = self._room = 0
        self._drain = False
        if self._partial is not None and self._partial.data is not None:
            # The rest of the frames may still come, and must be known as such.
            self.session.connection.release(len(self._partial.data))
            self._partial.data = None
