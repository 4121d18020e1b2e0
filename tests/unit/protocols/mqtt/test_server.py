from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import mqtt

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev"
SUBSCRIBE = b"\x82\x06\x00\x01\x00\x01a\x01"
UNSUBSCRIBE = b"\xa2\x05\x00\x02\x00\x01a"
PUBLISH = b"\x32\x05\x00\x01a\x00\x01"
PINGREQ = b"\xc0\x00"


def connected(keep_alive: int = 60) -> mqtt.MqttServer:
    server = mqtt.MqttServer()
    server.receive_data(CONNECT.replace(b"\x00\x3c", keep_alive.to_bytes(2, "big")))
    return server


@pytest.mark.parametrize("data", [PUBLISH, SUBSCRIBE, PINGREQ, b"\xe0\x00", b"\x11" + CONNECT[1:]])
def test_the_first_packet_is_a_connect(data: bytes) -> None:
    with pytest.raises(mqtt.MqttProtocolError, match=r"MQTT-3\.1\.0-1"):
        mqtt.MqttServer().receive_data(data)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (CONNECT.replace(b"MQTT\x04", b"MQTT\x05"), b"\x20\x02\x00\x01"),
        (b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00", b"\x20\x02\x00\x02"),
        (CONNECT.replace(b"MQTT\x04", b"MQtt\x04"), b""),
    ],
)
def test_a_client_is_told_why_where_the_specification_asks_for_it(data: bytes, answer: bytes) -> None:
    server = mqtt.MqttServer()
    with pytest.raises(mqtt.MqttProtocolError):
        server.receive_data(data)
    assert server.data_to_send() == answer


def test_requests_may_follow_connect_at_once() -> None:
    server = mqtt.MqttServer()
    assert server.receive_data(CONNECT + SUBSCRIBE)[1:] == [mqtt.SubscribeReceived(1, (("a", 1),))]
    server.connack(0)
    server.suback(1, [1])
    assert server.data_to_send() == b"\x20\x02\x00\x00\x90\x03\x00\x01\x01"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (CONNECT, "0x10"),
        (b"\x20\x02\x00\x00", "0x20"),
        (b"\x62\x02\x00\x01", "0x62"),
        (b"\x80" + SUBSCRIBE[1:], "0x80"),
        (b"\xa0" + UNSUBSCRIBE[1:], "0xa0"),
        (b"\x90\x03\x00\x01\x01", "0x90"),
        (b"\xc1\x00", "0xc1"),
        (b"\xc0\x01\x00", "after its last field"),
        (b"\xe0\x01\x00", "after its last field"),
        (b"\xe1\x00", "0xe1"),
    ],
)
def test_what_no_client_may_send_is_refused(server: mqtt.MqttServer, data: bytes, why: str) -> None:
    with pytest.raises(mqtt.MqttProtocolError, match=why):
        server.receive_data(data)


def test_a_refused_client_is_not_listened_to() -> None:
    server = connected()
    server.connack(5)
    assert server.data_to_send() == b"\x20\x02\x00\x05"
    assert server.receive_data(SUBSCRIBE) == []
    assert server.tick(1e6) is None
    with pytest.raises(RuntimeError, match="not accepted"):
        server.publish("a", b"")


def test_connack_answers_one_connect() -> None:
    server = mqtt.MqttServer()
    with pytest.raises(RuntimeError, match="no CONNECT"):
        server.connack(0)
    server.receive_data(CONNECT)
    with pytest.raises(ValueError, match="0 to 5"):
        server.connack(6)
    server.connack(0, session_present=True)
    assert server.data_to_send() == b"\x20\x02\x01\x00"
    with pytest.raises(RuntimeError, match="no CONNECT"):
        server.connack(0)


def test_a_refusal_is_final() -> None:
    server = connected()
    server.connack(5)
    with pytest.raises(RuntimeError, match="no CONNECT"):
        server.connack(0)


CALLS: list[Callable[[mqtt.MqttServer], object]] = [
    lambda server: server.publish("a", b""),
    lambda server: server.puback(1),
    lambda server: server.suback(1, [0]),
    lambda server: server.unsuback(2),
]
REQUESTS = PUBLISH + SUBSCRIBE + UNSUBSCRIBE


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_sent_before_the_connack(call: Callable[[mqtt.MqttServer], object]) -> None:
    server = connected()
    server.receive_data(REQUESTS)
    with pytest.raises(RuntimeError, match="not accepted"):
        call(server)
    server.connack(0)
    call(server)
    assert len(server.data_to_send()) > 4


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_sent_after_the_clients_disconnect(
    server: mqtt.MqttServer, call: Callable[[mqtt.MqttServer], object]
) -> None:
    assert server.receive_data(REQUESTS + b"\xe0\x00" + PUBLISH)[3:] == [mqtt.DisconnectReceived()]
    with pytest.raises(RuntimeError, match="it is over"):
        call(server)
    assert server.receive_data(PUBLISH) == []
    assert server.tick(1e6) is None


def test_a_suback_answers_a_subscribe(server: mqtt.MqttServer) -> None:
    server.receive_data(b"\x82\x0a\x00\x01\x00\x01a\x01\x00\x01b\x02")
    for packet_id, return_codes in ((1, [1]), (1, [1, 1, 1]), (2, [1, 1])):
        with pytest.raises(ValueError, match="no SUBSCRIBE"):
            server.suback(packet_id, return_codes)
    with pytest.raises(ValueError, match=r"MQTT-3\.9\.3-2"):
        server.suback(1, [1, 3])
    server.suback(1, [1, 0x80])
    assert server.data_to_send() == b"\x90\x04\x00\x01\x01\x80"
    with pytest.raises(ValueError, match="no SUBSCRIBE"):
        server.suback(1, [1, 1])


def test_an_unsuback_answers_an_unsubscribe(server: mqtt.MqttServer) -> None:
    assert server.receive_data(UNSUBSCRIBE) == [mqtt.UnsubscribeReceived(2, ("a",))]
    server.unsuback(2)
    assert server.data_to_send() == b"\xb0\x02\x00\x02"
    with pytest.raises(ValueError, match="no UNSUBSCRIBE"):
        server.unsuback(2)


@pytest.mark.parametrize("again", [SUBSCRIBE, b"\xa2\x05\x00\x01\x00\x01a"])
def test_a_request_has_a_packet_id_of_its_own(server: mqtt.MqttServer, again: bytes) -> None:
    server.receive_data(SUBSCRIBE)
    with pytest.raises(mqtt.MqttProtocolError, match=r"MQTT-2\.3\.1-2"):
        server.receive_data(again)


def test_unanswered_requests_are_bounded(server: mqtt.MqttServer) -> None:
    server.receive_data(SUBSCRIBE + UNSUBSCRIBE + b"\x82\x06\x00\x03\x00\x01a\x01")
    with pytest.raises(mqtt.MqttProtocolError, match="more than 3 requests"):
        server.receive_data(b"\xa2\x05\x00\x04\x00\x01a")


def test_a_message_of_qos_2_is_shown_and_cannot_be_acknowledged(server: mqtt.MqttServer) -> None:
    assert server.receive_data(b"\x34\x05\x00\x01a\x00\x01") == [mqtt.PublishReceived("a", b"", 2, False, False, 1)]
    with pytest.raises(ValueError, match="packet id 1"):
        server.puback(1)


def test_a_message_is_acknowledged(server: mqtt.MqttServer) -> None:
    assert server.receive_data(PUBLISH) == [mqtt.PublishReceived("a", b"", 1, False, False, 1)]
    server.puback(1)
    assert server.data_to_send() == b"\x40\x02\x00\x01"


def test_a_message_may_be_marked_as_sent_again(server: mqtt.MqttServer) -> None:
    server.publish("a", b"x", dup=True, retain=True)
    assert server.data_to_send() == b"\x3b\x06\x00\x01a\x00\x01x"


class TestTime:
    """The server fixture accepted a client with a keep-alive of 60 seconds, last heard at time 0."""

    def test_connect_has_to_come_in_time(self) -> None:
        server = mqtt.MqttServer()
        assert server.tick(5.0) == 35.0
        server.receive_data(CONNECT[:-1])  # bytes alone are no CONNECT
        assert server.tick(34.9) == 35.0
        with pytest.raises(mqtt.MqttSilenceError, match="no packet came for 30 seconds"):
            server.tick(35.0)

    def test_silence_ends_the_connection(self, server: mqtt.MqttServer) -> None:
        assert server.tick(89.9) == 90.0
        with pytest.raises(mqtt.MqttProtocolError, match=r"MQTT-3\.1\.2-24"):
            server.tick(90.0)

    def test_a_packet_resets_the_time(self, server: mqtt.MqttServer) -> None:
        assert server.receive_data(PINGREQ) == []
        assert server.data_to_send() == b"\xd0\x00"
        assert server.tick(50.0) == 140.0

    def test_half_a_packet_does_not(self, server: mqtt.MqttServer) -> None:
        server.receive_data(PUBLISH[:-1])
        assert server.tick(50.0) == 90.0

    def test_what_is_sent_does_not(self, server: mqtt.MqttServer) -> None:
        server.publish("a", b"")
        server.data_to_send()
        assert server.tick(50.0) == 90.0

    @pytest.mark.parametrize(
        ("keep_alive", "limit", "deadline"),
        [(0, None, None), (0, 30.0, 30.0), (10, 30.0, 15.0), (1200, 1767.0, 1767.0)],
    )
    def test_the_limit_of_the_application(self, keep_alive: int, limit: float | None, deadline: float | None) -> None:
        server = connected(keep_alive)
        server.keep_alive_limit = limit
        server.connack(0)
        assert server.tick(0.0) == deadline
