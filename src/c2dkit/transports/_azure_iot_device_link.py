"""One receiver on a client of azure-iot-device: takes the place of its handlers and gives it back."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

import anyio

from c2dkit._errors import C2dError, ClosedError, ConnectionLostError, UnsupportedSettlementError
from c2dkit.transports._azure_iot_device_errors import error_from_client
from c2dkit.transports._azure_iot_device_subscription import FeatureSwitch, Subscription, in_thread
from c2dkit.transports._azure_iot_device_unread import Unread
from c2dkit.transports._ending import Ending
from c2dkit.transports._ports import Delivery
from c2dkit.transports._waiting import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from c2dkit._rules.settlement import Settlement
    from c2dkit.transports._azure_iot_device_message import ClientMessage

__all__ = ["ClientLink", "DeviceClient"]

RESTORE_SECONDS: Final = 5.0
"""How long ``close`` waits for that client to unsubscribe."""


class DeviceClient(FeatureSwitch, Protocol):
    """What is used of an ``IoTHubDeviceClient``, synchronous or not. Setting ``on_message_received`` may block."""

    on_message_received: Callable[[ClientMessage], object] | None
    on_connection_state_change: Callable[[], object] | None
    on_background_exception: Callable[[Exception], object] | None

    def connect(self) -> object:
        """Connect; a coroutine function in the client of ``azure.iot.device.aio``, else blocking."""
        ...


_open_links: WeakKeyDictionary[DeviceClient, ClientLink] = WeakKeyDictionary()
"""The link that has the handlers of a client: two cannot, because the first would wait in silence."""


class ClientLink:
    """An open receiver; made by ``AzureIotDeviceTransport.open``."""

    def __init__(self, client: DeviceClient, unread: Unread, *, prefetch: int, reconnect_seconds: float) -> None:
        self._client = client
        self._unread = unread
        self._prefetch = prefetch
        self._reconnect_seconds = reconnect_seconds
        self._loop = asyncio.get_running_loop()
        self.ending = Ending()
        self._cause: C2dError | None = None
        self._give_up: asyncio.TimerHandle | None = None
        self._previous: Callable[[ClientMessage], object] | None = None
        self._restore_watch: Callable[[], None] | None = None
        self._arrived = asyncio.Event()
        self._subscription: Subscription | None = None
        self._under_way: asyncio.Task[object] | None = None

    async def start(self) -> None:
        """Connect where need be, and take the place of the handlers; errors as ``DeviceTransport.open``."""
        before = _open_links.get(self._client)
        if before is not None:
            before.end(ConnectionLostError("another receiver has taken over this client", hub_code=409002))
            await before.close()
        _open_links[self._client] = self
        try:
            await answer(self._connect(), host="the hub", doing="the client of azure-iot-device")
        except C2dError:
            raise
        except Exception as error:
            raise error_from_client(error, doing="the client of azure-iot-device cannot connect") from error
        self._subscription = Subscription(
            self._client, self._unread.__len__, bound=self._prefetch, on_error=self._cannot_subscribe
        )

    async def _connect(self) -> None:
        if not self._client.connected:
            await self._to_its_end(_connect(self._client))
        self._restore_watch = self._watch()
        current = self._client.on_message_received
        self._previous = None if isinstance(getattr(current, "__self__", None), Unread) else current
        self._unread.notify(self._on_arrival)
        subscribe = partial(setattr, self._client, "on_message_received", self._unread.on_message)
        await self._to_its_end(in_thread(subscribe))

    async def _to_its_end(self, call: Coroutine[None, None, object]) -> None:
        """Await what that client does not stop when it is cancelled, so that ``close`` can wait for its end."""
        self._under_way = asyncio.create_task(call)
        self._under_way.add_done_callback(_retrieve)
        await asyncio.shield(self._under_way)

    def _watch(self) -> Callable[[], None]:
        """Put handlers in place that tell of the connection; return what puts the old ones back."""
        client = self._client
        state, background = client.on_connection_state_change, client.on_background_exception
        on_state, on_background = _also(self._on_state, state), _also(self._on_background, background)
        client.on_connection_state_change = on_state
        client.on_background_exception = on_background

        def restore() -> None:
            if client.on_connection_state_change is on_state:
                client.on_connection_state_change = state
            if client.on_background_exception is on_background:
                client.on_background_exception = background

        return restore

    async def receive(self) -> Delivery:
        """See ``DeviceLink.receive``; what is dropped there waits here for the transport's next receiver."""
        self.ending.check()
        while not len(self._unread):
            self._arrived.clear()
            await self._arrived.wait()
            self.ending.check()
        message = self._unread.take()
        self._check_subscription()
        return Delivery(message, None, None)

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        """Refuse: that client has acknowledged the message."""
        raise UnsupportedSettlementError(settlement, transport="azure-iot-device", supported=frozenset())

    def end(self, error: C2dError) -> None:
        """Fail every ``receive`` from now on; the first error stays."""
        if self.ending.come(error):
            self._arrived.set()
            self._stop_giving_up()

    async def close(self) -> None:
        """Put the old handlers back. Idempotent; raises nothing.

        Cancellation: comes through when that is done, after five seconds at most.
        """
        self.end(ClosedError("the receiver is closed"))
        if _open_links.get(self._client) is self:
            del _open_links[self._client]
        if self._subscription is not None:
            self._subscription.close()
        restore, self._restore_watch = self._restore_watch, None
        with anyio.move_on_after(RESTORE_SECONDS, shield=True):
            if self._under_way is not None:
                await asyncio.wait([self._under_way])
            if restore is not None:
                restore()
                self._unread.notify(None)
                await in_thread(self._restore_handler)

    def _restore_handler(self) -> None:
        # A client that is disconnected would connect to unsubscribe. One that was told to disconnect has no thread left
        # that it could wait for: azure-iot-device 2.14 raises AttributeError then, and never handles a message again.
        ours = self._client.on_message_received == self._unread.on_message
        if not ours or (self._previous is None and not self._client.connected):
            return
        try:
            self._client.on_message_received = self._previous
        except Exception:  # noqa: BLE001 - a close raises nothing: that client was shut down, or lost its connection
            return

    def _on_arrival(self) -> None:
        self._arrived.set()
        self._check_subscription()

    def _check_subscription(self) -> None:
        if self._subscription is not None:
            self._subscription.check()

    def _cannot_subscribe(self, error: Exception) -> None:
        self.end(error_from_client(error, doing="the client of azure-iot-device cannot subscribe"))

    def _on_state(self) -> None:
        self._in_loop(self._state_changed)

    def _on_background(self, error: Exception) -> None:
        self._in_loop(self._reported, error)

    def _in_loop(self, function: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _state_changed(self) -> None:
        self._check_subscription()
        self._stop_giving_up()
        if not self._client.connected and self.ending.error is None:
            self._give_up = self._loop.call_later(self._reconnect_seconds, self._gave_up)

    def _stop_giving_up(self) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None

    def _gave_up(self) -> None:
        error = ConnectionLostError(
            f"the client of azure-iot-device has been without a connection for {self._reconnect_seconds:g} s"
        )
        error.__cause__ = self._cause
        self.end(error)

    def _reported(self, error: Exception) -> None:
        self._cause = error_from_client(error, doing="the client of azure-iot-device lost its connection")
        if not self._client.connected and not self._cause.transient:
            self.end(self._cause)


async def _connect(client: DeviceClient) -> None:
    # A function that blocks, or one that makes a coroutine.
    pending = await in_thread(client.connect)
    if inspect.isawaitable(pending):
        await pending


def _retrieve(task: asyncio.Task[object]) -> None:
    """Look at the error of a call whose caller is gone: a task that nobody looks at must not log."""
    if not task.cancelled():
        task.exception()


def _also(ours: Callable[..., None], previous: Callable[..., object] | None) -> Callable[..., object]:
    """Return a handler that calls both; a coroutine function where the previous one is."""
    if previous is None:
        return ours
    if inspect.iscoroutinefunction(previous):

        async def both_async(*args: object) -> None:
            ours(*args)
            await previous(*args)

        return both_async

    def both(*args: object) -> None:
        ours(*args)
        previous(*args)

    return both
