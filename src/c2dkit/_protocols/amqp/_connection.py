"""A connection: open, close, sessions, and the way of frames to them (AMQP 1.0 part 2, 2.4).

The engine does no input or output and has no clock. It answers by itself what the specification leaves no choice in:
headers, BEGIN, END, detach, CLOSE, echoed flows, windows. Everything else is an event.

A peer that breaks the rules makes ``receive_data`` raise, once; what to tell it, a CLOSE with the reason, waits in
``data_to_send``, and from then on nothing has any effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ._channels import Channels
from ._errors import FRAMING_ERROR, AmqpError, AmqpProtocolError, AmqpSilenceError
from ._events import Closed, Opened
from ._frames import FrameDecoder, encode_frame
from ._handshake import ClientHandshake, ServerHandshake
from ._idle import IdleTimer
from ._limits import MAX_ANSWERS, MAX_MESSAGE_SIZE, MIN_IDLE_TIME_OUT, MIN_MAX_FRAME_SIZE, Limits
from ._links import LinkClosedError
from ._output import Output
from ._performatives import Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Transfer
from ._sasl import SaslClient, SaslServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._events import Event
    from ._frames import Frame
    from ._handshake import Handshake
    from ._performatives import Performative
    from ._session import Session

__all__ = ["Connection"]


class Connection:
    """One end of a connection.

    Args:
        container_id: Our name.
        hostname: For a client: the host that it means.
        server: Whether the peer speaks first.
        idle_timeout: Seconds of the peer's silence after which ``tick`` raises, None for no limit; the peer is told
            half of it, as the specification advises. The peer's OPEN too must come within that time.
        sasl: The credentials of a client, or what a server offers; None for no SASL layer.
        accept_plain: For a server with ``sasl``: whether a client may come without a SASL layer.
        max_frame_size: See ``Limits``, as the rest.

    Attributes:
        container_id: Our name.
        hostname: For a client: the host that it means.
        limits: What bounds the peer.
        remote_open: The peer's OPEN, once it has come.
        closed: Whether nothing more will be received or sent, but for what ``data_to_send`` still holds.
        context: For the user of the engine.
    """

    __slots__ = (
        "_channels",
        "_close_sent",
        "_decoder",
        "_handshake",
        "_idle",
        "_open",
        "_output",
        "_partial_bytes",
        "closed",
        "container_id",
        "context",
        "hostname",
        "limits",
        "remote_open",
    )

    def __init__(
        self,
        *,
        container_id: str,
        hostname: str | None = None,
        server: bool = False,
        idle_timeout: float | None = 60.0,
        sasl: SaslClient | SaslServer | None = None,
        accept_plain: bool = True,
        max_frame_size: int = 65536,
        channel_max: int = 255,
        handle_max: int = 255,
        max_message_size: int = MAX_MESSAGE_SIZE,
        max_unsettled: int = 8192,
        incoming_window: int = 2048,
    ) -> None:
        self.container_id = container_id
        self.hostname = hostname
        self.limits = Limits(max_frame_size, channel_max, handle_max, max_message_size, max_unsettled, incoming_window)
        self.remote_open: Open | None = None
        self.closed = False
        self.context: object = None
        self._open: Open | None = None
        self._close_sent = False
        self._partial_bytes = 0
        self._output = Output(self._on_too_large)
        self._channels = Channels(self, self._output)
        self._idle = IdleTimer(idle_timeout)
        self._decoder = FrameDecoder(max_frame_size)
        self._handshake: ClientHandshake | ServerHandshake | None
        if server:
            self._handshake = ServerHandshake(
                self, self._output, sasl if isinstance(sasl, SaslServer) else None, accept_plain=accept_plain
            )
        else:
            self._handshake = ClientHandshake(self, self._output, sasl if isinstance(sasl, SaslClient) else None)

    # What the user calls.

    def open(self, *, properties: Mapping[str, object] | None = None) -> None:
        """Send OPEN, as soon as headers and SASL allow. A server does so when ``Opened`` came. Idempotent."""
        if self._open is not None or self._close_sent or self.closed:
            return
        timeout = self._idle.timeout
        self._open = Open(
            container_id=self.container_id,
            # part 2, 2.7.1: "the name of the host to which the sending peer is connecting"
            hostname=self.hostname if isinstance(self._handshake, ClientHandshake) else None,
            max_frame_size=self.limits.max_frame_size,
            channel_max=self.limits.channel_max,
            # part 2, 2.4.5: "the value in idle-time-out SHOULD be half the peer's actual timeout threshold."
            idle_time_out=None if timeout is None else max(1, int(timeout * 500)),
            properties=properties,
        )
        if isinstance(self._handshake, ClientHandshake):
            self._handshake.start()
        self._send_open()

    def begin(self) -> Session:
        """Begin a session; ``SessionBegun`` follows. Links may be attached at once.

        Raises:
            LinkClosedError: The connection is closed, or the peer allows no more sessions.
        """
        session = None if self._close_sent or self.closed else self._channels.new()
        if session is None:
            raise LinkClosedError("the connection takes no more sessions")
        session.begin()
        return session

    def sasl_outcome(self, code: int, additional_data: bytes | None = None) -> list[Event]:
        """Answer ``SaslInitReceived``: 0 lets the client in, 1 refuses its credentials, and closes the connection.

        Returns:
            Events of what the client has sent ahead; almost always none.

        Raises:
            RuntimeError: There is nothing to answer.
            AmqpProtocolError: As ``receive_data``, for what the client has sent ahead.
        """
        if self.closed:
            return []
        handshake = self._handshake
        if handshake is None:
            raise RuntimeError("the SASL layer is behind us")
        events: list[Event] = []
        try:
            self._after_handshake(handshake, handshake.outcome(code, additional_data, events), events)
        except AmqpProtocolError as error:
            self._fail(error)
            raise
        return events

    def close(self, error: AmqpError | None = None) -> None:
        """Send CLOSE; ``Closed`` follows when the peer confirms. Ends all sessions. Idempotent.

        Where no AMQP header has been exchanged there is nobody to tell, and the connection is closed at once.
        """
        if self._close_sent or self.closed:
            return
        if self._handshake is None or self._handshake.header_sent:
            self._say_close(error)
        else:
            self._end()

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the peer and return what they mean.

        Raises:
            AmqpProtocolError: The peer broke the protocol. The connection is closed; send what is left.
        """
        events: list[Event] = []
        if self.closed:
            return events
        try:
            self._receive(data, events)
        except AmqpProtocolError as error:
            self._fail(error)
            raise
        return events

    def data_to_send(self) -> bytes:
        """Return, and forget, everything that waits to be sent."""
        data = self._output.take()
        if data:
            self._idle.spoke = True
        return data

    def tick(self, now: float) -> float | None:
        """Keep both idle time-outs and return when to be called again, None for never.

        Args:
            now: Seconds of a clock that never goes back. What happened since the last call counts as happening now.

        Raises:
            AmqpSilenceError: The peer has been silent for too long. The connection is closed; send what is left.
        """
        if self.closed:
            return None
        self._idle.note(now)
        silence_ends = self._idle.silence_ends()
        if silence_ends is not None and now >= silence_ends:
            text = f"nothing was heard for {self._idle.timeout:g} s"
            error = AmqpSilenceError(text, condition="amqp:resource-limit-exceeded")
            self._fail(error)
            raise error
        frame_due = self._idle.frame_due()
        if self._close_sent or not self._output.is_open:
            frame_due = None
        elif frame_due is not None and now >= frame_due:
            self._output.write_empty()
            frame_due = self._idle.spoken(now)
        return min((due for due in (silence_ends, frame_due) if due is not None), default=None)

    # What sessions and links call.

    def reserve(self, size: int) -> bool:
        """Count bytes of messages that have come in part; returns False if there are too many."""
        if self._partial_bytes + size > 4 * self.limits.max_message_size:
            return False
        self._partial_bytes += size
        return True

    def release(self, size: int) -> None:
        """Undo ``reserve``."""
        self._partial_bytes -= size

    # Inside.

    def _receive(self, data: bytes, events: list[Event]) -> None:
        if self._output.answers > MAX_ANSWERS:
            raise AmqpProtocolError("the answers are not read", condition="amqp:resource-limit-exceeded")
        handshake = self._handshake
        if handshake is not None:
            self._after_handshake(handshake, handshake.receive(data, events), events)
            return
        # Until OPEN has come, and after our CLOSE, the time runs whatever comes.
        self._idle.heard |= self.remote_open is not None and not self._close_sent
        self._dispatch(self._decoder.feed(data), events)

    def _send_open(self) -> None:
        handshake = self._handshake
        if self._open is not None and not self._output.is_open and (handshake is None or handshake.header_sent):
            self._output.open(encode_frame(0, self._open))

    def _after_handshake(self, handshake: Handshake, data: bytes, events: list[Event]) -> None:
        if handshake.failed:
            self._end()
            return
        self._send_open()
        if handshake.done:
            self._handshake = None
            self._dispatch(self._decoder.feed(data), events)

    def _dispatch(self, frames: Sequence[Frame], events: list[Event]) -> None:
        for channel, frame_type, performative, payload in frames:
            if frame_type:
                raise AmqpProtocolError(f"a frame of type {frame_type}", condition=FRAMING_ERROR)
            if self._close_sent:
                # part 2, 2.4.3: what comes between our CLOSE and the peer's is discarded.
                if isinstance(performative, Close) and not self.closed:
                    self._on_close(performative, events)
            elif type(performative) is Transfer:
                self._channels.session(channel).on_transfer(performative, payload, events)
            elif performative is not None:
                self._on_performative(channel, performative, events)

    def _on_performative(self, channel: int, performative: Performative, events: list[Event]) -> None:
        if isinstance(performative, Disposition | Flow | Attach | Detach):
            session = self._channels.session(channel)
            # part 2, 2.5.4: what comes between our END and the peer's is discarded.
            if session.is_open:
                session.on_performative(performative, events)
        elif isinstance(performative, Open):
            self._on_open(performative, events)
        elif self.remote_open is None:
            # part 2, 2.4.1: OPEN is the first frame.
            raise AmqpProtocolError(f"{type(performative).__name__} came before Open", condition="amqp:illegal-state")
        elif isinstance(performative, Begin):
            self._channels.on_begin(channel, performative, events)
        elif isinstance(performative, End):
            self._channels.on_end(channel, performative, events)
        else:  # no SASL performative gets through the decoder in a frame of type AMQP
            self._on_close(cast("Close", performative), events)

    def _on_open(self, performative: Open, events: list[Event]) -> None:
        if self.remote_open is not None:
            raise AmqpProtocolError("a second OPEN", condition="amqp:illegal-state")
        if performative.max_frame_size < MIN_MAX_FRAME_SIZE:
            # part 2, 2.7.1: "Both peers MUST accept frames of up to 512 (MIN-MAX-FRAME-SIZE) octets."
            raise AmqpProtocolError(
                f"a max-frame-size of {performative.max_frame_size}", condition="amqp:invalid-field"
            )
        idle_time_out = performative.idle_time_out
        if idle_time_out:
            if idle_time_out < MIN_IDLE_TIME_OUT:
                # part 2, 2.4.5: a peer that cannot keep an idle time-out closes the connection and says so.
                raise AmqpProtocolError(f"an idle-time-out of {idle_time_out} ms", condition="amqp:not-allowed")
            self._idle.interval = idle_time_out / 2000
        self._idle.heard = True
        self.remote_open = performative
        self._output.max_frame_size = performative.max_frame_size
        events.append(Opened(self))

    def _on_close(self, performative: Close, events: list[Event]) -> None:
        if not self._close_sent:
            self._say_close(None)
        self._end()
        events.append(Closed(self, performative.error))

    def _on_too_large(self) -> None:
        # part 2, 2.8.15, frame-size-too-small: "The peer cannot send a frame because the smallest encoding of the
        # performative with the currently valid values would be too large".
        self.close(AmqpError("amqp:frame-size-too-small"))

    def _say_close(self, error: AmqpError | None) -> None:
        self.open()  # part 2, 2.4.1: OPEN comes first, even where CLOSE is all there is to say
        self._channels.abandon()
        self._output.write(0, Close(error))
        self._output.end()
        self._close_sent = True

    def _end(self) -> None:
        self.closed = True
        self._channels.abandon()

    def _fail(self, error: AmqpProtocolError) -> None:
        if not self._close_sent and self._handshake is None:
            self._say_close(AmqpError(error.condition, str(error)))
        self._end()
