"""The sessions of a connection, by our channel numbers and by the peer's (AMQP 1.0 part 2, 2.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import FRAMING_ERROR, AmqpProtocolError
from ._events import SessionBegun
from ._session import Session

if TYPE_CHECKING:
    from ._connection import Connection
    from ._events import Event
    from ._output import Output
    from ._performatives import Begin, End

__all__ = ["Channels"]


class Channels:
    """Both tables."""

    __slots__ = ("_connection", "_ours", "_output", "_theirs")

    def __init__(self, connection: Connection, output: Output) -> None:
        self._connection = connection
        self._output = output
        self._ours: dict[int, Session] = {}
        self._theirs: dict[int, Session] = {}

    def session(self, channel: int) -> Session:
        """Return the session that the peer means by a channel number."""
        session = self._theirs.get(channel)
        if session is None:
            raise AmqpProtocolError(f"channel {channel} has no session", condition=FRAMING_ERROR)
        return session

    def new(self) -> Session | None:
        """Return a new session on our lowest free channel, None if there is none."""
        highest = self._connection.limits.channel_max
        if self._connection.remote_open is not None:
            highest = min(highest, self._connection.remote_open.channel_max)
        channel = next((channel for channel in range(highest + 1) if channel not in self._ours), None)
        if channel is None:
            return None
        session = self._ours[channel] = Session(self._connection, channel, self._output)
        return session

    def on_begin(self, channel: int, begin: Begin, events: list[Event]) -> None:
        """Take the peer's BEGIN, and answer it unless it is an answer."""
        if channel > self._connection.limits.channel_max:
            # part 2, 2.7.1: "A peer that receives a channel number outside the supported range MUST close the
            # connection with the framing-error error-code."
            raise AmqpProtocolError(f"channel {channel} is out of range", condition=FRAMING_ERROR)
        if channel in self._theirs:
            raise AmqpProtocolError(f"channel {channel} is in use", condition="amqp:illegal-state")
        session = self._answered(begin.remote_channel) if begin.remote_channel is not None else self.new()
        if session is None:
            raise AmqpProtocolError("more sessions than channels", condition="amqp:resource-limit-exceeded")
        session.on_begin(channel, begin)
        self._theirs[channel] = session
        if begin.remote_channel is None:
            session.begin()
        if session.is_open:
            events.append(SessionBegun(session))

    def on_end(self, channel: int, end: End, events: list[Event]) -> None:
        """Take the peer's END, and free both channel numbers."""
        session = self.session(channel)
        session.on_end(end, events)
        del self._theirs[channel]
        del self._ours[session.channel]

    def abandon(self) -> None:
        """Take note that no session can say anything more."""
        for session in self._ours.values():
            session.abandon()

    def _answered(self, channel: int) -> Session:
        # part 2, 2.7.2: remote-channel names the session that a BEGIN answers.
        session = self._ours.get(channel)
        if session is None or session.remote_channel is not None:
            raise AmqpProtocolError(f"channel {channel} waits for no BEGIN", condition="amqp:invalid-field")
        return session
