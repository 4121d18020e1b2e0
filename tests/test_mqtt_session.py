"""The session that a device keeps at the hub over MQTT, from one connection to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from c2dkit import CloudSender, DeviceReceiver
from c2dkit.hub import HubOptions, LocalHub

if TYPE_CHECKING:
    import ssl


def receiver(hub: LocalHub, trust: ssl.SSLContext) -> DeviceReceiver[object]:
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string("dev-1"), transport="mqtt", ssl_context=trust
    )


async def test_what_is_sent_between_two_connections_comes_on_a_hub_that_rejects_what_nobody_subscribed_to() -> None:
    async with LocalHub(options=HubOptions(mqtt_rejects_early_messages=True)) as hub:
        trust = hub.ssl_context()
        with anyio.fail_after(20):
            async with receiver(hub, trust):
                pass
            async with CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust) as sender:
                await sender.send("dev-1", "x")
            async with receiver(hub, trust) as messages:
                assert (await anext(messages)).body == b"x"
