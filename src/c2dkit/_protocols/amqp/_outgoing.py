"""The outgoing window of a session: transfers wait here for the peer's (AMQP 1.0 part 2, 2.5.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._limits import MASK, ahead

if TYPE_CHECKING:
    from ._output import Output
    from ._performatives import Flow

__all__ = ["OutgoingFrames"]


class OutgoingFrames:
    """Counts transfer frames and holds back those that the peer has no room for."""

    __slots__ = ("_output", "_waiting", "_window", "next_id")

    def __init__(self, output: Output) -> None:
        self._output = output
        self._window = 0
        # True marks a transfer; what else waits must not pass the transfers before it.
        self._waiting: list[tuple[bytes, bool]] = []
        self.next_id = 0
        """The transfer id of the next frame."""

    @property
    def are_waiting(self) -> bool:
        """Whether frames are held back."""
        return bool(self._waiting)

    def transfer(self, frame: bytes) -> None:
        """Send a transfer frame, now or when there is room."""
        if self._window <= 0:
            self._waiting.append((frame, True))
        else:
            self._send(frame)

    def other(self, frame: bytes) -> None:
        """Send any other frame behind the transfers so far."""
        if self._waiting:
            self._waiting.append((frame, False))
        else:
            self._output.append(frame)

    def on_begin(self, incoming_window: int) -> None:
        """Take the peer's first window."""
        self._window = incoming_window

    def on_flow(self, flow: Flow) -> None:
        """Take the peer's window, and send what it has room for."""
        # part 2, 2.5.6: remote-incoming-window := next-incoming-id(flow) + incoming-window(flow) -
        # next-outgoing-id(endpoint). A peer that has not seen our BEGIN yet leaves the id out: then it is the initial
        # one, which is 0.
        seen = 0 if flow.next_incoming_id is None else flow.next_incoming_id
        self._window = max(0, flow.incoming_window - ahead(self.next_id, seen))
        sent = 0
        for frame, is_transfer in self._waiting:
            if not is_transfer:
                self._output.append(frame)
            elif self._window > 0:
                self._send(frame)
            else:
                break
            sent += 1
        del self._waiting[:sent]

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    def _send(self, frame: bytes) -> None:
        self._window -= 1
        self.next_id = (self.next_id + 1) & MASK
        self._output.append(frame)
