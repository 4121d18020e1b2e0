"""What a receiver, a sender or a feedback stream says of its connection."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from c2dkit._frames import forget_frames

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from c2dkit._errors import C2dError

__all__ = ["CLOSED", "Connection", "ConnectionState", "ConnectionStatus"]

REMEMBERED: Final = 64
"""How many changes an iteration may lag behind before it misses some."""


class ConnectionState(StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    """The first connection is being made, or has not been asked for yet."""
    CONNECTED = "connected"
    RETRYING = "retrying"
    """A connection is lost, or could not be made, and the next try is under way or waits for its time."""
    CLOSED = "closed"
    """Closed by the application, or given up; the status has the cause."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """A connection's state at one moment.

    Attributes:
        state: Where it stands.
        cause: The error that led here: of the last try while ``RETRYING``, of the end when ``CLOSED``; None for an end
            that the application asked for.
        tries: How many tries have been made since the connection was lost.
    """

    state: ConnectionState
    cause: C2dError | None = None
    tries: int = 0


CLOSED: Final = ConnectionStatus(ConnectionState.CLOSED)
"""Closed by the application."""


class Connection:
    """The state of one connection, to be looked at, awaited, or followed with ``async for``.

    Belongs to a receiver, a sender or a feedback stream, which makes it.
    """

    def __init__(self) -> None:
        self._history: deque[ConnectionStatus] = deque([ConnectionStatus(ConnectionState.CONNECTING)], REMEMBERED)
        self._count = 1
        self._changed = asyncio.Event()
        self._followers: WeakSet[Connection] = WeakSet()

    @property
    def status(self) -> ConnectionStatus:
        """The state now, with its cause."""
        return self._history[-1]

    @property
    def state(self) -> ConnectionState:
        """The state now."""
        return self.status.state

    async def wait_for(self, state: ConnectionState) -> ConnectionStatus:
        """Wait until the connection has come into a state, and return its status then.

        Returns at once where it is in that state already, and whenever the connection is closed, which it stays.

        Cancellation: safe.
        """
        async with aclosing(aiter(self)) as statuses:
            async for status in statuses:
                if status.state is state:
                    return status
        return self.status

    async def __aiter__(self) -> AsyncGenerator[ConnectionStatus]:
        """Yield the status now and after every change; ends after ``CLOSED``."""
        seen = self._count - 1
        while True:
            while seen < self._count:
                seen = max(seen, self._count - len(self._history))
                status = self._history[seen - self._count]
                seen += 1
                yield status
                if status.state is ConnectionState.CLOSED:
                    return
            await self._changed.wait()

    def change(self, status: ConnectionStatus) -> None:
        """Move to another status; for the owner. Nothing follows ``CLOSED``."""
        if status == self.status or self.state is ConnectionState.CLOSED:
            return
        # The last cause may still be raised. Those before are only looked at, and would keep their connections alive.
        if self.status.cause is not status.cause:
            forget_frames(self.status.cause)
        self._history.append(status)
        self._count += 1
        self._changed.set()
        self._changed = asyncio.Event()
        for follower in self._followers:
            follower.change(status)

    def follow(self, other: Connection) -> None:
        """Show what another connection shows, now and from now on; for the owner, who uses a connection with others."""
        other._followers.add(self)
        self.change(other.status)

    def __repr__(self) -> str:
        return f"<Connection {self.state.value}>"
