"""AMQP 1.0: SASL or none, ``$cbs`` put-token, a device's receive link; then frames that were encoded beforehand.

Enough of the protocol for the clients in ``bench/clients``, written without c2dkit's connection engine so that a
mistake in that cannot hide in its own benchmark. Any token is good.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.peer._amqp_transfers import TransferLap
from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from bench.peer._score import Score

    SaslFrame = amqp.SaslMechanisms | amqp.SaslOutcome

__all__ = ["AmqpFlood"]

PLAIN_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
SASL_FRAME = 1
MECHANISMS = ("EXTERNAL", "MSSBCBS", "ANONYMOUS", "PLAIN")
INCOMING_WINDOW = 5000
SENDER, RECEIVER = False, True


class _Session:
    """What the peer keeps of one session: its ids and how far the client lets it send."""

    def __init__(self, channel: int, begin: amqp.Begin) -> None:
        self.channel = channel
        self.sent = 0
        self.limit = int(begin.incoming_window)
        self.cbs_handle: int | None = None
        self.transfers: TransferLap | None = None
        self.transfer_handle = -1
        self.delivery_count = 0
        self.delivery_limit = 0

    def take(self, count: int) -> list[bytes]:
        """Return ``count`` TRANSFER frames of the device's link."""
        assert self.transfers is not None
        self.sent += count
        self.delivery_count += count
        return self.transfers.take(count)

    def room(self) -> int:
        """Return how many messages the client's link credit and session window let out."""
        return min(self.delivery_limit - self.delivery_count, self.limit - self.sent)


class AmqpFlood(asyncio.Protocol):
    """Sends against the client's link credit, at most ``window`` unsettled, and answers dispositions as the hub does.

    The hub attaches with rcv-settle-mode second: a client that sends a disposition with settled=false is answered with
    settled=true; one that settles by itself is only counted.
    """

    def __init__(self, score: Score, window: int) -> None:
        self._score = score
        self._window = window
        self._unread = b""
        self._unsettled: set[int] = set()
        self._sessions: dict[int, _Session] = {}
        self._transport: asyncio.Transport

    @classmethod
    def prepare(cls) -> None:
        """Encode a lap of messages."""
        TransferLap.prepare()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._score.fail(f"the client closed the connection: {exc or 'end of stream'}")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        position = 0
        while (end := self._end_of_frame(position)) is not None:
            self._take(self._unread[position:end])
            position = end
        self._unread = self._unread[position:]
        for session in self._sessions.values():
            self._flood(session)

    def _end_of_frame(self, start: int) -> int | None:
        available = len(self._unread) - start
        if available < 8:
            return None
        if self._unread.startswith(b"AMQP", start):
            return start + 8
        size = int.from_bytes(self._unread[start : start + 4], "big")
        return start + size if available >= size else None

    def _take(self, data: bytes) -> None:
        if data == PLAIN_HEADER:
            self._transport.write(PLAIN_HEADER)
        elif data == SASL_HEADER:
            self._transport.write(SASL_HEADER)
            self._send(0, amqp.SaslMechanisms(MECHANISMS), frame_type=SASL_FRAME)
        else:
            for frame in amqp.FrameDecoder(1 << 20).feed(data):
                self._dispatch(frame)

    def _dispatch(self, frame: amqp.Frame) -> None:
        performative = frame.performative
        if isinstance(performative, amqp.Disposition):
            self._on_disposition(self._sessions[frame.channel], performative)
        elif isinstance(performative, amqp.Flow):
            self._on_flow(self._sessions[frame.channel], performative)
        elif isinstance(performative, amqp.Transfer):
            self._on_put_token(self._sessions[frame.channel], performative, frame.payload)
        elif isinstance(performative, amqp.Attach):
            self._on_attach(self._sessions[frame.channel], performative)
        elif isinstance(performative, amqp.Begin):
            self._on_begin(frame.channel, performative)
        elif isinstance(performative, amqp.Open):
            self._send(0, amqp.Open(container_id="bench", max_frame_size=65536, channel_max=255))
        elif isinstance(performative, amqp.SaslInit):
            self._send(0, amqp.SaslOutcome(code=0), frame_type=SASL_FRAME)
        elif performative is not None:
            self._score.fail(f"the client sent {performative}")

    def _send(
        self,
        channel: int,
        performative: amqp.Performative | SaslFrame,
        payload: bytes = b"",
        *,
        frame_type: int = 0,
    ) -> None:
        self._transport.write(amqp.encode_frame(channel, performative, payload, frame_type=frame_type))

    def _on_begin(self, channel: int, begin: amqp.Begin) -> None:
        self._sessions[channel] = _Session(channel, begin)
        self._send(
            channel,
            amqp.Begin(
                remote_channel=channel,
                next_outgoing_id=0,
                incoming_window=INCOMING_WINDOW,
                outgoing_window=0xFFFFFFFF,
                handle_max=255,
            ),
        )

    def _on_attach(self, session: _Session, attach: amqp.Attach) -> None:
        receives = attach.role == RECEIVER
        self._send(
            session.channel,
            attach._replace(
                role=SENDER if receives else RECEIVER,
                rcv_settle_mode=1 if receives else attach.rcv_settle_mode,
                initial_delivery_count=0 if receives else None,
                unsettled=None,
                max_message_size=1 << 20,
            ),
        )
        if not receives:
            self._grant(session, attach.handle)
        elif isinstance(attach.source, amqp.Source) and attach.source.address == "$cbs":
            session.cbs_handle = attach.handle
        else:
            session.transfer_handle = attach.handle

    def _grant(self, session: _Session, handle: int) -> None:
        self._send(
            session.channel,
            amqp.Flow(
                next_incoming_id=0,
                incoming_window=INCOMING_WINDOW,
                next_outgoing_id=session.sent,
                outgoing_window=0xFFFFFFFF,
                handle=handle,
                delivery_count=0,
                link_credit=100,
            ),
        )

    def _on_put_token(self, session: _Session, transfer: amqp.Transfer, payload: bytes) -> None:
        assert session.cbs_handle is not None
        request = amqp.decode_message(payload)
        # uamqp takes an answer that comes before its request is settled for a failure.
        if transfer.delivery_id is not None and not transfer.settled:
            settled = amqp.Disposition(role=RECEIVER, first=transfer.delivery_id, settled=True, state=amqp.Accepted())
            self._send(session.channel, settled)
        answer = amqp.AmqpMessage(
            properties=amqp.Properties(correlation_id=request.properties.message_id if request.properties else None),
            application_properties={"status-code": amqp.Int(200), "status-description": "OK"},
            data=b"",
        )
        delivery = amqp.Transfer(
            handle=session.cbs_handle,
            delivery_id=session.sent,
            delivery_tag=session.sent.to_bytes(4, "big"),
            message_format=0,
            settled=True,
        )
        session.sent += 1
        self._send(session.channel, delivery, amqp.encode_message(answer))

    def _on_flow(self, session: _Session, flow: amqp.Flow) -> None:
        session.limit = int(flow.next_incoming_id or 0) + int(flow.incoming_window)
        if flow.handle is None or flow.handle != session.transfer_handle:
            return
        session.delivery_limit = int(flow.delivery_count or 0) + int(flow.link_credit or 0)
        if session.transfers is None and self._window:
            session.transfers = TransferLap(session.channel, session.transfer_handle, session.sent)

    def _on_disposition(self, session: _Session, disposition: amqp.Disposition) -> None:
        last = disposition.first if disposition.last is None else disposition.last
        if not disposition.settled:
            self._send(session.channel, disposition._replace(role=SENDER, last=last, settled=True))
        if not isinstance(disposition.state, amqp.Accepted):
            return
        before = len(self._unsettled)
        self._unsettled.difference_update(range(disposition.first, last + 1))
        self._score.add(before - len(self._unsettled))

    def _flood(self, session: _Session) -> None:
        if session.transfers is None:
            return
        count = min(session.room(), self._window - len(self._unsettled))
        if count > 0:
            self._unsettled.update(range(session.sent, session.sent + count))
            for piece in session.take(count):
                self._transport.write(piece)
