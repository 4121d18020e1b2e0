"""Engines that have shaken hands, each without a peer."""

from __future__ import annotations

import pytest

from c2dkit._protocols import mqtt

CONNECT = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev"


@pytest.fixture
def client() -> mqtt.MqttClient:
    """A client with a keep-alive of 60 seconds that has just been accepted, at time 0."""
    client = mqtt.MqttClient(max_packet_size=1000, max_unacknowledged=3)
    client.connect(client_id="dev", keep_alive=60)
    client.data_to_send()
    client.receive_data(b"\x20\x02\x00\x00")
    client.tick(0.0)
    return client


@pytest.fixture
def server() -> mqtt.MqttServer:
    """A server that has just accepted a client with a keep-alive of 60 seconds, at time 0."""
    server = mqtt.MqttServer(max_packet_size=1000, max_unacknowledged=3)
    server.receive_data(CONNECT)
    server.connack(0)
    server.data_to_send()
    server.tick(0.0)
    return server
