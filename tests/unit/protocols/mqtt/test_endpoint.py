"""What both roles do alike, and the two of them joined in memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols import mqtt
from c2dkit._protocols.mqtt._endpoint import MAX_UNSENT

CONNECT = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev"
SUBSCRIBE = b"\x82\x08\x00\x01\x00\x03a/#\x01"
PUBLISH = b"\x32\x07\x00\x03a/b\x00\x05"
PUBLISH_0 = b"\x31\x0a\x00\x03a/bhello"
PUBACK = b"\x40\x02\x00\x01"
PINGREQ = b"\xc0\x00"
BROKEN = b"\x00\x00"

TO_SERVER = CONNECT + SUBSCRIBE + PUBLISH + PUBLISH_0 + PINGREQ + b"\xa2\x07\x00\x02\x00\x03a/#" + b"\xe0\x00"
TO_CLIENT = (
    b"\x20\x02\x00\x00" + b"\x90\x03\x00\x01\x01" + PUBLISH + PUBLISH_0 + b"\xb0\x02\x00\x02" + b"\x40\x02\x00\x03"
)

Engine = mqtt.MqttClient | mqtt.MqttServer
Events = list[mqtt.ClientEvent | mqtt.ServerEvent]


def ready_client() -> mqtt.MqttClient:
    """A client that waits for the answers that TO_CLIENT gives."""
    client = mqtt.MqttClient()
    client.connect(client_id="dev")
    client.subscribe([("a/#", 1)])
    client.unsubscribe(["a/#"])
    client.publish("x", b"")
    return client


def feed(engine: Engine, pieces: list[bytes]) -> tuple[Events, str | None]:
    events: Events = []
    try:
        for piece in pieces:
            events += engine.receive_data(piece)
        engine.tick(0.0)
    except mqtt.MqttProtocolError as error:
        return events, str(error)
    return events, None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


PLACES = st.lists(st.integers(0, 200), max_size=20)
MUTATIONS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)


def mutate(data: bytes, mutations: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, byte in mutations:
        changed[place % len(changed)] = byte
    return bytes(changed)


@given(mutations=MUTATIONS, places=PLACES)
def test_any_cut_gives_a_server_the_same_events_and_error(mutations: list[tuple[int, int]], places: list[int]) -> None:
    data = mutate(TO_SERVER, mutations)
    assert feed(mqtt.MqttServer(), cut(data, places)) == feed(mqtt.MqttServer(), [data])


@given(mutations=MUTATIONS, places=PLACES)
def test_any_cut_gives_a_client_the_same_events_and_error(mutations: list[tuple[int, int]], places: list[int]) -> None:
    data = mutate(TO_CLIENT, mutations)
    assert feed(ready_client(), cut(data, places)) == feed(ready_client(), [data])


def test_the_streams_that_are_mutated_are_sound() -> None:
    assert [
        len(found) for found in (feed(mqtt.MqttServer(), [TO_SERVER])[0], feed(ready_client(), [TO_CLIENT])[0])
    ] == [
        6,
        6,
    ]
    assert feed(mqtt.MqttServer(), [TO_SERVER])[1] is None
    assert feed(ready_client(), [TO_CLIENT])[1] is None


@given(data=st.binary(max_size=100), places=PLACES, first=st.sampled_from([b"", CONNECT, CONNECT + PUBLISH]))
def test_random_bytes_raise_nothing_but_the_protocol_error(data: bytes, places: list[int], first: bytes) -> None:
    server = mqtt.MqttServer()
    events, error = feed(server, [first, *cut(data, places)])
    if first and error is None:
        assert isinstance(events[0], mqtt.ConnectReceived)
    client_events, _ = feed(ready_client(), [TO_CLIENT, *cut(data, places)])
    assert len(client_events) >= 6


def test_events_before_a_breach_are_returned_and_the_error_comes_next(server: mqtt.MqttServer) -> None:
    assert server.receive_data(PUBLISH_0 + BROKEN + PUBLISH_0) == [("a/b", b"hello", 0, True, False, None)]
    with pytest.raises(mqtt.MqttProtocolError, match="0x00"):
        server.tick(0.0)
    with pytest.raises(mqtt.MqttProtocolError, match="0x00"):
        server.receive_data(PUBLISH_0)


def test_a_breach_alone_raises_at_once(client: mqtt.MqttClient) -> None:
    with pytest.raises(mqtt.MqttProtocolError, match="0x00"):
        client.receive_data(BROKEN)
    with pytest.raises(mqtt.MqttProtocolError, match="0x00"):
        client.tick(0.0)


def test_a_large_packet_is_refused_by_its_header(server: mqtt.MqttServer) -> None:
    with pytest.raises(mqtt.MqttProtocolError, match="larger than 1000 bytes"):
        server.receive_data(b"\x30\xe8\x07")


def test_a_peer_that_does_not_read_its_answers_is_given_up() -> None:
    server = mqtt.MqttServer()
    server.receive_data(CONNECT)
    server.receive_data(PINGREQ * MAX_UNSENT)
    assert server.receive_data(PINGREQ) == []
    with pytest.raises(mqtt.MqttProtocolError, match="does not read"):
        server.receive_data(PINGREQ)


def test_a_peer_that_reads_its_answers_is_not_given_up() -> None:
    server = mqtt.MqttServer()
    server.receive_data(CONNECT)
    for _ in range(3):
        server.receive_data(PINGREQ * MAX_UNSENT)
        assert server.data_to_send() == b"\xd0\x00" * MAX_UNSENT


def test_an_unknown_puback_is_ignored(server: mqtt.MqttServer) -> None:
    assert server.receive_data(PUBACK) == []
    server.publish("a", b"")
    assert server.receive_data(PUBACK) == [mqtt.PubackReceived(1)]
    assert server.receive_data(PUBACK) == []


def test_own_messages_are_bounded(server: mqtt.MqttServer) -> None:
    assert [server.publish("a", b"") for _ in range(3)] == [1, 2, 3]
    with pytest.raises(RuntimeError, match="3 packets are not acknowledged"):
        server.publish("a", b"")
    assert server.publish("a", b"", qos=0) is None
    server.receive_data(b"\x40\x02\x00\x02")
    assert server.publish("a", b"") == 4


def test_a_refused_publish_takes_no_packet_id(server: mqtt.MqttServer) -> None:
    with pytest.raises(ValueError, match=r"MQTT-3\.3\.2-2"):
        server.publish("#", b"")
    with pytest.raises(ValueError, match="QoS 0 and 1"):
        server.publish("a", b"", qos=2)
    assert server.data_to_send() == b""
    assert server.publish("a", b"") == 1


def test_the_peers_messages_are_bounded(client: mqtt.MqttClient) -> None:
    sent = b"".join(b"\x32\x05\x00\x01a\x00" + bytes((packet_id,)) for packet_id in (1, 2, 3, 4))
    assert len(client.receive_data(sent)) == 3
    with pytest.raises(mqtt.MqttProtocolError, match="more than 3 messages"):
        client.tick(0.0)


@pytest.mark.parametrize("limit", [0, 65_536])
def test_the_limit_of_messages_has_limits(limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 65535"):
        mqtt.MqttClient(max_unacknowledged=limit)


@pytest.mark.parametrize("limit", [1, 65_535])
def test_every_packet_id_can_be_in_use(limit: int) -> None:
    client = mqtt.MqttClient(max_unacknowledged=limit)
    client.connect(client_id="dev")
    assert {client.publish("a", b"") for _ in range(limit)} == set(range(1, limit + 1))
    with pytest.raises(RuntimeError, match="not acknowledged"):
        client.publish("a", b"")


def exchange(client: mqtt.MqttClient, server: mqtt.MqttServer) -> tuple[list[mqtt.ClientEvent], list[mqtt.ServerEvent]]:
    """Carry bytes to and fro until both ends have nothing more to say."""
    to_client: list[mqtt.ClientEvent] = []
    to_server: list[mqtt.ServerEvent] = []
    while True:
        up, down = client.data_to_send(), server.data_to_send()
        if not up and not down:
            return to_client, to_server
        to_server += server.receive_data(up)
        to_client += client.receive_data(down)


def test_a_client_and_a_server() -> None:
    client, server = mqtt.MqttClient(), mqtt.MqttServer()
    client.connect(client_id="dev", username="hub/dev", password=b"secret", keep_alive=10)
    _, [connected] = exchange(client, server)
    assert tuple(connected) == ("dev", False, 10, "hub/dev", b"secret", None)

    server.connack(0, session_present=True)
    packet_id = client.subscribe([("a/#", 1), ("b", 0)])
    assert exchange(client, server) == (
        [mqtt.ConnackReceived(session_present=True, return_code=0)],
        [mqtt.SubscribeReceived(packet_id, (("a/#", 1), ("b", 0)))],
    )
    server.suback(packet_id, [1, 0x80])
    first, second = server.publish("a/1", b"one"), server.publish("a/2", b"two", dup=True)
    server.publish("b", b"", qos=0, retain=True)
    assert first is not None
    assert second is not None
    assert exchange(client, server) == (
        [
            mqtt.SubackReceived(packet_id, (1, 0x80)),
            mqtt.PublishReceived("a/1", b"one", 1, False, False, first),
            mqtt.PublishReceived("a/2", b"two", 1, False, True, second),
            mqtt.PublishReceived("b", b"", 0, True, False, None),
        ],
        [],
    )
    client.acknowledge(second)
    assert exchange(client, server) == ([], [])
    client.acknowledge(first)
    assert exchange(client, server) == ([], [mqtt.PubackReceived(first), mqtt.PubackReceived(second)])

    upward = client.publish("up", b"x")
    assert upward is not None
    assert exchange(client, server) == ([], [mqtt.PublishReceived("up", b"x", 1, False, False, upward)])
    server.puback(upward)
    packet_id = client.unsubscribe(["b"])
    assert exchange(client, server) == (
        [mqtt.PubackReceived(upward)],
        [mqtt.UnsubscribeReceived(packet_id, ("b",))],
    )
    server.unsuback(packet_id)
    assert exchange(client, server) == ([mqtt.UnsubackReceived(packet_id)], [])
    client.disconnect()
    assert exchange(client, server) == ([], [mqtt.DisconnectReceived()])


def test_an_idle_pair_stays_alive() -> None:
    client, server = mqtt.MqttClient(), mqtt.MqttServer()
    client.connect(client_id="dev", keep_alive=10)
    now = 0.0
    exchange(client, server)
    server.connack(0)
    for _ in range(50):
        exchange(client, server)
        due = [deadline for deadline in (client.tick(now), server.tick(now)) if deadline is not None]
        assert min(due) >= now
        now = max(min(due), now + 0.1)
    assert now > 100
