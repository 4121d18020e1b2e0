"""The throttles of a tier and the daily quota, as clients are told of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from c2dkit import CloudSender, DeviceNotFoundError, QuotaExceededError, ThrottledError
from c2dkit._protocols import amqp, mqtt
from c2dkit._wire.amqp import device_address
from c2dkit._wire.mqtt import username
from c2dkit.hub import HubOptions, LocalHub
from c2dkit.hub import _throttle as throttle
from c2dkit.testing.contract._bench import ONCE
from tests.hub.test_amqp_door import signed_in, token_of
from tests.hub.test_errors import Told, refused_link
from tests.hub.test_http_door import device, owner
from tests.hub.test_mqtt_door import connected, connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEVICE: Final = "dev-1"
QUEUE: Final = f"/devices/{DEVICE}/messages/deviceBound"
MINUTE: Final = timedelta(minutes=1)


@pytest.fixture
async def small_hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalHub]:
    """A hub that takes two of everything an hour, so that no real time makes room for more."""
    hour = timedelta(hours=1)
    monkeypatch.setattr(throttle, "MINUTE", hour)
    monkeypatch.setattr(throttle, "SECOND", hour)
    monkeypatch.setattr(throttle, "RATES", {"S1": throttle.Rates(2, 2, 2, 2)})
    monkeypatch.setattr(throttle, "CONNECTIONS_OF_S1", 2)
    async with LocalHub(options=HubOptions(tier="S1")) as hub:
        yield hub


async def test_too_many_sends_are_refused_until_there_is_room(small_hub: LocalHub) -> None:
    trust = small_hub.ssl_context()
    async with CloudSender.from_connection_string(
        small_hub.service_connection_string, ssl_context=trust, retry=ONCE
    ) as sender:
        for _ in range(2):
            await sender.send(DEVICE, "x")
        with pytest.raises(ThrottledError) as caught:
            await sender.send(DEVICE, "x")
        assert (caught.value.hub_code, caught.value.transient) == (429001, True)
        assert small_hub.queue_depth(DEVICE) == 2
        small_hub.clock.advance(timedelta(minutes=31))
        await sender.send(DEVICE, "x")


async def test_polls_and_reads_of_the_registry_are_counted_apart(small_hub: LocalHub) -> None:
    async with device(small_hub) as client, owner(small_hub) as administrator:
        for asked, path in ((client, QUEUE), (administrator, f"/devices/{DEVICE}")):
            for _ in range(2):
                assert (await asked.ask("GET", path)).status in {200, 204}
            answer = await asked.ask("GET", path)
            assert (answer.status, answer.error) == (429, "ThrottlingException")
            assert 1700 < int(answer.headers["Retry-After"]) <= 1800
        small_hub.clock.advance(timedelta(minutes=30))
        assert (await client.ask("GET", QUEUE)).status == 204


async def test_new_connections_over_amqp_and_mqtt_are_counted_together(small_hub: LocalHub) -> None:
    async with signed_in(small_hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        async with connected(small_hub):
            await client.next(amqp.LinkDetached, skip=amqp.LinkFlowed)
        told = Told("com.microsoft:device-container-throttled", 503008)
        assert await refused_link(client, session, device_address(DEVICE)) == told
    async with connection(small_hub) as refused:
        refused.engine.connect(
            client_id=DEVICE, username=username("localhost", DEVICE), password=token_of(small_hub, DEVICE).encode()
        )
        await refused.send()
        assert await refused.next(mqtt.ConnackReceived) == mqtt.ConnackReceived(False, 5)
    small_hub.clock.advance(timedelta(minutes=31))
    async with connected(small_hub, present=True):
        pass


async def test_a_message_that_no_queue_takes_is_none_of_the_day() -> None:
    async with LocalHub(options=HubOptions(daily_messages=1)) as hub:
        trust = hub.ssl_context()
        async with CloudSender.from_connection_string(
            hub.service_connection_string, ssl_context=trust, retry=ONCE
        ) as sender:
            for _ in range(2):
                with pytest.raises(DeviceNotFoundError):
                    await sender.send("nobody", b"")
            await sender.send(DEVICE, b"")


async def test_a_day_has_so_many_blocks_of_messages() -> None:
    options = HubOptions(daily_messages=3)
    async with LocalHub(options=options) as hub:
        trust = hub.ssl_context()
        async with CloudSender.from_connection_string(
            hub.service_connection_string, ssl_context=trust, retry=ONCE
        ) as sender:
            await sender.send(DEVICE, bytes(4097))
            await sender.send(DEVICE, b"")
            with pytest.raises(QuotaExceededError) as caught:
                await sender.send(DEVICE, b"")
            assert (caught.value.hub_code, caught.value.transient) == (403002, False)
