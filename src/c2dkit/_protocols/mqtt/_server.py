"""The server's end of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._protocols.mqtt._decode import check_empty, decode_connect, decode_subscribe, decode_unsubscribe
from c2dkit._protocols.mqtt._encode import PINGRESP, encode_connack, encode_suback, encode_unsuback
from c2dkit._protocols.mqtt._endpoint import Endpoint
from c2dkit._protocols.mqtt._errors import MqttProtocolError, MqttSilenceError
from c2dkit._protocols.mqtt._events import (
    ConnectReceived,
    DisconnectReceived,
    ServerEvent,
    SubscribeReceived,
    UnsubscribeReceived,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MqttServer"]

CONNECT_SECONDS: Final = 30.0
"""How long a client may take from the first ``tick`` to its CONNECT: "a reasonable amount of time" (MQTT 3.1.1, 3.1.4)."""


class MqttServer(Endpoint[ServerEvent]):
    """A server's end of one client's connection. PINGREQ is answered here; every other answer is the application's.

    A client need not wait for the CONNACK, so other events can stand behind ConnectReceived in one list; they are void
    if the application answers with a refusal (MQTT-3.1.4-5), after which the connection is to be closed.
    A CONNECT that no server could accept is refused here, before the error is raised.

    Sending methods raise ValueError for what MQTT 3.1.1 cannot say or nobody asked for, and RuntimeError before
    ``connack(0)`` and after the client's DISCONNECT.

    Attributes:
        keep_alive_limit: Seconds of silence after which any client is given up, whatever keep-alive it asked for;
            None leaves it to the client.

    Args:
        max_packet_size: Bytes of the largest packet that the client may send.
        max_unacknowledged: Messages of QoS 1 that may be unacknowledged, each way, and requests that may be unanswered.
    """

    def __init__(self, *, max_packet_size: int = 262_144, max_unacknowledged: int = 1024) -> None:
        super().__init__(max_packet_size=max_packet_size, max_unacknowledged=max_unacknowledged)
        self.keep_alive_limit: float | None = None
        self._max_unanswered = max_unacknowledged
        self._keep_alive: int | None = None  # None before CONNECT
        self._accepted = False
        self._subscribes: dict[int, int] = {}
        self._unsubscribes: set[int] = set()
        self._heard = True
        self._heard_at = 0.0

    def connack(self, return_code: int, *, session_present: bool = False) -> None:
        """Answer CONNECT: 0 accepts it, 1 to 5 refuse it."""
        if self._keep_alive is None or self._accepted or self._over:
            raise RuntimeError("no CONNECT waits for its answer")
        self._unsent.append(encode_connack(return_code, session_present=session_present))
        self._accepted = return_code == 0
        self._over = not self._accepted

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, dup: bool = False, retain: bool = False
    ) -> int | None:
        """Send PUBLISH; return its packet id, which QoS 0 has not.

        Raises:
            RuntimeError: Also where ``max_unacknowledged`` messages wait for their PUBACK.
        """
        return self._publish(topic, payload, qos=qos, dup=dup, retain=retain)

    def puback(self, packet_id: int) -> None:
        """Acknowledge a message of QoS 1; its PUBACK leaves when those of all earlier messages have.

        Raises:
            ValueError: No message with this packet id waits to be acknowledged.
        """
        self._acknowledge(packet_id)

    def suback(self, packet_id: int, return_codes: Sequence[int]) -> None:
        """Answer SUBSCRIBE: for each topic filter the granted QoS, or 0x80 to refuse it (MQTT-3.8.4-5)."""
        self._check_ready()
        if self._subscribes.get(packet_id) != len(return_codes):
            raise ValueError(f"no SUBSCRIBE with packet id {packet_id} and so many topic filters waits")
        self._unsent.append(encode_suback(packet_id, return_codes))
        del self._subscribes[packet_id]

    def unsuback(self, packet_id: int) -> None:
        """Answer UNSUBSCRIBE."""
        self._check_ready()
        if packet_id not in self._unsubscribes:
            raise ValueError(f"no UNSUBSCRIBE with packet id {packet_id} waits")
        self._unsubscribes.remove(packet_id)
        self._unsent.append(encode_unsuback(packet_id))

    def tick(self, now: float) -> float | None:
        """Look for silence and return when to be called again.

        Args:
            now: Seconds of any monotonic clock, soon after each read.

        Raises:
            MqttProtocolError: No CONNECT came in time, no packet came for 1.5 times the client's keep-alive or for
                ``keep_alive_limit``, or the client broke the protocol in the last read.
        """
        self._check_failure()
        if self._heard:
            self._heard_at = now
            self._heard = False
        allowed = self._allowed_silence()
        if allowed is None:
            return None
        if now >= self._heard_at + allowed:
            raise MqttSilenceError(f"no packet came for {allowed:g} seconds (MQTT-3.1.2-24)")
        return self._heard_at + allowed

    def _allowed_silence(self) -> float | None:
        if self._over:
            return None
        if self._keep_alive is None:
            return CONNECT_SECONDS
        if not self._keep_alive:
            return self.keep_alive_limit
        allowed = 1.5 * self._keep_alive
        return allowed if self.keep_alive_limit is None else min(allowed, self.keep_alive_limit)

    def _take(self, first: int, body: bytes) -> ServerEvent | None:
        self._heard = True
        if self._keep_alive is None:
            return self._take_connect(first, body)
        if first >> 4 == 3:
            return self._take_publish(first, body)
        return self._take_control(first, body)

    def _take_control(self, first: int, body: bytes) -> ServerEvent | None:
        match first:  # with the flags that each type must have (MQTT-2.2.2-2)
            case 0x40:
                return self._take_puback(body)
            case 0x82:
                return self._take_subscribe(body)
            case 0xA2:
                return self._take_unsubscribe(body)
            case 0xC0:
                check_empty(body)
                self._unsent.append(PINGRESP)  # MQTT-3.12.4-1
                return None
            case 0xE0:
                return self._take_disconnect(body)
            case _:
                # Among them a second CONNECT (MQTT-3.1.0-2).
                raise MqttProtocolError(f"a packet begins with 0x{first:02x}, which no client may send now")

    def _take_connect(self, first: int, body: bytes) -> ConnectReceived:
        if first != 0x10:
            raise MqttProtocolError("the first packet is not a CONNECT (MQTT-3.1.0-1)")
        try:
            event = decode_connect(body)
        except MqttProtocolError as error:
            if error.connack is not None:
                self._unsent.append(encode_connack(error.connack, session_present=False))
            raise
        self._keep_alive = event.keep_alive
        return event

    def _take_subscribe(self, body: bytes) -> SubscribeReceived:
        event = decode_subscribe(body)
        self._check_request(event.packet_id)
        self._subscribes[event.packet_id] = len(event.filters)
        return event

    def _take_unsubscribe(self, body: bytes) -> UnsubscribeReceived:
        event = decode_unsubscribe(body)
        self._check_request(event.packet_id)
        self._unsubscribes.add(event.packet_id)
        return event

    def _check_request(self, packet_id: int) -> None:
        if packet_id in self._subscribes or packet_id in self._unsubscribes:
            raise MqttProtocolError("a request has a packet id that is in use (MQTT-2.3.1-2)")
        if len(self._subscribes) + len(self._unsubscribes) >= self._max_unanswered:
            raise MqttProtocolError(f"more than {self._max_unanswered} requests wait for an answer")

    def _take_disconnect(self, body: bytes) -> DisconnectReceived:
        check_empty(body)
        self._over = True
        return DisconnectReceived()

    def _check_ready(self) -> None:
        if not self._accepted or self._over:
            raise RuntimeError("the connection is not accepted, or it is over")
