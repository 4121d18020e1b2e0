"""The sending end of a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ._events import LinkFlowed
from ._limits import MASK, ahead
from ._links import Link, LinkClosedError, LinkState
from ._performatives import Transfer

if TYPE_CHECKING:
    from ._events import Event
    from ._performatives import DeliveryState, Flow
    from ._session import Session

__all__ = ["SenderLink"]

MAX_TAG_SIZE = 32
"""AMQP 1.0 part 2, 2.8.7."""
MESSAGE_FORMAT = 0
"""The one message format that AMQP 1.0 defines (part 3, 3.2.16)."""


class SenderLink(Link):
    """Sends messages as far as the peer's credit reaches."""

    role: ClassVar[bool] = False
    __slots__ = ("_credit", "_delivery_count", "_drain", "_initial_delivery_count", "drain_requested")

    def __init__(self, session: Session, name: str, handle: int, state: LinkState) -> None:
        super().__init__(session, name, handle, state)
        self._credit = 0
        self._delivery_count = 0
        self._initial_delivery_count = 0
        self._drain = False
        self.drain_requested = False
        """Whether the peer waits for what there is, and then for ``drained``."""

    @property
    def credit(self) -> int:
        """How many messages may be sent now; 0 too while the session has as many unsettled ones as it may have."""
        return 0 if self._credit and self.session.deliveries.is_full() else self._credit

    def send(self, payload: bytes, *, tag: bytes, settled: bool = False) -> int:
        """Send one message, in as many frames as the peer's frame size asks for.

        Frames that the session's window does not reach wait inside.

        Args:
            payload: The encoded message.
            tag: Names the delivery; up to 32 bytes.
            settled: Send and forget: nothing will be heard of it.

        Returns:
            The delivery id.

        Raises:
            LinkClosedError: The link is not attached.
            ValueError: There is no credit, the tag is too long, or the message is larger than the peer takes.
        """
        if self.state is not LinkState.ATTACHED:
            raise LinkClosedError(f"{self!r} cannot send")
        if self.credit == 0:
            raise ValueError("the peer has given no credit")
        if len(tag) > MAX_TAG_SIZE:
            raise ValueError(f"a delivery tag has at most {MAX_TAG_SIZE} bytes, not {len(tag)}")
        if self.remote_max_message_size is not None and len(payload) > self.remote_max_message_size:
            raise ValueError(f"the peer takes messages of {self.remote_max_message_size} bytes, not {len(payload)}")
        self._credit -= 1
        self._delivery_count = (self._delivery_count + 1) & MASK
        delivery_id = self.session.deliveries.register(self, settled=settled)
        self.session.send_transfer(Transfer(self.handle, delivery_id, tag, MESSAGE_FORMAT, settled), payload)
        return delivery_id

    def settle(self, delivery_id: int, state: DeliveryState | None = None) -> None:
        """Settle a delivery and tell the peer; ignored if it is settled already or not of this link."""
        self.session.settle_outgoing(self, delivery_id, state)

    def drained(self) -> None:
        """Give up the credit that is left and tell the peer so (AMQP 1.0 part 2, 2.6.7)."""
        if self.drain_requested and self.state is LinkState.ATTACHED:
            self._delivery_count = (self._delivery_count + self._credit) & MASK
            self._credit = 0
            self.drain_requested = False
            self.session.output.owe(self)

    def on_flow(self, flow: Flow, events: list[Event]) -> None:
        """Take the credit that the peer gives; it may have sent it right behind its attach."""
        if self.state is LinkState.DETACHING:
            return
        before = (self._credit, self.drain_requested)
        if flow.link_credit is not None:
            # part 2, 2.6.7: link-credit(snd) := delivery-count(rcv) + link-credit(rcv) - delivery-count(snd). A peer
            # that has not seen our attach yet cannot name a count: then it is the initial one.
            seen = self._initial_delivery_count if flow.delivery_count is None else flow.delivery_count
            self._credit = max(0, flow.link_credit - ahead(self._delivery_count, seen))
            self._drain = self.drain_requested = flow.drain
        if flow.echo and self.state is LinkState.ATTACHED:
            self.session.output.owe(self)
        if (self._credit, self.drain_requested) != before:
            events.append(LinkFlowed(self))

    def flow_frame(self) -> bytes | None:
        """Return our state of the link as a frame."""
        return self.session.encode_flow(self.handle, self._delivery_count, self._credit, drain=self._drain)

    def itself(self) -> SenderLink:
        """Return the link."""
        return self

    def _prepare(self, max_message_size: int, initial_delivery_count: int) -> None:
        self._delivery_count = self._initial_delivery_count = initial_delivery_count

    def _drop(self) -> None:
        self._credit = 0
        self.drain_requested = False
