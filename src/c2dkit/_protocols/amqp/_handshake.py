"""What comes before the first AMQP frame: protocol headers and the SASL layer (AMQP 1.0 part 2, 2.2; part 5, 5.3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NoReturn

from ._errors import FRAMING_ERROR, AmqpProtocolError
from ._events import SaslFailed, SaslInitReceived
from ._frames import SASL_FRAME, FrameDecoder, encode_frame
from ._limits import MAX_SASL_FRAME
from ._performatives import SaslInit, SaslMechanisms, SaslOutcome
from ._sasl import SASL_AUTH, SASL_OK
from ._types import Symbol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._connection import Connection
    from ._events import Event
    from ._output import Output
    from ._performatives import Performative
    from ._sasl import SaslClient, SaslServer

__all__ = ["ClientHandshake", "Handshake", "ServerHandshake"]

AMQP_HEADER: Final = b"AMQP\x00\x01\x00\x00"
SASL_HEADER: Final = b"AMQP\x03\x01\x00\x00"
MAX_SENT_AHEAD: Final = 65536
"""Bytes that a client may send behind its credentials before it knows that they are good."""


class Handshake(ABC):
    """Takes bytes until AMQP frames may come, one step after the other."""

    def __init__(self, connection: Connection, output: Output) -> None:
        self.header_sent = False
        """Whether our AMQP header has left, so that frames may follow."""
        self.done = False
        self.failed = False
        self._connection = connection
        self._output = output
        self._buffer = b""
        self._step: Callable[[list[Event]], bool] = self._take_header

    def receive(self, data: bytes, events: list[Event]) -> bytes:
        """Take bytes and return those that are no longer the handshake's."""
        self._buffer += data
        while not (self.done or self.failed) and self._step(events):
            pass
        if self.done:
            return self._buffer
        if len(self._buffer) > MAX_SENT_AHEAD:
            raise AmqpProtocolError("too much was sent before the SASL outcome", condition=FRAMING_ERROR)
        return b""

    def outcome(self, code: int, additional_data: bytes | None, events: list[Event]) -> bytes:
        """Answer a client's SASL init; the rest as ``receive``."""
        raise RuntimeError("only a server says how SASL ended")

    def _take_header(self, events: list[Event]) -> bool:
        header = self._buffer[:8]
        # Whoever speaks another protocol may be waiting for us, so do not wait for the eighth byte.
        if not header.startswith(AMQP_HEADER[: min(4, len(header))]):
            self._refuse_header(header)
        if len(header) < 8:
            return False
        self._buffer = self._buffer[8:]
        self._on_header(header, events)
        return True

    def _take_sasl_frame(self, events: list[Event]) -> bool:
        decoder = FrameDecoder(MAX_SASL_FRAME)
        frames = decoder.feed(self._buffer)
        self._buffer = decoder.unread()
        if not frames:
            return False
        frame = frames[0]
        if frame.frame_type != SASL_FRAME or frame.performative is None:
            raise AmqpProtocolError("a SASL frame is due", condition=FRAMING_ERROR)
        self._on_sasl_frame(frame.performative, events)
        return True

    def _send_header(self) -> None:
        self._output.raw(AMQP_HEADER)
        self.header_sent = True

    def _send_sasl(self, performative: Performative) -> None:
        self._output.raw(encode_frame(0, performative, frame_type=SASL_FRAME))

    @abstractmethod
    def _on_header(self, header: bytes, events: list[Event]) -> None:
        """Take the peer's header."""

    @abstractmethod
    def _on_sasl_frame(self, performative: Performative, events: list[Event]) -> None:
        """Take the peer's SASL frame."""

    def _refuse_header(self, header: bytes) -> NoReturn:
        raise AmqpProtocolError(f"the peer answers with the protocol header {header!r}", condition=FRAMING_ERROR)


class ClientHandshake(Handshake):
    """The side that speaks first."""

    def __init__(self, connection: Connection, output: Output, sasl: SaslClient | None) -> None:
        super().__init__(connection, output)
        self._sasl = sasl
        self._expected = AMQP_HEADER if sasl is None else SASL_HEADER
        self._init_sent = False

    def start(self) -> None:
        """Send the first header."""
        if self._sasl is None:
            self._send_header()
        else:
            self._output.raw(SASL_HEADER)

    def _on_header(self, header: bytes, events: list[Event]) -> None:
        if header != self._expected:
            self._refuse_header(header)
        if header == SASL_HEADER:
            self._step = self._take_sasl_frame
        else:
            self.done = True

    def _on_sasl_frame(self, performative: Performative, events: list[Event]) -> None:
        if isinstance(performative, SaslMechanisms) and not self._init_sent:
            self._choose(performative.sasl_server_mechanisms)
        elif isinstance(performative, SaslOutcome) and self._init_sent:
            self._on_outcome(performative.code, events)
        else:
            raise AmqpProtocolError(
                f"{type(performative).__name__} is not expected here", condition="amqp:not-implemented"
            )

    def _choose(self, offered: tuple[str, ...]) -> None:
        # part 5, 5.3.2: the client waits for the offer, and chooses out of it.
        if self._sasl is None or self._sasl.mechanism not in offered:
            raise AmqpProtocolError(
                f"the SASL mechanism is not among those offered: {', '.join(offered)}", condition="amqp:not-implemented"
            )
        mechanism, response = Symbol(self._sasl.mechanism), self._sasl.initial_response
        self._send_sasl(SaslInit(mechanism, response, self._connection.hostname))
        self._init_sent = True

    def _on_outcome(self, code: int, events: list[Event]) -> None:
        if code != SASL_OK:
            self.failed = True
            events.append(SaslFailed(self._connection, code))
            return
        self._expected = AMQP_HEADER
        self._step = self._take_header
        self._send_header()


class ServerHandshake(Handshake):
    """The side that answers the first header."""

    def __init__(self, connection: Connection, output: Output, sasl: SaslServer | None, *, accept_plain: bool) -> None:
        super().__init__(connection, output)
        self._sasl = sasl
        self._accept_plain = accept_plain or sasl is None

    def outcome(self, code: int, additional_data: bytes | None, events: list[Event]) -> bytes:
        """Answer the client's SASL init; the rest as ``receive``."""
        if self._step != self._wait:
            raise RuntimeError("no SASL init waits for an outcome")
        self._send_sasl(SaslOutcome(code, additional_data))
        if code != SASL_OK:
            self.failed = True
            return b""
        self._accept_plain = True
        self._sasl = None
        self._step = self._take_header
        return self.receive(b"", events)

    def _on_header(self, header: bytes, events: list[Event]) -> None:
        if header == SASL_HEADER and self._sasl is not None:
            self._output.raw(SASL_HEADER)
            self._send_sasl(SaslMechanisms(tuple(Symbol(name) for name in self._sasl.mechanisms)))
            self._step = self._take_sasl_frame
        elif header == AMQP_HEADER and self._accept_plain:
            self._send_header()
            self.done = True
        else:
            self._refuse_header(header)

    def _on_sasl_frame(self, performative: Performative, events: list[Event]) -> None:
        if not isinstance(performative, SaslInit):
            raise AmqpProtocolError(
                f"{type(performative).__name__} in place of SASL init", condition="amqp:not-implemented"
            )
        if self._sasl is None or performative.mechanism not in self._sasl.mechanisms:
            # part 5, 5.3.3.2: a mechanism that was not offered ends the connection.
            self._send_sasl(SaslOutcome(SASL_AUTH))
            raise AmqpProtocolError("the SASL mechanism was not offered", condition="amqp:unauthorized-access")
        self._step = self._wait
        events.append(SaslInitReceived(self._connection, performative.mechanism, performative.initial_response))

    def _wait(self, events: list[Event]) -> bool:
        return False

    def _refuse_header(self, header: bytes) -> NoReturn:
        # part 2, 2.2: "If the requested protocol version is not supported, the server MUST send a protocol header
        # with a supported protocol version and then close the socket." So too for a required SASL layer.
        self._output.raw(AMQP_HEADER if self._sasl is None else SASL_HEADER)
        raise AmqpProtocolError(f"the protocol header {header!r} is not accepted", condition=FRAMING_ERROR)
