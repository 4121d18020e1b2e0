"""Subscribes a client of azure-iot-device to its messages, and ends that while too many are unread."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FeatureSwitch", "Subscription", "in_thread"]

C2D: Final = "c2d"
"""That client's own name for the subscription."""


class Pipeline(Protocol):
    """What is used of the inner layer of that client."""

    def enable_feature(self, feature_name: str, callback: Callable[..., None]) -> None:
        """Send SUBSCRIBE; the callback gets ``error=``."""
        ...

    def disable_feature(self, feature_name: str, callback: Callable[..., None]) -> None:
        """Send UNSUBSCRIBE; the callback gets ``error=``."""
        ...


class FeatureSwitch(Protocol):
    """A client of azure-iot-device, as far as it is used here."""

    _mqtt_pipeline: Pipeline

    @property
    def connected(self) -> bool:
        """Whether it has a connection now."""
        ...


class Subscription:
    """Unsubscribes a client while ``bound`` messages are unread, and subscribes it again when half of them are read.

    That client acknowledges whatever it is given and keeps all of it in memory, so this is the only way to bound what
    it holds. Its public way to unsubscribe is to take its handler away. That stops the thread which calls handlers, and
    where the application disconnects the client at that moment, azure-iot-device 2.14 leaves the next such thread dead.
    So the inner layer is used.

    Args:
        client: The client, subscribed.
        unread: Says how many messages are unread.
        bound: How many may be.
        on_error: Gets what that client answered, where it can neither subscribe nor unsubscribe.
    """

    def __init__(
        self, client: FeatureSwitch, unread: Callable[[], int], *, bound: int, on_error: Callable[[Exception], None]
    ) -> None:
        self._client = client
        self._unread = unread
        self._bound = bound
        self._on_error = on_error
        self._subscribed: bool | None = True  # None: an attempt to change it was cut off
        self._due = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep())

    def check(self) -> None:
        """Look again: a message has come or gone, or the connection has."""
        self._due.set()

    def close(self) -> None:
        """Leave it as it is."""
        self._keeper.cancel()

    async def _keep(self) -> None:
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                while self._client.connected and self._wanted() != self._subscribed:
                    await self._switch(wanted=self._wanted())
        except Exception as error:  # noqa: BLE001 - whoever waits for messages must learn why none come
            self._on_error(error)

    def _wanted(self) -> bool:
        # Half of the bound apart, so that not every message is followed by a packet.
        return self._unread() < self._bound if self._subscribed else self._unread() <= self._bound // 2

    async def _switch(self, *, wanted: bool) -> None:
        self._subscribed = None
        pipeline = self._client._mqtt_pipeline  # noqa: SLF001 - see the class
        try:
            await _called_back(partial(pipeline.enable_feature if wanted else pipeline.disable_feature, C2D))
        except Exception:
            if self._client.connected:
                raise
        else:
            self._subscribed = wanted


async def _called_back(function: Callable[..., None]) -> None:
    """Call a function that blocks for a moment and later calls ``callback(error=...)`` in some thread."""
    loop = asyncio.get_running_loop()
    called: asyncio.Future[None] = loop.create_future()

    def finish(error: Exception | None) -> None:
        if called.done():
            return
        if error is None:
            called.set_result(None)
        else:
            called.set_exception(error)

    def callback(error: Exception | None = None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, error)

    await in_thread(partial(function, callback=callback))
    await called


async def in_thread(function: Callable[[], object]) -> object:
    """Call a function that may block as long as the hub does not answer; left to itself when cancelled."""
    return await to_thread.run_sync(function, abandon_on_cancel=True)
