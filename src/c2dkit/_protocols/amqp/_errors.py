"""The one exception that a peer's bytes can cause, and the ``error`` type of the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DECODE_ERROR", "FRAMING_ERROR", "AmqpError", "AmqpProtocolError", "AmqpSilenceError"]

DECODE_ERROR: Final = "amqp:decode-error"
"""AMQP 1.0 part 2, 2.8.15: data could not be decoded."""
FRAMING_ERROR: Final = "amqp:connection:framing-error"
"""AMQP 1.0 part 2, 2.8.16: a valid frame header cannot be formed from the incoming bytes."""


class AmqpProtocolError(Exception):
    """The peer broke the protocol.

    Attributes:
        condition: The symbolic error condition to close the connection with, for example ``amqp:decode-error``.
    """

    def __init__(self, message: str, *, condition: str = DECODE_ERROR) -> None:
        super().__init__(message)
        self.condition = condition


class AmqpSilenceError(AmqpProtocolError):
    """Nothing came for longer than our idle time-out (part 2, 2.4.5): the link is dead, or the peer is."""


class AmqpError(NamedTuple):
    """Details of an error as the wire carries them (AMQP 1.0 part 2, 2.8.14)."""

    condition: str
    description: str | None = None
    info: Mapping[str, object] | None = None
