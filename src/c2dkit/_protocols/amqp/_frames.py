"""Frames: a header, one performative and its payload (AMQP 1.0 part 2, 2.3; part 5, 5.3.1)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from ._composites import AMQP_PERFORMATIVES, SASL_PERFORMATIVES, composite_at
from ._decode import MALFORMED
from ._encode import encode_value
from ._errors import FRAMING_ERROR, AmqpProtocolError
from ._performatives import Transfer
from ._transfer import usual_transfer

if TYPE_CHECKING:
    from ._performatives import Performative

__all__ = ["AMQP_FRAME", "SASL_FRAME", "Frame", "FrameDecoder", "encode_frame"]

AMQP_FRAME: Final = 0x00
SASL_FRAME: Final = 0x01

# Size, data offset in units of 4 bytes, type, channel.
_HEADER: Final = Struct(">IBBH")
_HEADER_SIZE: Final = 8
_PERFORMATIVES: Final = {AMQP_FRAME: AMQP_PERFORMATIVES, SASL_FRAME: SASL_PERFORMATIVES}


class Frame(NamedTuple):
    """One frame; ``performative`` is None in an empty frame, which only shows that the peer is alive."""

    channel: int
    frame_type: int
    performative: Performative | None
    payload: bytes

    def __repr__(self) -> str:
        """Leave the payload out: it may hold a security token."""
        return (
            f"Frame(channel={self.channel}, performative={self.performative!r}, payload of {len(self.payload)} bytes)"
        )


def encode_frame(
    channel: int, performative: Performative | None, payload: bytes = b"", *, frame_type: int = AMQP_FRAME
) -> bytes:
    """Return the bytes of one frame; without a performative it is an empty frame."""
    body = b"" if performative is None else encode_value(performative)
    return _HEADER.pack(_HEADER_SIZE + len(body) + len(payload), 2, frame_type, channel) + body + payload


class FrameDecoder:
    """Cuts a stream of bytes into frames, wherever the reads have cut it.

    Args:
        max_frame_size: The largest frame that the peer may send, in bytes; the attribute may be changed later.
    """

    def __init__(self, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._unread = bytearray()
        self._wanted = _HEADER_SIZE

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes and return the frames that they complete.

        Stops behind a SASL frame, because a protocol header may follow it: see ``unread``.

        Raises:
            AmqpProtocolError: The bytes are no frames, or a frame is too large. The decoder cannot be used after it.
        """
        if self._unread:
            self._unread += data
            if len(self._unread) < self._wanted:
                return []
            data = bytes(self._unread)
            self._unread.clear()
        try:
            frames, pos = self._frames(data)
        except MALFORMED as error:
            raise AmqpProtocolError(f"a frame is broken: {error}") from error
        if pos < len(data):
            self._unread += data[pos:]
        return frames

    def unread(self) -> bytes:
        """Return, and forget, the bytes that were fed and are not decoded yet."""
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def _frames(self, data: bytes) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        pos, end = 0, len(data)
        self._wanted = _HEADER_SIZE
        while end - pos >= _HEADER_SIZE:
            size, offset, frame_type, channel = _HEADER.unpack_from(data, pos)
            if size > self.max_frame_size or size < offset * 4 or offset < 2 or frame_type > SASL_FRAME:
                raise AmqpProtocolError(self._complaint(size, offset, frame_type), condition=FRAMING_ERROR)
            stop = pos + size
            if stop > end:
                self._wanted = size
                break
            frames.append(_frame(data, pos + offset * 4, stop, frame_type, channel))
            pos = stop
            if frame_type == SASL_FRAME:
                break
        return frames, pos

    def _complaint(self, size: int, offset: int, frame_type: int) -> str:
        if frame_type > SASL_FRAME:
            return f"a frame is of type {frame_type}"
        if size > self.max_frame_size:
            return f"a frame has {size} bytes where {self.max_frame_size} are allowed"
        return f"a frame of {size} bytes has its body at {offset * 4}"


def _frame(data: bytes, pos: int, stop: int, frame_type: int, channel: int) -> Frame:
    if frame_type == AMQP_FRAME:
        if pos == stop:
            return Frame(channel, frame_type, None, b"")
        usual = usual_transfer(data, pos, stop)
        if usual is not None:
            return Frame(channel, frame_type, usual[0], data[usual[1] : stop])
    performative, pos = composite_at(data, pos, _PERFORMATIVES[frame_type])
    # Only a transfer has a payload (part 2, 2.7.5).
    if pos != stop and (pos > stop or type(performative) is not Transfer):
        raise AmqpProtocolError(f"a frame ends at {stop}, its performative at {pos}")
    return Frame(channel, frame_type, cast("Performative", performative), data[pos:stop])
