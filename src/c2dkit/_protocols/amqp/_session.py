"""A session: the windows that transfers pass through, and the links (AMQP 1.0 part 2, 2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._deliveries import Deliveries
from ._errors import FRAMING_ERROR, AmqpProtocolError
from ._events import LinkAttached, LinkDetached, LinkFlowed, LinkRequested, SessionEnded
from ._frames import encode_frame
from ._limits import MASK
from ._links import LinkClosedError, LinkState
from ._outgoing import OutgoingFrames
from ._performatives import Attach, Begin, Detach, Disposition, End, Flow
from ._receiver import ReceiverLink
from ._sender import SenderLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._connection import Connection
    from ._errors import AmqpError
    from ._events import Event
    from ._limits import Limits
    from ._output import Output
    from ._performatives import DeliveryState, Performative, Source, Target, Transfer

__all__ = ["Session"]

OUTGOING_WINDOW = 0x7FFFFFFF
"""We never hold back what the peer's window lets through."""
FRAME_OVERHEAD = 96
"""At least what a transfer frame takes beyond its payload and tag, in bytes."""


class Session:
    """Made by ``Connection.begin``, or by the peer.

    Attributes:
        connection: Whose session it is.
        channel: Our number for it.
        remote_channel: The peer's number for it; None until it has answered.
        is_open: Whether it has neither ended nor been ended.
        context: For the user of the engine.
    """

    __slots__ = (
        "_awaiting",
        "_expected_delivery_id",
        "_handles",
        "_incoming_window",
        "_next_incoming_id",
        "_outgoing",
        "_remote_handle_max",
        "_remote_handles",
        "channel",
        "connection",
        "context",
        "deliveries",
        "is_open",
        "limits",
        "output",
        "remote_channel",
    )

    def __init__(self, connection: Connection, channel: int, output: Output) -> None:
        self.connection = connection
        self.channel = channel
        self.remote_channel: int | None = None
        self.limits: Limits = connection.limits
        self.output = output
        self.context: object = None
        self.is_open = True
        self._handles: dict[int, SenderLink | ReceiverLink] = {}
        self._remote_handles: dict[int, SenderLink | ReceiverLink] = {}
        self._awaiting: dict[tuple[str, bool], SenderLink | ReceiverLink] = {}
        self._remote_handle_max = MASK
        self._outgoing = OutgoingFrames(output)
        self.deliveries = Deliveries(self.limits.max_unsettled)
        self._expected_delivery_id: int | None = None
        self._next_incoming_id = 0
        self._incoming_window = self.limits.incoming_window

    def __repr__(self) -> str:
        """Name the session."""
        return f"<Session {self.channel} {'open' if self.is_open else 'ended'}>"

    # What the user calls.

    def attach_sender(
        self,
        name: str,
        *,
        source: Source | None = None,
        target: Target | None = None,
        snd_settle_mode: int | None = None,
        rcv_settle_mode: int | None = None,
        properties: Mapping[str, object] | None = None,
        max_message_size: int | None = None,
        initial_delivery_count: int = 0,
    ) -> SenderLink:
        """Attach a link to send on; ``LinkAttached`` or ``LinkDetached`` follows.

        Raises:
            LinkClosedError: The session is over, or the peer allows no more links.
            ValueError: The session has a sender of that name.
        """
        link = SenderLink(self, name, self._new_handle(name, role=False), LinkState.ATTACHING)
        self._await(link)
        link.attach(
            source=source,
            target=target,
            snd_settle_mode=snd_settle_mode,
            rcv_settle_mode=rcv_settle_mode,
            max_message_size=max_message_size,
            properties=properties,
            initial_delivery_count=initial_delivery_count,
        )
        return link

    def attach_receiver(
        self,
        name: str,
        *,
        source: Source | None = None,
        target: Target | None = None,
        snd_settle_mode: int | None = None,
        rcv_settle_mode: int | None = None,
        properties: Mapping[str, object] | None = None,
        max_message_size: int | None = None,
    ) -> ReceiverLink:
        """Attach a link to receive on; as ``attach_sender``. Credit may be given at once."""
        link = ReceiverLink(self, name, self._new_handle(name, role=True), LinkState.ATTACHING)
        self._await(link)
        link.attach(
            source=source,
            target=target,
            snd_settle_mode=snd_settle_mode,
            rcv_settle_mode=rcv_settle_mode,
            max_message_size=max_message_size,
            properties=properties,
        )
        return link

    def end(self, error: AmqpError | None = None) -> None:
        """End the session and all its links; ``SessionEnded`` follows when the peer confirms. Idempotent."""
        if self.is_open:
            self.abandon()
            self.output.write(self.channel, End(error))

    # What the links call.

    def write(self, performative: Performative) -> None:
        """Write an attach or detach, behind the transfers that wait."""
        self._outgoing.other(self.output.encode(self.channel, performative))

    def send_transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Send a message in frames that the peer takes."""
        room = self.output.max_frame_size - FRAME_OVERHEAD - len(transfer.delivery_tag or b"")
        if len(payload) > room:
            more = transfer._replace(more=True)
            start = 0
            while len(payload) - start > room:
                self._outgoing.transfer(encode_frame(self.channel, more, payload[start : start + room]))
                start += room
            payload = payload[start:]
        self._outgoing.transfer(encode_frame(self.channel, transfer, payload))

    def settle_outgoing(self, link: SenderLink, delivery_id: int, state: DeliveryState | None) -> None:
        """Settle a delivery of ours."""
        if self.deliveries.settle_outgoing(link, delivery_id):
            self.output.disposition(self.channel, delivery_id, state, role=False, settled=True)

    def settle_incoming(
        self, link: ReceiverLink, delivery_id: int, state: DeliveryState | None, *, settled: bool
    ) -> None:
        """Settle a delivery of the peer, or tell its outcome."""
        incoming = self.deliveries.incoming
        if incoming.get(delivery_id) is not link:
            return
        if settled:
            del incoming[delivery_id]
        self.output.disposition(self.channel, delivery_id, state, role=True, settled=settled)
        self._widen()

    def expect(self, delivery_id: int) -> None:
        """Check that a delivery is the next one of the session.

        part 2, 2.7.5 and 2.8.9: delivery ids are serial numbers; what is left out has been lost.
        """
        if delivery_id != self._expected_delivery_id and self._expected_delivery_id is not None:
            raise AmqpProtocolError(
                f"delivery {delivery_id} came where {self._expected_delivery_id} was due",
                condition="amqp:invalid-field",
            )
        self._expected_delivery_id = (delivery_id + 1) & MASK

    def forget(self, link: SenderLink | ReceiverLink) -> None:
        """Forget what is unsettled and unsaid of a link that is gone."""
        self.deliveries.forget(link)
        self.output.forget(link)
        self._widen()

    def encode_flow(
        self, handle: int | None, delivery_count: int | None, link_credit: int | None, *, drain: bool = False
    ) -> bytes | None:
        """Return a flow of the session, and of one of its links, as a frame."""
        if self._outgoing.are_waiting and handle is not None:
            return None  # the count is ahead of what has been sent
        next_incoming_id = None if self.remote_channel is None else self._next_incoming_id
        state = (next_incoming_id, self._incoming_window, self._outgoing.next_id, OUTGOING_WINDOW)
        return encode_frame(self.channel, Flow(*state, handle, delivery_count, link_credit, drain=drain))

    def flow_frame(self) -> bytes | None:
        """Return the state of the session as a frame."""
        return self.encode_flow(None, None, None)

    # What the connection calls.

    def begin(self) -> None:
        """Send BEGIN; it answers the peer's if that has come."""
        window, handle_max = self._incoming_window, self.limits.handle_max
        begin = Begin(self.remote_channel, self._outgoing.next_id, window, OUTGOING_WINDOW, handle_max)
        self.output.write(self.channel, begin)

    def abandon(self) -> None:
        """Take note that nothing more can be said; idempotent."""
        self.is_open = False
        for link in self._handles.values():
            link.abandon()
            self.output.forget(link)
        self.output.forget(self)
        for table in (self._handles, self._remote_handles, self._awaiting, self.deliveries, self._outgoing):
            table.clear()

    def on_begin(self, channel: int, begin: Begin) -> None:
        """Take the peer's BEGIN."""
        self.remote_channel = channel
        self._next_incoming_id = begin.next_outgoing_id
        self._outgoing.on_begin(begin.incoming_window)
        self._remote_handle_max = begin.handle_max

    def on_end(self, end: End, events: list[Event]) -> None:
        """Take the peer's END and answer it."""
        if self.is_open:
            lost = [link for link in self._handles.values() if not link.reported]
            self.abandon()
            self.output.write(self.channel, End())
            events.extend(LinkDetached(link, end.error, closed=False) for link in lost)
        events.append(SessionEnded(self, end.error))

    def on_transfer(self, transfer: Transfer, payload: bytes, events: list[Event]) -> None:
        """Take one frame of a delivery."""
        if not self.is_open:
            return
        window = self._incoming_window
        if window <= 0:
            raise AmqpProtocolError("a transfer beyond the window", condition="amqp:session:window-violation")
        self._incoming_window = window - 1
        self._next_incoming_id = (self._next_incoming_id + 1) & MASK
        link = self._remote_handles.get(transfer.handle)
        if type(link) is not ReceiverLink:
            raise AmqpProtocolError("a transfer on no link of the peer", condition="amqp:session:unattached-handle")
        link.on_transfer(transfer, payload, events)
        self._widen()

    def on_performative(self, performative: Disposition | Flow | Attach | Detach, events: list[Event]) -> None:
        """Take a frame other than a transfer."""
        match performative:
            case Disposition():
                self._on_disposition(performative, events)
            case Flow():
                self._on_flow(performative, events)
            case Attach():
                self._on_attach(performative, events)
            case _:
                self._on_detach(performative, events)

    # Inside.

    def _on_attach(self, attach: Attach, events: list[Event]) -> None:
        if attach.handle > self.limits.handle_max:
            # part 2, 2.7.2: "A peer that receives a handle outside the supported range MUST close the connection with
            # the framing-error error-code."
            raise AmqpProtocolError(f"handle {attach.handle} is out of range", condition=FRAMING_ERROR)
        if attach.handle in self._remote_handles:
            raise AmqpProtocolError(f"handle {attach.handle} is in use", condition="amqp:session:handle-in-use")
        ours = self._awaiting.pop((attach.name, not attach.role), None)
        link = self._request(attach) if ours is None else ours
        self._remote_handles[attach.handle] = link
        if link.on_attach(attach):
            events.append(LinkAttached(link))
        elif ours is None:
            events.append(LinkRequested(link))

    def _on_detach(self, detach: Detach, events: list[Event]) -> None:
        link = self._link(detach.handle)
        link.on_detach(detach, events)
        self._remote_handles.pop(detach.handle, None)
        self._handles.pop(link.handle, None)

    def _on_flow(self, flow: Flow, events: list[Event]) -> None:
        # part 2, 2.5.6: next-incoming-id follows the peer's next-outgoing-id.
        self._next_incoming_id = flow.next_outgoing_id
        self._outgoing.on_flow(flow)
        if flow.handle is not None:
            self._link(flow.handle).on_flow(flow, events)
        elif flow.echo:
            self.output.owe(self)

    def _on_disposition(self, disposition: Disposition, events: list[Event]) -> None:
        was_full = self.deliveries.is_full()
        self.deliveries.on_disposition(disposition, events)
        self._widen()
        if was_full and not self.deliveries.is_full():
            senders = [link for link in self._handles.values() if isinstance(link, SenderLink)]
            events.extend(LinkFlowed(link) for link in senders if link.credit)

    def _widen(self) -> None:
        if self._incoming_window > self.limits.incoming_window >> 1:
            return
        # What is unsettled is bounded by the window: it opens no further while too much is.
        window = min(self.limits.incoming_window, self.limits.max_unsettled - len(self.deliveries.incoming))
        if window > self._incoming_window:
            self._incoming_window = window
            self.output.owe(self)

    def _request(self, attach: Attach) -> SenderLink | ReceiverLink:
        handle = self._free_handle()
        if handle is None:
            raise AmqpProtocolError("more links than handles", condition="amqp:resource-limit-exceeded")
        kind = SenderLink if attach.role else ReceiverLink
        link = kind(self, attach.name, handle, LinkState.REQUESTED)
        self._handles[handle] = link
        return link

    def _await(self, link: SenderLink | ReceiverLink) -> None:
        self._handles[link.handle] = link
        self._awaiting[link.name, link.role] = link

    def _new_handle(self, name: str, *, role: bool) -> int:
        if not self.is_open:
            raise LinkClosedError(f"{self!r} takes no links")
        if any(link.name == name and link.role is role for link in self._handles.values()):
            raise ValueError(f"the session has a link named {name!r}")
        handle = self._free_handle()
        if handle is None:
            raise LinkClosedError("the peer allows no more links in this session")
        return handle

    def _free_handle(self) -> int | None:
        highest = min(self._remote_handle_max, self.limits.handle_max)
        return next((handle for handle in range(highest + 1) if handle not in self._handles), None)

    def _link(self, handle: int) -> SenderLink | ReceiverLink:
        link = self._remote_handles.get(handle)
        if link is None:
            raise AmqpProtocolError(f"handle {handle} is not attached", condition="amqp:session:unattached-handle")
        return link
