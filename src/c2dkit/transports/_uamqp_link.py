"""What every link of a uamqp connection does in the connection's task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from c2dkit.transports._ending import Ending
from c2dkit.transports._waiting import fail

if TYPE_CHECKING:
    from c2dkit._errors import C2dError

__all__ = ["Endpoint", "UamqpLink"]


class Endpoint(Protocol):
    """What ``MessageReceiverAsync`` and ``MessageSenderAsync`` of uamqp have in common."""

    async def open_async(self) -> None:
        """Attach."""
        ...

    async def work_async(self) -> None:
        """Keep its time."""
        ...

    def get_state(self) -> object:
        """Return an enumeration's member, ``Open`` once attached; raises what has ended the link."""
        ...

    async def destroy_async(self) -> None:
        """Detach, and free uamqp's objects."""
        ...


class UamqpLink:
    """A link, from its opening to its end, all in the task of its connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.attached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ending = Ending()
        self.closing = False
        self.gone = asyncio.Event()
        self._endpoint = endpoint
        self._opened = False
        self._answered = False

    async def work(self) -> bool:
        """Do what is due and say whether something was; raises what has ended the link."""
        if not self._opened:
            self._opened = True
            await self._endpoint.open_async()
        state: object = self._endpoint.get_state()
        if self._answered:
            await self._endpoint.work_async()  # not before: it would send a flow
        elif getattr(state, "name", "") == "Open":
            self._answered = True
            if not self.attached.done():
                self.attached.set_result(None)
                self.on_attached()
        return not self._answered

    @property
    def may_go(self) -> bool:
        """Whether it can be destroyed: the process crashes when the answer to an attach finds no link."""
        return not self._opened or self._answered or self.ending.error is not None

    def on_attached(self) -> None:
        """The hub has attached the link."""

    def lost(self, error: C2dError) -> None:
        """The link is over; the first error stays."""
        self.ending.come(error)
        fail(self.attached, error)

    async def destroy(self) -> None:
        """Detach; the last call."""
        await self._endpoint.destroy_async()
        self.gone.set()
