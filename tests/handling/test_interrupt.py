"""Ctrl-C inside of a handler, where the event loop ends with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from c2dkit import DeviceReceiver
from c2dkit._models import Message
from c2dkit._wire.amqp import device_address
from c2dkit.hub import BackgroundHub, LocalHub

if TYPE_CHECKING:
    from c2dkit import ReceivedMessage


def test_keyboard_interrupt_is_no_error_of_a_handler() -> None:
    async def handle(_: ReceivedMessage[object]) -> None:
        raise KeyboardInterrupt

    async def main(device: str, hub: BackgroundHub) -> None:
        receiver = DeviceReceiver.from_connection_string(device, ssl_context=hub.ssl_context())
        async with receiver:
            await receiver.run(handle, on_error="reject")

    with BackgroundHub(LocalHub(devices=["dev-1"])) as hub:
        hub.call(lambda local: local._state.send(Message(b"x", to=device_address("dev-1"))))
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main(hub.device_connection_string("dev-1"), hub))
        assert hub.queue_depth("dev-1") == 1
