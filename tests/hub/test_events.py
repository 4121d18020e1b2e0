"""What somebody who watches a hub is told while real clients come and go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import C2dError, CloudSender, DeviceCredential, DeviceReceiver
from c2dkit.hub import ConnectionEvent, LocalHub, MessageEvent
from c2dkit.testing.contract._bench import ONCE
from c2dkit.transports import AmqpDeviceTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from c2dkit.hub import HubEvent

WRONG_KEY = "SharedAccessKey=d3Jvbmc="


def receiver(hub: LocalHub, transport: str, *, key: str | None = None) -> DeviceReceiver[object]:
    string = hub.device_connection_string("dev-1")
    if key is not None:
        string = f"{string.partition('SharedAccessKey=')[0]}{key}"
    return DeviceReceiver.from_connection_string(string, transport=transport, ssl_context=hub.ssl_context(), retry=ONCE)


def sender(hub: LocalHub) -> CloudSender:
    return CloudSender.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context(), retry=ONCE)


async def next_of(events: AsyncIterator[HubEvent], what: str) -> HubEvent:
    """Read on to a connection or a message of which something is told."""
    with anyio.fail_after(20):
        async for event in events:
            if isinstance(event, ConnectionEvent | MessageEvent) and event.what == what:
                return event
    raise AssertionError("the hub has stopped")


@pytest.mark.parametrize(
    ("transport", "protocol", "websocket"),
    [("amqp", "AMQP", False), ("amqp-ws", "AMQP", True), ("mqtt", "MQTT", False), ("mqtt-ws", "MQTT", True)],
)
async def test_a_device_comes_receives_and_goes(hub: LocalHub, transport: str, protocol: str, websocket: bool) -> None:
    with hub.events() as events:
        async with receiver(hub, transport) as device, sender(hub) as back_end:
            connected = await next_of(events, "connected")
            assert isinstance(connected, ConnectionEvent)
            assert connected[2:4] == (protocol, websocket)
            assert connected.peer.startswith(("127.0.0.1:", "[::1]:"))
            assert (connected.client, connected.reason) == ("dev-1", None)
            assert connected.peer in {each.peer.address for each in hub._core.connections}  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess]
            service = await next_of(events, "connected")
            assert isinstance(service, ConnectionEvent)
            assert (service.client, service.protocol) == ("service", "AMQP")
            await back_end.send("dev-1", "hello")
            locked = await next_of(events, "locked")
            assert isinstance(locked, MessageEvent)
            assert locked.protocol == protocol
            await (await anext(device)).complete()
            await next_of(events, "completed")
        gone = [await next_of(events, "disconnected"), await next_of(events, "disconnected")]
    assert {(event.client, event.reason) for event in gone if isinstance(event, ConnectionEvent)} == {
        ("dev-1", "the client closed the connection"),
        ("service", "the client closed the connection"),
    }


async def test_a_lock_over_https_is_told_and_no_connection(hub: LocalHub) -> None:
    with hub.events() as events:
        async with sender(hub) as back_end:
            await back_end.send("dev-1", "hello")
            await next_of(events, "queued")
            async with receiver(hub, "https") as device:
                await (await anext(device)).complete()
            locked = await next_of(events, "locked")
            assert isinstance(locked, MessageEvent)
            assert locked.protocol == "HTTPS"


@pytest.mark.parametrize(("transport", "protocol"), [("amqp", "AMQP"), ("mqtt-ws", "MQTT"), ("https", "HTTPS")])
async def test_a_stranger_is_refused_and_no_key_is_told(hub: LocalHub, transport: str, protocol: str) -> None:
    with hub.events() as events:
        with pytest.raises(C2dError):
            async with receiver(hub, transport, key=WRONG_KEY) as device:
                await anext(device)
        refused = await next_of(events, "refused")
    assert isinstance(refused, ConnectionEvent)
    assert (refused.protocol, refused.client) == (protocol, None)
    assert refused.reason == "the token's signature was made with neither the primary nor the secondary key"


async def test_a_connection_that_ends_by_the_hub_says_why(hub: LocalHub) -> None:
    with hub.events() as events:
        async with receiver(hub, "mqtt"), receiver(hub, "mqtt"):
            displaced = await next_of(events, "disconnected")
            await hub.disconnect_all()
            dropped = await next_of(events, "disconnected")
    assert isinstance(displaced, ConnectionEvent)
    assert displaced.reason == "the device has connected anew"
    assert isinstance(dropped, ConnectionEvent)
    assert dropped.reason == "the hub dropped the connection"


async def test_a_device_that_is_disabled_is_told_to_be_so(hub: LocalHub) -> None:
    with hub.events() as events:
        async with receiver(hub, "mqtt"):
            hub.disable_device("dev-1")
            gone = await next_of(events, "disconnected")
    assert isinstance(gone, ConnectionEvent)
    assert gone.reason is not None
    assert "disabled" in gone.reason


async def test_a_token_that_expires_is_told(hub: LocalHub) -> None:
    with hub.events() as events:
        async with receiver(hub, "mqtt"):
            await next_of(events, "connected")
            hub.clock.advance(timedelta(days=1))
            gone = await next_of(events, "disconnected")
    assert isinstance(gone, ConnectionEvent)
    assert gone.reason == "the token has expired"


async def test_a_device_with_a_certificate_is_told_of_by_its_link(hub: LocalHub, tmp_path: Path) -> None:
    hub.add_device("dev-3", ca_signed=True)
    file = tmp_path / "dev-3.pem"
    file.write_bytes(hub.issue_certificate("dev-3"))
    credential = replace(
        DeviceCredential.from_connection_string(hub.device_connection_string("dev-3")), certificate_file=file
    )
    with hub.events() as events:
        async with DeviceReceiver(AmqpDeviceTransport(credential, ssl_context=hub.ssl_context()), retry=ONCE):
            connected = await next_of(events, "connected")
    assert isinstance(connected, ConnectionEvent)
    assert (connected.client, connected.protocol) == ("dev-3", "AMQP")


async def test_reading_ends_with_the_hub() -> None:
    hub = LocalHub(devices=[])
    with hub.events() as events:
        async with hub:
            hub.add_device("late")
        with anyio.fail_after(20):
            assert [event[1] async for event in events] == ["added"]
