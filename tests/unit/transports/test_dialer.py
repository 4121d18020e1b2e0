from __future__ import annotations

import pytest

from c2dkit import DeviceCredential, InvalidInputError
from c2dkit.transports import AmqpDeviceTransport, MqttDeviceTransport
from c2dkit.transports._dialer import Dialer


def device(host_name: str = "hub.example", port: int | None = None, gateway: str | None = None) -> DeviceCredential:
    return DeviceCredential(
        host_name=host_name, port=port, device_id="dev-1", shared_access_key="a2V5", gateway_host_name=gateway
    )


def dialer(subprotocol: str | None = None, proxy: str | None = None) -> Dialer:
    return Dialer(port=5671, subprotocol=subprotocol, ssl_context=None, proxy=proxy)


@pytest.mark.parametrize(
    ("subprotocol", "credential", "peer"),
    [
        (None, device(), "hub.example:5671"),
        ("mqtt", device(), "hub.example:443"),
        (None, device(port=1), "hub.example:1"),
        ("mqtt", device(port=1), "hub.example:1"),
        ("mqtt", device("[::1]"), "[::1]:443"),
        (None, device(port=1, gateway="edge"), "edge:5671"),
    ],
)
def test_where_a_credential_leads(subprotocol: str | None, credential: DeviceCredential, peer: str) -> None:
    assert dialer(subprotocol).peer(credential) == peer


def test_a_proxy_that_cannot_be_used_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError):
        dialer(proxy="socks5://proxy:1080")


def test_a_transport_is_named_after_its_way() -> None:
    assert [AmqpDeviceTransport(device(), websocket=ws).name for ws in (False, True)] == ["amqp", "amqp-ws"]
    assert [MqttDeviceTransport(device(), websocket=ws).name for ws in (False, True)] == ["mqtt", "mqtt-ws"]
