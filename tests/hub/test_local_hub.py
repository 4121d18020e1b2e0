"""The hub as a whole: ports, doors, connection strings, its end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from c2dkit import CloudSender, DeviceReceiver
from c2dkit._errors import ClosedError, DeviceNotFoundError, InvalidInputError, InvalidMessageError, ServiceError
from c2dkit._models import Message
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit.hub import HubOptions, LocalHub
from c2dkit.hub import _listener as listener
from c2dkit.testing.contract._bench import ONCE

if TYPE_CHECKING:
    from anyio.abc import ByteStream

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
DEVICE_ADDRESS = "/devices/dev-1/messages/devicebound"


async def connect(hub: LocalHub, port: int | None = None) -> ByteStream:
    return await anyio.connect_tcp(
        "localhost",
        port or hub.port,
        ssl_context=hub.ssl_context(),
        tls_hostname="localhost",
        tls_standard_compatible=False,
    )


async def is_closed(stream: ByteStream) -> None:
    with anyio.fail_after(20), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()
    await anyio.aclose_forcefully(stream)


async def test_connection_strings_have_the_port_and_the_keys() -> None:
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub:
        device = DeviceCredential.from_connection_string(hub.device_connection_string("dev-2"))
        assert (device.dial, device.device_id) == (("localhost", hub.port), "dev-2")
        assert device.shared_access_key == hub._state.device("dev-2").primary_key
        service = ServiceCredential.from_connection_string(hub.service_connection_string)
        assert (service.dial, service.shared_access_key_name) == (("localhost", hub.port), "service")
        owner = ServiceCredential.from_connection_string(hub.owner_connection_string)
        assert (owner.dial, owner.shared_access_key_name) == (("localhost", hub.port), "iothubowner")


async def test_devices_can_be_added() -> None:
    async with LocalHub(devices=[]) as hub:
        with pytest.raises(DeviceNotFoundError):
            hub.device_connection_string("late")
        hub.add_device("late")
        assert "DeviceId=late;" in hub.device_connection_string("late")
        assert hub.queue_depth("late") == 0
        with pytest.raises(ServiceError):
            hub.add_device("late")


async def test_a_bad_device_id_is_refused_before_anything_listens() -> None:
    with pytest.raises(InvalidInputError):
        LocalHub(devices=["a b"])


def test_one_id_is_no_list_of_devices() -> None:
    with pytest.raises(InvalidInputError, match=r"write devices=\['dev-1'\]"):
        LocalHub(devices="dev-1")


async def test_seconds_are_no_expiry() -> None:
    async with LocalHub() as hub:
        sender = CloudSender.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context())
        async with sender:
            with pytest.raises(InvalidMessageError, match="expires_in must be a timedelta; it is 60") as caught:
                await sender.send("dev-1", "hello", expires_in=cast("timedelta", 60))
        assert caught.value.field == "expires_in"
        assert hub.queue_depth("dev-1") == 0


async def test_a_hub_that_listens_is_not_opened_again() -> None:
    async with LocalHub() as hub:
        with pytest.raises(InvalidInputError, match="listens already"):
            await hub.__aenter__()
        await anyio.aclose_forcefully(await connect(hub))


async def test_what_needs_a_listening_hub_says_so() -> None:
    hub = LocalHub()
    for read in ("port", "ports", "ca_file", "service_connection_string", "owner_connection_string"):
        with pytest.raises(ClosedError, match="async with"):
            getattr(hub, read)


async def test_the_ca_file_is_what_ssl_context_trusts_and_is_gone_at_the_end() -> None:
    async with LocalHub() as hub:
        ca_file = hub.ca_file
        context = ssl.create_default_context(cafile=str(ca_file))
        stream = await anyio.connect_tcp("localhost", hub.port, ssl_context=context, tls_hostname="localhost")
        await anyio.aclose_forcefully(stream)
        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.connect_tcp("localhost", hub.port, tls_hostname="localhost", tls=True)
    assert not ca_file.exists()


async def test_one_port_tells_the_protocols_apart() -> None:
    async with LocalHub() as hub:
        stream = await connect(hub)
        for byte in AMQP_HEADER:  # however slowly the bytes come
            await stream.send(bytes([byte]))
        with anyio.fail_after(20):
            assert (await stream.receive()).startswith(AMQP_HEADER)
        await anyio.aclose_forcefully(stream)
        stream = await connect(hub)
        await stream.send(b"\x10\x13\x00\x04MQTT\x04\x00\x00\x3c\x00\x07unknown")
        with anyio.fail_after(20):
            assert await stream.receive() == b"\x20\x02\x00\x05"
        await anyio.aclose_forcefully(stream)


@pytest.mark.parametrize("first", [b"OPTIONS * HTTP/1.1\r\n\r\n", b"AMQX", b"\x00"])
async def test_an_unknown_protocol_is_closed(first: bytes) -> None:
    async with LocalHub() as hub:
        stream = await connect(hub)
        await stream.send(first)
        await is_closed(stream)


async def test_a_second_port_serves_the_same_hub() -> None:
    async with LocalHub(mqtt_port=0) as hub:
        assert hub.ports[0] == hub.port
        assert hub.ports[1] not in {0, hub.port}
        for port in hub.ports:
            stream = await connect(hub, port)
            await stream.send(AMQP_HEADER)
            with anyio.fail_after(20):
                assert (await stream.receive()).startswith(AMQP_HEADER)
            await anyio.aclose_forcefully(stream)


async def test_a_slow_handshake_holds_up_nobody_and_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalHub() as hub:
        silent = await anyio.connect_tcp("localhost", hub.port)
        stream = await connect(hub)
        await anyio.aclose_forcefully(stream)
        await anyio.aclose_forcefully(silent)
        monkeypatch.setattr(listener, "GREETING_SECONDS", 0.05)
        await is_closed(await anyio.connect_tcp("localhost", hub.port))
        await is_closed(await connect(hub))  # a handshake and no first byte


async def test_where_there_is_no_room_strangers_make_room_and_known_clients_stay() -> None:
    async with LocalHub(options=HubOptions(max_connections=2)) as hub:
        with anyio.fail_after(20):
            async with DeviceReceiver.from_connection_string(
                hub.device_connection_string("dev-1"),
                transport="mqtt",
                ssl_context=hub.ssl_context(),
                retry=ONCE,
            ):
                spoken = await connect(hub)
                await spoken.send(AMQP_HEADER)
                await spoken.receive()
                silent = await connect(hub)  # in the place of the one that has spoken
                await is_closed(spoken)
                async with CloudSender.from_connection_string(
                    hub.service_connection_string,
                    ssl_context=hub.ssl_context(),
                    retry=ONCE,
                ) as sender:
                    await is_closed(silent)
                    await sender.send("dev-1", "hello")
                    await is_closed(await anyio.connect_tcp("localhost", hub.port))  # now both are known
                assert hub.connection_count == 1


async def test_disconnect_all_drops_every_connection_and_the_hub_goes_on() -> None:
    async with LocalHub() as hub:
        greeted, silent = await connect(hub), await connect(hub)
        await greeted.send(AMQP_HEADER)
        await greeted.receive()
        await hub.disconnect_all()
        await is_closed(greeted)
        await is_closed(silent)
        await anyio.aclose_forcefully(await connect(hub))


async def test_the_end_drops_every_connection_and_frees_the_port() -> None:
    async with LocalHub() as hub:
        port = hub.port
        stream = await connect(hub)
        await stream.send(AMQP_HEADER)
        await stream.receive()
    await is_closed(stream)
    async with LocalHub(amqp_port=port) as again:
        assert again.port == port


async def test_a_taken_port_is_an_oserror_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        hub = LocalHub(amqp_port=0, mqtt_port=port, host="127.0.0.1")
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            await hub.__aenter__()
        with pytest.raises(ClosedError):  # the first port is free again
            _ = hub.port


async def test_a_hub_may_be_left_by_another_task() -> None:
    hub = LocalHub()
    await hub.__aenter__()
    await asyncio.create_task(hub.__aexit__(None, None, None))
    with pytest.raises(ClosedError):
        _ = hub.port


async def test_the_error_of_the_body_comes_out_as_it_is() -> None:
    async def body() -> None:
        async with LocalHub() as hub, await connect(hub):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await body()


async def test_moving_the_clock_expires_messages() -> None:
    async with LocalHub(options=HubOptions(default_ttl=timedelta(minutes=5))) as hub:
        hub._state.send(Message(b"", to=DEVICE_ADDRESS))
        await asyncio.sleep(0)  # the hub looks up the next deadline at the end of the turn
        hub.clock.advance(timedelta(minutes=4))
        assert hub.queue_depth("dev-1") == 1
        hub.clock.advance(timedelta(minutes=1))
        assert len(hub._state._queues["dev-1"]) == 0  # by the hub's own timer, not by being asked
        assert hub.queue_depth("dev-1") == 0


async def test_standard_ports_are_left_out_of_connection_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalHub(mqtt_port=0) as hub:
        assert f"HostName=localhost:{hub.port};" in hub.service_connection_string
        monkeypatch.setattr("c2dkit.hub._local_hub.AMQP_PORT", hub.ports[0])
        monkeypatch.setattr("c2dkit.hub._local_hub.MQTT_PORT", hub.ports[1])
        assert "HostName=localhost;" in hub.service_connection_string
    async with LocalHub(mqtt_port=0, https_port=0) as hub:
        monkeypatch.setattr("c2dkit.hub._local_hub.AMQP_PORT", hub.ports[0])
        monkeypatch.setattr("c2dkit.hub._local_hub.MQTT_PORT", hub.ports[1])
        assert f"HostName=localhost:{hub.port};" in hub.service_connection_string
        monkeypatch.setattr("c2dkit.hub._local_hub.HTTPS_PORT", hub.ports[2])
        assert "HostName=localhost;" in hub.service_connection_string


async def test_only_loopback_listens_unless_told_otherwise() -> None:
    async with LocalHub() as hub:
        addresses = {
            each.extra(anyio.abc.SocketAttribute.local_address)[0] for each in hub._ports._listeners[0]._sockets
        }
        assert addresses <= {"127.0.0.1", "::1"}
