"""What waits to be sent, in the order in which it leaves.

Frames leave as they were written. Two kinds are put off, because many become one that way:

- dispositions of neighbouring deliveries with the same state become one range, closed by the next frame of any other
  kind, so nothing ever overtakes an outcome that was told before it;
- flows are written by ``take``, one for each session and link that has something to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ._frames import encode_frame
from ._limits import MASK
from ._performatives import Accepted, Disposition, Released

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._performatives import DeliveryState, Performative

__all__ = ["Flowing", "Output"]

EMPTY_FRAME: Final = b"\x00\x00\x00\x08\x02\x00\x00\x00"
FIELDLESS: Final = (Accepted, Released)


class Flowing(Protocol):
    """A session or a link, as far as flows are concerned."""

    def flow_frame(self) -> bytes | None:
        """Return the flow state as a frame, or None while frames that it counts are not sent yet."""
        ...


class _Run:
    """Dispositions of neighbouring deliveries that can leave as one."""

    __slots__ = ("channel", "first", "last", "role", "settled", "state")

    def __init__(
        self, channel: int, delivery_id: int, state: DeliveryState | None, *, role: bool, settled: bool
    ) -> None:
        self.channel = channel
        self.first = delivery_id
        self.last = delivery_id
        self.state = state
        self.role = role
        self.settled = settled

    def takes(self, channel: int, delivery_id: int, state: DeliveryState | None, *, role: bool, settled: bool) -> bool:
        """Extend the run by one delivery if it is the same in everything but the neighbouring id."""
        if channel != self.channel or role is not self.role or settled is not self.settled:
            return False
        # Two states with fields are the same only if they are one object: 1 == True, yet the wire tells them apart.
        if state is not self.state and not (type(state) is type(self.state) and type(state) in FIELDLESS):
            return False
        if delivery_id == (self.last + 1) & MASK:
            self.last = delivery_id
        elif delivery_id == (self.first - 1) & MASK:
            self.first = delivery_id
        else:
            return False
        return True

    def frame(self) -> bytes:
        """Encode the run."""
        last = None if self.last == self.first else self.last
        return encode_frame(self.channel, Disposition(self.role, self.first, last, self.settled, self.state))


class Output:
    """The outgoing side of a connection.

    Args:
        on_too_large: Called when a frame is larger than the peer takes; the frame is dropped.
    """

    __slots__ = ("_ended", "_frames", "_held", "_on_too_large", "_owed", "_run", "answers", "max_frame_size")

    def __init__(self, on_too_large: Callable[[], None]) -> None:
        self._on_too_large = on_too_large
        self._frames: list[bytes] = []
        self._held: list[bytes] | None = []
        self._owed: dict[Flowing, None] = {}
        self._run: _Run | None = None
        self._ended = False
        self.answers = 0
        """Bytes other than messages that were written since ``take`` was last called."""
        self.max_frame_size = MASK
        """What the peer takes; unknown before its OPEN."""

    def raw(self, data: bytes) -> None:
        """Write what comes before OPEN: a protocol header or a SASL frame."""
        self._frames.append(data)

    def open(self, data: bytes) -> None:
        """Write OPEN, and behind it whatever was written before it was due (part 2, 2.4.1: OPEN comes first)."""
        self._frames.append(data)
        self._frames += self._held or ()
        self._held = None

    @property
    def is_open(self) -> bool:
        """Whether OPEN has been written."""
        return self._held is None

    def encode(self, channel: int, performative: Performative) -> bytes:
        """Return a frame other than a transfer, or nothing if the peer would not take it."""
        data = encode_frame(channel, performative)
        if len(data) > self.max_frame_size:
            self._on_too_large()
            return b""
        self.answers += len(data)
        return data

    def append(self, data: bytes) -> None:
        """Write an encoded frame."""
        if self._run is not None:
            self._close_run(self._run)
        if not self._ended:
            (self._frames if self._held is None else self._held).append(data)

    def end(self) -> None:
        """Write nothing more: CLOSE was the last frame (part 2, 2.4.3)."""
        self._ended = True
        self._owed.clear()

    def write(self, channel: int, performative: Performative) -> None:
        """Write a frame other than a transfer."""
        self.append(self.encode(channel, performative))

    def write_empty(self) -> None:
        """Write an empty frame, to be heard (part 2, 2.4.5)."""
        self.append(EMPTY_FRAME)

    def disposition(
        self, channel: int, delivery_id: int, state: DeliveryState | None, *, role: bool, settled: bool
    ) -> None:
        """Tell the state of one delivery, together with its neighbours if they are told next."""
        run = self._run
        if run is not None:
            if run.takes(channel, delivery_id, state, role=role, settled=settled):
                return
            self._close_run(run)
        self._run = _Run(channel, delivery_id, state, role=role, settled=settled)

    def owe(self, debtor: Flowing) -> None:
        """Have the flow state of a session or link sent once, with the next ``take``."""
        if not self._ended:
            self._owed[debtor] = None

    def forget(self, debtor: Flowing) -> None:
        """Owe nothing for a session or link that is gone."""
        self._owed.pop(debtor, None)

    def take(self) -> bytes:
        """Return, and forget, everything that can leave now."""
        if self._run is not None:
            self._close_run(self._run)
        if self._held is None:
            self._pay()
            self.answers = 0
        if not self._frames:
            return b""
        data = b"".join(self._frames)
        self._frames.clear()
        return data

    def _pay(self) -> None:
        for debtor in tuple(self._owed):
            frame = debtor.flow_frame()
            if frame is not None:
                del self._owed[debtor]
                self._frames.append(frame)

    def _close_run(self, run: _Run) -> None:
        self._run = None
        data = run.frame()
        if len(data) > self.max_frame_size:
            self._on_too_large()
            return
        self.answers += len(data)
        self.append(data)
