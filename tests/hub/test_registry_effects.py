"""What becomes of connections when the registry or a policy changes, over AMQP and MQTT."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import anyio
import pytest

from c2dkit import (
    CloudSender,
    ConnectionLostError,
    DeviceCredential,
    DeviceNotFoundError,
    DeviceReceiver,
    FeedbackStream,
    InvalidInputError,
    ServiceCredential,
    UnauthorizedError,
)
from c2dkit._models import Message
from c2dkit.hub import LocalHub
from c2dkit.testing.contract._bench import ONCE

from .registry_client import registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SECONDS = 10
TO = "/devices/dev-1/messages/devicebound"
DROPPED = (ConnectionLostError, UnauthorizedError, DeviceNotFoundError)
"""MQTT 3.1.1 has no words for it, and AMQP has one for each case."""
Change: TypeAlias = Callable[[LocalHub], None]

both = pytest.mark.parametrize("transport", ["amqp", "mqtt"])


@asynccontextmanager
async def receiving(hub: LocalHub, transport: str, text: str | None = None) -> AsyncGenerator[DeviceReceiver[object]]:
    receiver = DeviceReceiver.from_connection_string(
        text or hub.device_connection_string("dev-1"),
        transport=transport,
        ssl_context=hub.ssl_context(),
        retry=ONCE,
    )
    with anyio.fail_after(SECONDS):
        async with receiver:
            yield receiver


async def still_there(hub: LocalHub, receiver: DeviceReceiver[object]) -> None:
    """A message goes over the connection that was there before, which the hub sees from its side."""
    assert hub._core is not None
    (before,) = hub._core.connections
    hub._state.send(Message(b"m", to=TO))
    await (await anext(receiver)).complete()
    assert tuple(hub._core.connections) == (before,)


def disable(hub: LocalHub) -> None:
    hub.disable_device("dev-1")


def remove(hub: LocalHub) -> None:
    hub.remove_device("dev-1")


def rotate(hub: LocalHub) -> None:
    hub.rotate_device_key("dev-1", "primary")


@both
@pytest.mark.parametrize("change", [disable, remove, rotate])
async def test_a_device_that_may_no_longer_be_there_is_dropped_and_kept_out(transport: str, change: Change) -> None:
    async with LocalHub() as hub:
        text = hub.device_connection_string("dev-1")
        async with receiving(hub, transport, text) as receiver:
            await still_there(hub, receiver)
            change(hub)
            with pytest.raises(DROPPED):
                await anext(receiver)
        with pytest.raises(UnauthorizedError):
            async with receiving(hub, transport, text):
                pytest.fail("the hub let it in")


@both
async def test_a_device_that_holds_a_message_and_asks_for_no_more_is_dropped(transport: str) -> None:
    async with LocalHub() as hub, receiving(hub, transport) as receiver:
        hub._state.send(Message(b"m", to=TO))
        await anext(receiver)
        hub.rotate_device_key("dev-1", "primary")
        with pytest.raises(DROPPED):
            await anext(receiver)
        assert hub.queue_depth("dev-1") == 1  # it waits again


@both
async def test_the_other_key_and_other_changes_leave_a_connection_alone(transport: str) -> None:
    async with LocalHub() as hub, receiving(hub, transport) as receiver:
        await still_there(hub, receiver)
        hub.rotate_device_key("dev-1", "secondary")
        hub.enable_device("dev-1")
        hub.add_device("dev-2")
        hub.remove_device("dev-2")
        hub.rotate_policy_key("device", "primary")
        await still_there(hub, receiver)


@both
async def test_a_change_over_http_counts_at_once(transport: str) -> None:
    async with LocalHub() as hub, registry(hub) as client, receiving(hub, transport) as receiver:
        await still_there(hub, receiver)
        await client.done("PUT", "/devices/dev-1", {"status": "disabled"}, if_match="*")
        with pytest.raises(DROPPED):
            await anext(receiver)


@both
async def test_a_key_is_no_good_for_a_device_that_has_to_show_a_certificate(transport: str) -> None:
    async with LocalHub() as hub, registry(hub) as client, receiving(hub, transport) as receiver:
        await still_there(hub, receiver)
        await client.done("PUT", "/devices/dev-1", {"authentication": {"type": "certificateAuthority"}}, if_match="*")
        with pytest.raises(DROPPED):
            await anext(receiver)


async def test_links_end_with_the_key_of_their_policy() -> None:
    async with LocalHub() as hub:
        trust, text = hub.ssl_context(), hub.service_connection_string
        with anyio.fail_after(SECONDS):
            async with FeedbackStream.from_connection_string(text, ssl_context=trust, retry=ONCE) as feedback:
                hub.rotate_policy_key("service", "secondary")
                hub.rotate_policy_key("iothubowner", "primary")
                hub.rotate_policy_key("service", "primary")
                # A token that was good once may have ended only; whether another helps, the next connection shows.
                with pytest.raises(ConnectionLostError, match="neither the primary nor the secondary") as caught:
                    await anext(feedback)
                assert isinstance(caught.value.__cause__, UnauthorizedError)
            with pytest.raises(UnauthorizedError):
                async with CloudSender.from_connection_string(text, ssl_context=trust, retry=ONCE):
                    pytest.fail("the old key still opens a link")
            async with CloudSender.from_connection_string(
                hub.service_connection_string, ssl_context=trust, retry=ONCE
            ) as sender:
                await sender.send("dev-1", "x")


async def test_requests_over_http_with_the_old_key_are_refused() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        await client.done("GET", "/devices")
        hub.rotate_policy_key("registryReadWrite", "primary")
        assert (await client.ask("GET", "/devices")).error == "IotHubUnauthorized"


async def test_devices_have_the_keys_and_thumbprints_that_they_are_given() -> None:
    key, thumbprint = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "ab" * 20
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        hub.add_device("d1", primary_key=key)
        hub.add_device("d2", thumbprints=[thumbprint])
        assert DeviceCredential.from_connection_string(hub.device_connection_string("d1")).shared_access_key == key
        assert hub.device_connection_string("d2").endswith("x509=true")
        document = await client.done("GET", "/devices/d2")
        assert document["authentication"]["x509Thumbprint"]["primaryThumbprint"] == thumbprint.upper()
        with pytest.raises(InvalidInputError, match="in one way"):
            hub.add_device("d3", primary_key=key, ca_signed=True)
        with pytest.raises(InvalidInputError, match="in one way"):
            hub.add_device("d3", secondary_key=key, thumbprints=[thumbprint])


async def test_every_policy_has_a_connection_string() -> None:
    async with LocalHub() as hub:
        for name in ("iothubowner", "service", "device", "registryRead", "registryReadWrite"):
            assert ServiceCredential.from_connection_string(hub.connection_string(name)).shared_access_key_name == name
        with pytest.raises(InvalidInputError, match="nobody"):
            hub.connection_string("nobody")
        with pytest.raises(InvalidInputError, match="nobody"):
            hub.rotate_policy_key("nobody", "primary")
