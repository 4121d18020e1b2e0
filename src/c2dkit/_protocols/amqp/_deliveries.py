"""The unsettled deliveries of a session, by delivery id (AMQP 1.0 part 2, 2.6.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ._errors import AmqpProtocolError
from ._events import DeliveryUpdated
from ._limits import MASK
from ._performatives import Received

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._events import Event
    from ._performatives import Disposition
    from ._receiver import ReceiverLink
    from ._sender import SenderLink

__all__ = ["Deliveries"]

LinkT = TypeVar("LinkT")


class Deliveries:
    """Both directions.

    Args:
        limit: How many outgoing ones there may be; the incoming ones are bounded by the session's window.
    """

    __slots__ = ("_decided", "_limit", "_next_id", "_outgoing", "incoming")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next_id = 0
        self.incoming: dict[int, ReceiverLink] = {}
        """What the peer sent."""
        self._outgoing: dict[int, SenderLink] = {}
        # Those of which the peer has told the outcome and not settled. Apart, so that a peer that repeats itself
        # over many deliveries finds none.
        self._decided: dict[int, SenderLink] = {}

    def is_full(self) -> bool:
        """Whether there are as many outgoing ones as may be."""
        return len(self._outgoing) + len(self._decided) >= self._limit

    def register(self, link: SenderLink, *, settled: bool) -> int:
        """Return the id of a new outgoing delivery, and remember it unless it is settled."""
        delivery_id = self._next_id
        self._next_id = (delivery_id + 1) & MASK
        if not settled:
            self._outgoing[delivery_id] = link
        return delivery_id

    def settle_outgoing(self, link: SenderLink, delivery_id: int) -> bool:
        """Forget a delivery; returns False if it is not an unsettled one of the link."""
        deliveries = self._decided if delivery_id in self._decided else self._outgoing
        if deliveries.get(delivery_id) is not link:
            return False
        del deliveries[delivery_id]
        return True

    def on_disposition(self, disposition: Disposition, events: list[Event]) -> None:
        """Take what the peer says; ids that are not unsettled are none of ours, or no longer."""
        if not disposition.role:
            # The sender's word matters when it settles: that confirms what we have told.
            if disposition.settled:
                _settle(self.incoming, disposition, events)
        elif disposition.settled:
            _settle(self._outgoing, disposition, events)
            _settle(self._decided, disposition, events)
        elif disposition.state is not None and not isinstance(disposition.state, Received):
            self._decide(disposition, events)

    def forget(self, link: object) -> None:
        """Forget the deliveries of a link that is gone."""
        _drop(self.incoming, link)
        _drop(self._outgoing, link)
        _drop(self._decided, link)

    def clear(self) -> None:
        """Forget all."""
        for deliveries in (self.incoming, self._outgoing, self._decided):
            deliveries.clear()

    def _decide(self, disposition: Disposition, events: list[Event]) -> None:
        for delivery_id in _covered(self._outgoing, disposition):
            link = self._decided[delivery_id] = self._outgoing.pop(delivery_id)
            events.append(DeliveryUpdated(link, delivery_id, disposition.state, settled=False))


def _settle(
    deliveries: dict[int, SenderLink] | dict[int, ReceiverLink], disposition: Disposition, events: list[Event]
) -> None:
    state = disposition.state
    ids = _covered(deliveries, disposition)
    events += [DeliveryUpdated(deliveries.pop(delivery_id), delivery_id, state, settled=True) for delivery_id in ids]


def _covered(deliveries: Mapping[int, LinkT], disposition: Disposition) -> list[int]:
    """Return the ids that a disposition is about, in a time that the smaller of range and mapping bounds.

    Raises:
        AmqpProtocolError: The range ends before it begins.
    """
    first, last = disposition.first, disposition.last
    if last is None or last == first:
        return [first] if first in deliveries else []
    distance = (last - first) & MASK
    if distance >= 0x80000000:
        # part 2, 2.8.9 and RFC 1982: such a last is smaller than first.
        raise AmqpProtocolError("a disposition whose last comes before its first", condition="amqp:invalid-field")
    if distance < len(deliveries):
        ids = ((first + offset) & MASK for offset in range(distance + 1))
        return [delivery_id for delivery_id in ids if delivery_id in deliveries]
    return [delivery_id for delivery_id in deliveries if (delivery_id - first) & MASK <= distance]


def _drop(deliveries: dict[int, LinkT], link: object) -> None:
    for delivery_id in [delivery_id for delivery_id, holder in deliveries.items() if holder is link]:
        del deliveries[delivery_id]
