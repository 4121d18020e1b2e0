"""The messages of QoS 1 that have come and that this end has not acknowledged (MQTT 3.1.1, 4.3.2 and 4.6)."""

from __future__ import annotations

from collections import deque

from c2dkit._protocols.mqtt._errors import MqttProtocolError

__all__ = ["Acknowledgements"]


class Acknowledgements:
    """Puts acknowledgements into the order in which the messages came, whatever order the application chose.

    The peer may use a packet id again once its PUBACK has left. Before that, the same packet id with DUP set is the
    same message sent again: the application holds it already, so it is not handed over twice, and its one PUBACK
    answers both. Without DUP it would be another message under a packet id in use, which MQTT-2.3.1-4 forbids.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[int] = deque()
        self._done: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self._order)

    def add(self, packet_id: int, *, dup: bool) -> bool:
        """Note a message that came; return False where it is one that is held already."""
        if packet_id in self._done:
            if not dup:
                raise MqttProtocolError("PUBLISH has a packet id that is in use (MQTT-2.3.1-2, MQTT-2.3.1-4)")
            return False
        if len(self._order) >= self._limit:
            raise MqttProtocolError(f"the peer has sent more than {self._limit} messages without an acknowledgement")
        self._done[packet_id] = False
        self._order.append(packet_id)
        return True

    def acknowledge(self, packet_id: int) -> list[int]:
        """Return the packet ids whose PUBACK may leave now that this message is done, in order (MQTT-4.6.0-2).

        Raises:
            ValueError: No message with this packet id waits to be acknowledged.
        """
        if self._done.get(packet_id) is not False:
            raise ValueError(f"no message with packet id {packet_id} waits to be acknowledged")
        self._done[packet_id] = True
        order, leaving = self._order, list[int]()
        while order and self._done[order[0]]:
            first = order.popleft()
            del self._done[first]
            leaving.append(first)
        return leaving
