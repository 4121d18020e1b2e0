"""What bounds the memory and the work that a peer can cause, and the serial numbers that the bounds are reckoned in."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "MASK",
    "MAX_ANSWERS",
    "MAX_MESSAGE_SIZE",
    "MAX_SASL_FRAME",
    "MIN_IDLE_TIME_OUT",
    "MIN_MAX_FRAME_SIZE",
    "Limits",
    "ahead",
]

MASK: Final = 0xFFFFFFFF
"""Delivery ids, transfer ids and delivery counts are RFC 1982 serial numbers of 32 bits (part 2, 2.8.9)."""

MIN_MAX_FRAME_SIZE: Final = 512
"""AMQP 1.0 part 2, 2.8.19: every peer takes frames of this size."""

MAX_SASL_FRAME: Final = 8192
"""In bytes. Part 5, 5.3.1 says 512, but Azure clients put a SAS token into the initial response of PLAIN, and a token
with a long resource or an Entra ID token in its place is larger than that."""

MIN_IDLE_TIME_OUT: Final = 100
"""In milliseconds. Who asks for a frame more often than that asks for work, not for a sign of life."""

MAX_MESSAGE_SIZE: Final = 1_048_576
"""In bytes, of one message, unless a connection or link is told otherwise."""

MAX_ANSWERS: Final = 4 * 1024 * 1024
"""Bytes, other than messages, that may wait for a peer that goes on asking but does not read the answers."""


class Limits(NamedTuple):
    """The bounds of one connection.

    Attributes:
        max_frame_size: In bytes, of the frames taken.
        channel_max: The highest channel number, so one less than the number of sessions.
        handle_max: The highest link handle, so one less than the number of links of a session.
        max_message_size: In bytes, of one message taken, however many frames it comes in. Messages that have come in
            part only may together use four times as much.
        max_unsettled: Deliveries of one session and direction that may be unsettled.
        incoming_window: Transfer frames that a peer may send ahead in one session.
    """

    max_frame_size: int = 65536
    channel_max: int = 255
    handle_max: int = 255
    max_message_size: int = MAX_MESSAGE_SIZE
    max_unsettled: int = 8192
    incoming_window: int = 2048


def ahead(later: int, earlier: int) -> int:
    """Return how far the serial number ``later`` is in front of ``earlier``, 0 if it is behind it (RFC 1982)."""
    distance = (later - earlier) & MASK
    return distance if distance < 0x80000000 else 0
