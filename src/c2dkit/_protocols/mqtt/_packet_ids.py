"""The packet ids that this end has given out and whose answer is still to come (MQTT 3.1.1, 2.3.1)."""

from __future__ import annotations

__all__ = ["PacketIds"]


class PacketIds:
    """Gives out packet ids that are not in use, at most ``limit`` at a time, and knows what answers each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last = 0
        self._expected: dict[int, tuple[int, int]] = {}

    def unused(self) -> int:
        """Return a packet id for a new packet, which is in use once ``expect`` is called.

        Raises:
            RuntimeError: ``limit`` packets wait for their answer.
        """
        if len(self._expected) >= self._limit:
            raise RuntimeError(f"{self._limit} packets are not acknowledged yet")
        packet_id = self._last % 65_535 + 1
        while packet_id in self._expected:  # MQTT-2.3.1-2
            packet_id = packet_id % 65_535 + 1
        return packet_id

    def expect(self, packet_id: int, answer: int, count: int = 1) -> None:
        """Note that a packet of type ``answer`` is to come for ``packet_id``, about ``count`` topic filters."""
        self._last = packet_id
        self._expected[packet_id] = (answer, count)

    def release(self, packet_id: int, answer: int) -> int | None:
        """Free an answered packet id and return its ``count``, or None if no such answer was expected."""
        expected = self._expected.get(packet_id)
        if expected is None or expected[0] != answer:
            return None
        del self._expected[packet_id]
        return expected[1]
