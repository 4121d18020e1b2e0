"""One connection for everything that is opened from one service transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Leave", "Sharing"]

Leave = Callable[[], Awaitable[None]]


class _Client(Protocol):
    @property
    def error(self) -> Exception | None: ...

    async def close(self) -> None: ...


ClientT = TypeVar("ClientT", bound=_Client)


class Sharing(Generic[ClientT]):
    """The connection of a transport: opened for its first user, closed with its last, anew once it is broken."""

    def __init__(self, connect: Callable[[], Awaitable[ClientT]]) -> None:
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._shared: _Shared[ClientT] | None = None

    @asynccontextmanager
    async def joining(self) -> AsyncGenerator[tuple[ClientT, Leave]]:
        """Count one more user of the connection, who has to call ``Leave`` once; undone if the body fails."""
        async with self._connecting:
            if self._shared is None or self._shared.over:
                self._shared = _Shared(await self._connect())
            shared = self._shared
            shared.users += 1
        try:
            yield shared.client, shared.leave
        except BaseException:
            await shared.leave()
            raise


class _Shared(Generic[ClientT]):
    def __init__(self, client: ClientT) -> None:
        self.client = client
        self.users = 0

    @property
    def over(self) -> bool:
        """Whether nobody can join any more: the connection has ended, or its last user is closing it."""
        return self.client.error is not None or self.users == 0

    async def leave(self) -> None:
        self.users -= 1
        if self.users == 0:
            await self.client.close()
