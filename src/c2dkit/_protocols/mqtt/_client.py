"""The client's end of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._protocols.mqtt._decode import check_empty, decode_connack, decode_packet_id, decode_suback
from c2dkit._protocols.mqtt._encode import (
    DISCONNECT,
    PINGREQ,
    encode_connect,
    encode_subscribe,
    encode_unsubscribe,
)
from c2dkit._protocols.mqtt._endpoint import Endpoint
from c2dkit._protocols.mqtt._errors import MqttProtocolError, MqttSilenceError
from c2dkit._protocols.mqtt._events import (
    ClientEvent,
    ConnackReceived,
    PublishReceived,
    SubackReceived,
    UnsubackReceived,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MqttClient"]

CONNACK: Final = 0x20
SUBACK: Final = 0x90
UNSUBACK: Final = 0xB0


class MqttClient(Endpoint[ClientEvent]):
    """A client: call ``connect`` first; the rest may follow at once or wait for the CONNACK (3.1.4).

    Sending methods raise ValueError for what MQTT 3.1.1 cannot say and RuntimeError before ``connect``, after
    ``disconnect`` and after a refused connection. Nobody limits the wait for the CONNACK here.

    Args:
        max_packet_size: Bytes of the largest packet that the server may send.
        max_unacknowledged: Messages of QoS 1 that may be unacknowledged, each way. A server that sends more breaks
            the connection, so what one read can hold has to fit in.
    """

    def __init__(self, *, max_packet_size: int = 262_144, max_unacknowledged: int = 1024) -> None:
        super().__init__(max_packet_size=max_packet_size, max_unacknowledged=max_unacknowledged)
        self._reading = True
        self._connecting = False
        self._connected = False
        self._clean_session = False
        self._keep_alive = 0
        self._heard = False
        self._spoken = False
        self._excused = False
        self._heard_at = 0.0
        self._spoken_at = 0.0
        self._pinged_at: float | None = None

    def connect(
        self,
        *,
        client_id: str,
        username: str | None = None,
        password: bytes | None = None,
        keep_alive: int = 60,
        clean_session: bool = False,
    ) -> None:
        """Send CONNECT; ``keep_alive`` is in seconds, and 0 switches pings and the search for silence off."""
        if self._connecting:
            raise RuntimeError("CONNECT is sent once (MQTT-3.1.0-2)")
        packet = encode_connect(
            client_id=client_id,
            username=username,
            password=password,
            keep_alive=keep_alive,
            clean_session=clean_session,
        )
        self._unsent.append(packet)
        self._connecting = True
        self._clean_session = clean_session
        self._keep_alive = keep_alive
        self._heard = self._spoken = True  # the time of both begins here, whenever the first tick was

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> int:
        """Send SUBSCRIBE for topic filters, each with QoS 0 or 1; return its packet id."""
        self._check_ready()
        packet_id = self._packet_ids.unused()
        self._unsent.append(encode_subscribe(packet_id, filters))
        self._packet_ids.expect(packet_id, SUBACK, len(filters))
        return packet_id

    def unsubscribe(self, filters: Sequence[str]) -> int:
        """Send UNSUBSCRIBE; return its packet id."""
        self._check_ready()
        packet_id = self._packet_ids.unused()
        self._unsent.append(encode_unsubscribe(packet_id, filters))
        self._packet_ids.expect(packet_id, UNSUBACK)
        return packet_id

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int | None:
        """Send PUBLISH; return its packet id, which QoS 0 has not.

        Raises:
            RuntimeError: Also where ``max_unacknowledged`` packets wait for their answer.
        """
        return self._publish(topic, payload, qos=qos, dup=False, retain=retain)

    def acknowledge(self, packet_id: int) -> None:
        """Say that a message is done; its PUBACK leaves when those of all earlier messages have (MQTT-4.6.0-2).

        Raises:
            ValueError: No message with this packet id waits to be acknowledged.
        """
        self._acknowledge(packet_id)

    def disconnect(self) -> None:
        """Send DISCONNECT, after which nothing is sent (MQTT-3.14.4-2) and what still comes is ignored.

        Does nothing where there is no connection to end.
        """
        if self._connecting and not self._over:
            self._unsent.append(DISCONNECT)
            self._over = True

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Take bytes from the server and return what they mean; see ``Endpoint``."""
        self._heard = True
        return super().receive_data(data)

    def data_to_send(self) -> bytes:
        """Return, and forget, everything that waits to be sent."""
        data = super().data_to_send()
        self._spoken = self._spoken or bool(data)
        return data

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 have come whose PUBACK has not been queued."""
        return len(self._acknowledgements)

    @property
    def reading(self) -> bool:
        """Whether what the server sends is read; True at first.

        Set it to False for as long as the bytes are left where they are on purpose: silence then proves nothing, and
        the server is given its full time again afterwards.
        """
        return self._reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        self._reading = reading
        self._excused = True

    def tick(self, now: float) -> float | None:
        """Ping the server when it is time to; return when to be called again.

        A PINGREQ is sent when this end said nothing for ``keep_alive`` (MQTT-3.1.2-23), and when the server did: a
        client that only acknowledges now and then finds out too. A server that says nothing for half of
        ``keep_alive`` after it is gone, so silence is found within 1.5 times ``keep_alive``.

        Args:
            now: Seconds of any monotonic clock, soon after each read and each write.

        Raises:
            MqttSilenceError: The server is silent.
            MqttProtocolError: The server broke the protocol in the last read.
        """
        self._check_failure()
        self._note_time(now)
        if not self._keep_alive or self._over:
            return None
        if self._pinged_at is not None and now >= self._silence_ends_at(self._pinged_at):
            raise MqttSilenceError(f"no PINGRESP came within {self._keep_alive / 2:g} seconds (3.1.2.10)")
        if now >= self._ping_at():
            self._unsent.append(PINGREQ)
            self._spoken_at = now
            self._pinged_at = now if self._pinged_at is None else self._pinged_at
        if self._pinged_at is None:
            return self._ping_at()
        return min(self._ping_at(), self._silence_ends_at(self._pinged_at))

    def _note_time(self, now: float) -> None:
        if self._heard or self._excused:
            self._heard_at = now
        if self._spoken:
            self._spoken_at = now
        self._heard = self._spoken = False
        self._excused = not self._reading

    def _ping_at(self) -> float:
        if self._pinged_at is not None:
            return self._spoken_at + self._keep_alive
        return min(self._spoken_at, self._heard_at) + self._keep_alive

    def _silence_ends_at(self, pinged_at: float) -> float:
        # Not PINGRESP alone: it can be a long way behind messages that are being read.
        return max(pinged_at, self._heard_at) + self._keep_alive / 2

    def _take(self, first: int, body: bytes) -> ClientEvent | None:
        if not self._connected:
            return self._take_connack(first, body)
        if first >> 4 == 3:
            return self._take_message(first, body)
        return self._take_control(first, body)

    def _take_control(self, first: int, body: bytes) -> ClientEvent | None:
        match first:  # with the flags that each type must have (MQTT-2.2.2-2)
            case 0x40:
                return self._take_puback(body)
            case 0x90:
                return self._take_suback(body)
            case 0xB0:
                return self._take_unsuback(body)
            case 0xD0:
                check_empty(body)
                self._pinged_at = None
                return None
            case _:
                raise MqttProtocolError(f"a packet begins with 0x{first:02x}, which no server may send now")

    def _take_connack(self, first: int, body: bytes) -> ConnackReceived:
        if first != CONNACK or not self._connecting:
            raise MqttProtocolError("the first packet is not the CONNACK of a CONNECT (MQTT-3.2.0-1)")
        event = decode_connack(body)
        if event.session_present and self._clean_session:
            raise MqttProtocolError("a clean session is said to be present (MQTT-3.2.2-1)")
        self._connected = True
        self._over = event.return_code != 0  # the server must close the connection now (MQTT-3.2.2-5)
        return event

    def _take_message(self, first: int, body: bytes) -> PublishReceived | None:
        event = self._take_publish(first, body)
        if event is not None and event.qos == 2:
            raise MqttProtocolError("QoS 2 came, and no subscription asks for more than 1 (4.3.3)")
        return event

    def _take_suback(self, body: bytes) -> SubackReceived:
        event = decode_suback(body)
        count = self._packet_ids.release(event.packet_id, SUBACK)
        if count is None:
            raise MqttProtocolError("SUBACK answers no SUBSCRIBE (MQTT-3.8.4-2)")
        if len(event.return_codes) != count:
            raise MqttProtocolError("SUBACK has not one return code for each topic filter (MQTT-3.8.4-5)")
        return event

    def _take_unsuback(self, body: bytes) -> UnsubackReceived:
        packet_id = decode_packet_id(body)
        if self._packet_ids.release(packet_id, UNSUBACK) is None:
            raise MqttProtocolError("UNSUBACK answers no UNSUBSCRIBE (MQTT-3.10.4-4)")
        return UnsubackReceived(packet_id)

    def _check_ready(self) -> None:
        if not self._connecting or self._over:
            raise RuntimeError("the client has not sent CONNECT, or the connection is over")
