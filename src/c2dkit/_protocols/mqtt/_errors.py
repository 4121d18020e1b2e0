"""The errors that a peer can cause."""

from __future__ import annotations

__all__ = ["MqttProtocolError", "MqttSilenceError"]


class MqttProtocolError(Exception):
    """The peer broke MQTT 3.1.1, exceeded a limit, or went silent; the connection is of no more use.

    Attributes:
        connack: The CONNACK return code that a client must be told before its connection is closed, or None.
    """

    def __init__(self, message: str, *, connack: int | None = None) -> None:
        super().__init__(message)
        self.connack = connack


class MqttSilenceError(MqttProtocolError):
    """Nothing came for longer than the keep-alive allows (3.1.2.10): the link is dead, or the peer is."""
