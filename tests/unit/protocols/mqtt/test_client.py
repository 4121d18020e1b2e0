from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import mqtt

if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPTED = b"\x20\x02\x00\x00"
PUBLISH = b"\x32\x05\x00\x01a\x00\x01"
PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"


def connecting(*, clean_session: bool = False) -> mqtt.MqttClient:
    client = mqtt.MqttClient()
    client.connect(client_id="dev", clean_session=clean_session)
    return client


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (PUBLISH, "MQTT-3.2.0-1"),
        (b"\x21\x02\x00\x00", "MQTT-3.2.0-1"),
        (b"\x20\x02\x01\x00", "MQTT-3.2.2-1"),
    ],
)
def test_a_bad_first_packet_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(mqtt.MqttProtocolError, match=why):
        connecting(clean_session=True).receive_data(data)


def test_a_server_that_speaks_first_is_refused() -> None:
    with pytest.raises(mqtt.MqttProtocolError, match=r"MQTT-3\.2\.0-1"):
        mqtt.MqttClient().receive_data(ACCEPTED)


def test_messages_may_follow_the_connack_at_once() -> None:
    client = connecting()
    assert client.receive_data(b"\x20\x02\x01\x00" + PUBLISH) == [
        mqtt.ConnackReceived(session_present=True, return_code=0),
        mqtt.PublishReceived("a", b"", 1, False, False, 1),
    ]


def test_nothing_follows_a_refusal() -> None:
    client = connecting()
    assert client.receive_data(b"\x20\x02\x00\x05" + PUBLISH) == [mqtt.ConnackReceived(False, 5)]
    assert client.receive_data(PUBLISH) == []
    client.data_to_send()
    assert client.tick(1e6) is None
    with pytest.raises(RuntimeError, match="connection is over"):
        client.publish("a", b"")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (ACCEPTED, "0x20"),
        (b"\x10\x00", "0x10"),
        (b"\x34\x05\x00\x01a\x00\x01", "QoS 2"),
        (b"\x36\x05\x00\x01a\x00\x01", "MQTT-3.3.1-4"),
        (b"\x41\x02\x00\x01", "0x41"),
        (b"\x50\x02\x00\x01", "0x50"),
        (b"\x90\x03\x00\x01\x01", "MQTT-3.8.4-2"),
        (b"\xb0\x02\x00\x01", "MQTT-3.10.4-4"),
        (b"\xd0\x01\x00", "after its last field"),
        (b"\xd1\x00", "0xd1"),
        (b"\xe0\x00", "0xe0"),
        (b"\xf0\x00", "0xf0"),
    ],
)
def test_what_no_server_may_send_is_refused(client: mqtt.MqttClient, data: bytes, why: str) -> None:
    with pytest.raises(mqtt.MqttProtocolError, match=why):
        client.receive_data(data)


@pytest.mark.parametrize("return_codes", [b"\x01", b"\x01\x01\x01"])
def test_a_suback_has_a_return_code_for_each_filter(client: mqtt.MqttClient, return_codes: bytes) -> None:
    assert client.subscribe([("a", 1), ("b", 0)]) == 1
    with pytest.raises(mqtt.MqttProtocolError, match=r"MQTT-3\.8\.4-5"):
        client.receive_data(bytes((0x90, 2 + len(return_codes))) + b"\x00\x01" + return_codes)


def test_requests_and_messages_share_the_packet_ids(client: mqtt.MqttClient) -> None:
    assert (client.subscribe([("a", 1)]), client.publish("a", b""), client.unsubscribe(["a"])) == (1, 2, 3)
    with pytest.raises(RuntimeError, match="3 packets"):
        client.subscribe([("b", 1)])
    with pytest.raises(RuntimeError, match="3 packets"):
        client.unsubscribe(["b"])
    assert client.receive_data(b"\xb0\x02\x00\x03\x90\x03\x00\x01\x80\x40\x02\x00\x02") == [
        mqtt.UnsubackReceived(3),
        mqtt.SubackReceived(1, (0x80,)),
        mqtt.PubackReceived(2),
    ]


def test_a_refused_request_takes_no_packet_id(client: mqtt.MqttClient) -> None:
    with pytest.raises(ValueError, match=r"MQTT-3\.8\.3-3"):
        client.subscribe([])
    with pytest.raises(ValueError, match=r"MQTT-3\.10\.3-2"):
        client.unsubscribe([])
    assert client.data_to_send() == b""
    assert client.subscribe([("a", 1)]) == 1


def test_pubacks_leave_in_the_order_of_the_messages(client: mqtt.MqttClient) -> None:
    client.receive_data(b"\x32\x05\x00\x01a\x00\x07\x32\x05\x00\x01a\x00\x03\x32\x05\x00\x01a\x00\x05")
    client.acknowledge(3)
    assert client.data_to_send() == b""
    client.acknowledge(7)
    assert client.data_to_send() == b"\x40\x02\x00\x07\x40\x02\x00\x03"
    client.acknowledge(5)
    assert client.data_to_send() == b"\x40\x02\x00\x05"


def test_a_message_is_acknowledged_once(client: mqtt.MqttClient) -> None:
    client.receive_data(PUBLISH)
    client.acknowledge(1)
    with pytest.raises(ValueError, match="packet id 1"):
        client.acknowledge(1)


def test_a_redelivered_message_is_not_handed_over_twice(client: mqtt.MqttClient) -> None:
    assert len(client.receive_data(PUBLISH)) == 1
    assert client.receive_data(b"\x3a\x05\x00\x01a\x00\x01") == []
    client.acknowledge(1)
    assert client.data_to_send() == b"\x40\x02\x00\x01"
    assert len(client.receive_data(b"\x3a\x05\x00\x01a\x00\x01")) == 1


CALLS: list[Callable[[mqtt.MqttClient], object]] = [
    lambda client: client.subscribe([("a", 1)]),
    lambda client: client.unsubscribe(["a"]),
    lambda client: client.publish("a", b""),
    lambda client: client.acknowledge(1),
]


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_sent_before_connect(call: Callable[[mqtt.MqttClient], object]) -> None:
    client = mqtt.MqttClient()
    with pytest.raises(RuntimeError, match="not sent CONNECT"):
        call(client)
    assert client.data_to_send() == b""


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_sent_after_disconnect(client: mqtt.MqttClient, call: Callable[[mqtt.MqttClient], object]) -> None:
    client.receive_data(PUBLISH)
    client.disconnect()
    assert client.data_to_send() == b"\xe0\x00"
    with pytest.raises(RuntimeError, match="connection is over"):
        call(client)
    assert client.receive_data(PUBLISH) == []
    assert client.tick(1e6) is None
    assert client.data_to_send() == b""


def test_disconnect_ends_a_connection_once(client: mqtt.MqttClient) -> None:
    for _ in range(2):
        client.disconnect()
    assert client.data_to_send() == b"\xe0\x00"


def test_disconnect_does_nothing_without_a_connection() -> None:
    unconnected, refused = mqtt.MqttClient(), connecting()
    refused.receive_data(b"\x20\x02\x00\x05")
    refused.data_to_send()
    for client in (unconnected, refused):
        client.disconnect()
        assert client.data_to_send() == b""
    unconnected.connect(client_id="dev")


def test_connect_is_sent_once(client: mqtt.MqttClient) -> None:
    with pytest.raises(RuntimeError, match=r"MQTT-3\.1\.0-2"):
        client.connect(client_id="dev")


def test_a_refused_connect_can_be_put_right() -> None:
    client = mqtt.MqttClient()
    with pytest.raises(ValueError, match="keep_alive"):
        client.connect(client_id="dev", keep_alive=-1)
    client.connect(client_id="dev")
    assert client.data_to_send().startswith(b"\x10")


def test_requests_may_follow_connect_at_once() -> None:
    client = connecting()
    client.subscribe([("a", 1)])
    client.publish("a", b"", qos=0)
    assert client.data_to_send()[17:] == b"\x82\x06\x00\x01\x00\x01a\x01\x30\x03\x00\x01a"


class TestTime:
    """The client fixture has a keep-alive of 60 seconds and was last heard, and spoke last, at time 0."""

    def test_an_idle_client_pings_and_is_answered(self, client: mqtt.MqttClient) -> None:
        assert client.tick(59.0) == 60.0
        assert client.data_to_send() == b""
        assert client.tick(60.0) == 90.0
        assert client.data_to_send() == PINGREQ
        client.tick(60.5)
        assert client.receive_data(PINGRESP) == []
        assert client.tick(61.0) == 120.5
        assert client.data_to_send() == b""

    def test_silence_is_found_within_one_and_a_half_keep_alives(self, client: mqtt.MqttClient) -> None:
        client.tick(60.0)
        client.data_to_send()
        client.tick(60.0)
        assert client.tick(89.9) == 90.0
        with pytest.raises(mqtt.MqttSilenceError, match="no PINGRESP came within 30 seconds"):
            client.tick(90.0)

    def test_what_is_said_puts_the_ping_off(self, client: mqtt.MqttClient) -> None:
        client.receive_data(PUBLISH)
        client.tick(40.0)
        client.acknowledge(1)
        client.data_to_send()
        assert client.tick(50.0) == 100.0

    def test_a_client_that_speaks_to_nobody_finds_out(self, client: mqtt.MqttClient) -> None:
        for now in (20.0, 40.0, 60.0, 80.0):
            client.publish("a", b"", qos=0)
            sent = client.data_to_send()
            client.tick(now)
            assert (PINGREQ in sent) == (now == 80.0)
        with pytest.raises(mqtt.MqttSilenceError, match="no PINGRESP"):
            client.tick(90.0)

    def test_a_ping_is_repeated_while_messages_come_without_its_answer(self, client: mqtt.MqttClient) -> None:
        client.tick(60.0)
        client.data_to_send()
        client.tick(60.0)
        for now in (80.0, 100.0, 119.0):
            client.receive_data(b"\x30\x03\x00\x01a")
            client.tick(now)
        assert client.data_to_send() == b""
        client.tick(120.0)
        assert client.data_to_send() == PINGREQ
        with pytest.raises(mqtt.MqttSilenceError, match="no PINGRESP"):
            client.tick(149.0)

    def test_silence_proves_nothing_while_nothing_is_read(self, client: mqtt.MqttClient) -> None:
        assert client.reading
        client.reading = False
        pings = b""
        for now in range(0, 601, 30):
            client.tick(float(now))
            pings += client.data_to_send()
            client.tick(float(now))
        assert pings == PINGREQ * 10
        client.reading = True
        assert client.tick(700.0) == 730.0
        with pytest.raises(mqtt.MqttSilenceError, match="no PINGRESP"):
            client.tick(730.0)

    def test_a_short_pause_in_reading_gives_the_full_time_again(self, client: mqtt.MqttClient) -> None:
        client.tick(60.0)
        client.data_to_send()
        client.reading = False
        client.reading = True
        assert client.tick(90.0) == 120.0

    def test_no_keep_alive_no_time(self) -> None:
        client = mqtt.MqttClient()
        assert client.tick(0.0) is None
        client.connect(client_id="dev", keep_alive=0)
        client.receive_data(ACCEPTED)
        assert client.tick(0.0) is None
        client.data_to_send()
        assert client.tick(1e6) is None
        assert client.data_to_send() == b""

    def test_the_time_runs_from_connect(self) -> None:
        client = mqtt.MqttClient()
        client.tick(0.0)
        client.connect(client_id="dev")
        assert client.tick(1000.0) == 1060.0
        assert client.data_to_send() == b"\x10\x0f\x00\x04MQTT\x04\x00\x00\x3c\x00\x03dev"
