"""What a device and a back end have in common over HTTPS: poll, hold locks, settle, give back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio

from c2dkit._errors import C2dError, ClosedError, MessageLockLostError, PeerProtocolError
from c2dkit._rules.limits import DEVICE_QUEUE_DEPTH
from c2dkit._rules.settlement import Settlement, SettlementEvent, event_of
from c2dkit._wire import https as wire
from c2dkit.transports._https_poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit.transports._ending import Ending
    from c2dkit.transports._https_client import Answer, HttpsClient
    from c2dkit.transports._https_polling import PollingInterval

__all__ = ["LockedQueue"]

GIVE_BACK_SECONDS: Final = 2.0
"""How long a close may take to give back what is held."""

ItemT = TypeVar("ItemT")


class LockedQueue(Generic[ItemT]):
    """A queue at the hub that is polled, and whose items are locked one by one.

    The locks are the hub's and belong to no connection: after a failed poll what is held can still be settled. Only
    ``close`` ends that, and it abandons what is held.

    Args:
        client: Sends the requests; closed with this.
        path: The queue.
        what: What an item is called in errors.
        max_bytes: How large an item may be.
        read: Makes an item and its lock token of an answer; raises ValueError or C2dError.
        interval: How long to wait after a poll that brought nothing.
    """

    def __init__(
        self,
        client: HttpsClient,
        path: str,
        *,
        what: str,
        max_bytes: int,
        read: Callable[[Answer], tuple[ItemT, str]],
        interval: PollingInterval,
    ) -> None:
        self._client = client
        self._path = path
        self._what = what
        self._max_bytes = max_bytes
        self._read = read
        self._poller: Poller[ItemT] = Poller(self._poll, interval)
        self._held: dict[str, None] = {}
        self._closed = False

    @property
    def ending(self) -> Ending:
        """As ``DeviceLink.ending``; only ``close`` brings it."""
        return self._poller.ending

    async def receive(self) -> ItemT:
        """Return the next item; as ``DeviceLink.receive``."""
        return await self._poller.receive()

    async def _poll(self) -> ItemT | None:
        answer = await self._client.request(
            "GET", self._path, max_bytes=self._max_bytes, changes=False, doing=f"to give a {self._what}"
        )
        if answer.status == 204:
            return None
        try:
            item, lock_token = self._read(answer)
        except (ValueError, C2dError) as error:
            raise PeerProtocolError(f"the hub sent a {self._what} that cannot be read: {error}") from error
        self._hold(lock_token)
        return item

    def _hold(self, lock_token: str) -> None:
        self._held[lock_token] = None
        # A queue holds no more than this, so older locks have run out.
        while len(self._held) > DEVICE_QUEUE_DEPTH:
            del self._held[next(iter(self._held))]

    async def settle(self, lock_token: str, settlement: Settlement) -> None:
        """Say what became of an item, and wait for the hub's answer; as ``DeviceLink.settle``."""
        if self._closed:
            raise MessageLockLostError(f"the {self._what} was given back at the close; the hub delivers it again")
        self._held.pop(lock_token, None)
        try:
            await self._send(lock_token, settlement)
        except C2dError as error:
            if event_of(error) is SettlementEvent.REFUSED:
                self._hold(lock_token)
            raise

    async def _send(self, lock_token: str, settlement: Settlement) -> None:
        request = wire.settlement_request(self._path, lock_token, settlement)
        await self._client.request(
            request.method,
            request.path,
            query=request.query,
            max_bytes=wire.MAX_DOCUMENT_BYTES,
            changes=True,
            doing=f"to {settlement.value} the {self._what}",
        )

    async def close(self, error: ClosedError) -> None:
        """Stop polling, abandon what is held, close the connections. Idempotent; raises nothing.

        Cancellation: comes through when what is held is given back, after two seconds at most.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with anyio.move_on_after(GIVE_BACK_SECONDS, shield=True):
                await self._poller.close(error)
                await asyncio.gather(*(self._give_back(token) for token in self._held))
        finally:
            await self._client.close()

    async def _give_back(self, lock_token: str) -> None:
        try:
            await self._send(lock_token, Settlement.ABANDON)
        except C2dError:
            return  # its lock runs out by itself
