"""The messages that a client of azure-iot-device has brought and nobody has taken yet."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from c2dkit.transports._azure_iot_device_message import read_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit._models import Message
    from c2dkit.transports._azure_iot_device_message import ClientMessage

__all__ = ["Unread"]


class Unread:
    """Takes messages in that client's threads and keeps them for the event loop, in the order in which they came.

    It outlives the receivers: the messages have been acknowledged, so the hub does not send them again.
    """

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()  # appending and popping are thread-safe
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_arrival: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._messages)

    def on_message(self, message: ClientMessage) -> None:
        """Take a message; called in that client's threads, never blocks."""
        self._messages.append(read_message(message))
        loop, on_arrival = self._loop, self._on_arrival
        if loop is not None and on_arrival is not None and not loop.is_closed():
            loop.call_soon_threadsafe(on_arrival)

    def notify(self, on_arrival: Callable[[], None] | None) -> None:
        """Have ``on_arrival`` called in this loop after each message from now on, or nothing."""
        self._loop = asyncio.get_running_loop()
        self._on_arrival = on_arrival

    def take(self) -> Message:
        """Return the oldest message; raises IndexError where there is none."""
        return self._messages.popleft()
