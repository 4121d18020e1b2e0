"""In which order the hub hears of messages over MQTT, whatever order the application completes them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from c2dkit import CloudSender, DeviceReceiver
from c2dkit.hub import MessageEvent

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub


async def test_the_acknowledgements_leave_in_the_order_of_the_messages(hub: LocalHub) -> None:
    trust = hub.ssl_context()
    async with CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust) as sender:
        sent = [(await sender.send("dev-1", "x")).message_id for _ in range(3)]
    with anyio.fail_after(20), hub.events() as events:
        async with DeviceReceiver.from_connection_string(
            hub.device_connection_string("dev-1"), transport="mqtt", ssl_context=trust
        ) as messages:
            held = [await anext(messages) for _ in sent]
            for message in reversed(held):
                await message.complete()
        completed: list[str | None] = []
        while len(completed) < len(sent):
            event = await anext(events)
            if isinstance(event, MessageEvent) and event.what == "completed":
                completed.append(event.message_id)
    assert completed == sent
