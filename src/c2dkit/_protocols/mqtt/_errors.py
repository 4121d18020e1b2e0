"""The one error that a peer can cause."""

from __future__ import annotations

__all__ = ["MqttProtocolError"]


class MqttProtocolError(Exception):
    """The peer broke MQTT 3.1.1, exceeded a limit, or went silent; the connection is of no more use.

    Attributes:
        connack: The CONNACK return code that a client must be told before its connection is closed, or None.
    """

    def __init__(self, message: str, *, connack: int | None = None) -> None:
        super().__init__(message)
        self.connack = connack
