"""What the two roles of MQTT 3.1.1 have in common: bytes in, bytes out, PUBLISH and PUBACK.

Supported is what cloud-to-device messages need: QoS 0 and 1. Anything else that a peer says ends in
MqttProtocolError, after which the connection has to be closed (MQTT-4.8.0-1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from c2dkit._protocols.mqtt._acknowledgements import Acknowledgements
from c2dkit._protocols.mqtt._decode import decode_packet_id, decode_publish
from c2dkit._protocols.mqtt._encode import encode_puback, encode_publish
from c2dkit._protocols.mqtt._errors import MqttProtocolError
from c2dkit._protocols.mqtt._events import PubackReceived, PublishReceived
from c2dkit._protocols.mqtt._packet_ids import PacketIds
from c2dkit._protocols.mqtt._reader import PacketReader

__all__ = ["Endpoint"]

PUBACK = 0x40

# Packets that may wait for a peer that sends without reading what it is answered.
MAX_UNSENT = 65_536

EventT = TypeVar("EventT")


class Endpoint(ABC, Generic[EventT]):
    """One end of one connection.

    Events that came before a breach of the protocol in the same read are still returned; the error is raised by the
    next call of ``receive_data`` or ``tick``.
    """

    def __init__(self, *, max_packet_size: int, max_unacknowledged: int) -> None:
        if not 1 <= max_unacknowledged <= 65_535:
            raise ValueError("max_unacknowledged is 1 to 65535, which is how many packet ids there are")
        self._reader = PacketReader(max_packet_size)
        self._packet_ids = PacketIds(max_unacknowledged)
        self._acknowledgements = Acknowledgements(max_unacknowledged)
        self._unsent: list[bytes] = []
        self._failure: MqttProtocolError | None = None
        # Nothing is processed after a refused CONNECT or behind DISCONNECT (MQTT-3.1.4-5, MQTT-3.14.4-2).
        self._over = False

    def receive_data(self, data: bytes) -> list[EventT]:
        """Take bytes from the peer and return what they mean; nothing once the connection is refused or given up.

        Raises:
            MqttProtocolError: The peer broke the protocol or a limit.
        """
        self._check_failure()
        events: list[EventT] = []
        try:
            self._take_all(data, events)
        except MqttProtocolError as error:
            self._failure = error
            if not events:
                raise
        return events

    def data_to_send(self) -> bytes:
        """Return, and forget, everything that waits to be sent."""
        data = b"".join(self._unsent)
        self._unsent.clear()
        return data

    def _take_all(self, data: bytes, events: list[EventT]) -> None:
        if self._over:
            return
        if len(self._unsent) > MAX_UNSENT:
            raise MqttProtocolError("the peer sends but does not read what it is answered")
        for first, body in self._reader.packets(data):
            event = self._take(first, body)
            if event is not None:
                events.append(event)
            if self._over:
                return

    @abstractmethod
    def _take(self, first: int, body: bytes) -> EventT | None:
        """Process one packet, given its first byte and what follows the fixed header."""

    def _take_publish(self, first: int, body: bytes) -> PublishReceived | None:
        event = decode_publish(first, body)
        if event.qos == 1 and event.packet_id is not None:
            return event if self._acknowledgements.add(event.packet_id, dup=event.dup) else None
        return event

    def _take_puback(self, body: bytes) -> PubackReceived | None:
        packet_id = decode_packet_id(body)
        # One that answers nothing is ignored: it may be about a message of the session's last connection (inferred).
        return PubackReceived(packet_id) if self._packet_ids.release(packet_id, PUBACK) else None

    def _publish(self, topic: str, payload: bytes, *, qos: int, dup: bool, retain: bool) -> int | None:
        if qos not in (0, 1):
            raise ValueError("only QoS 0 and 1 are supported")
        self._check_ready()
        packet_id = self._packet_ids.unused() if qos else None
        self._unsent.append(encode_publish(topic, payload, packet_id=packet_id, dup=dup, retain=retain))
        if packet_id is not None:
            self._packet_ids.expect(packet_id, PUBACK)
        return packet_id

    def _acknowledge(self, packet_id: int) -> None:
        self._check_ready()
        for leaving in self._acknowledgements.acknowledge(packet_id):
            self._unsent.append(encode_puback(leaving))

    @abstractmethod
    def _check_ready(self) -> None:
        """Raise RuntimeError where this end may not send now."""

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
