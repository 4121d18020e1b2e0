"""Keeps one link open: opens another in its place when it has ended, as the retry policy says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from c2dkit._connection import Connection, ConnectionState, ConnectionStatus
from c2dkit._errors import C2dError, ClosedError
from c2dkit._retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from c2dkit._retry import RetryPolicy
    from c2dkit.transports._ending import Ending

__all__ = ["Keeper"]

log = logging.getLogger("c2dkit")

CONNECTED: Final = ConnectionStatus(ConnectionState.CONNECTED)


class Link(Protocol):
    """What a keeper needs of a link."""

    @property
    def ending(self) -> Ending: ...

    async def close(self) -> None: ...


LinkT = TypeVar("LinkT", bound=Link)


class Keeper(Generic[LinkT]):
    """Has a link ready for whoever needs one.

    A link that ends sooner than the policy's longest delay counts as one more try that failed, so that a hub which
    takes connections and drops them is not hurried. One whose end is ``planned`` counts as none, and its successor is
    opened at once.

    What is lost and what comes back is logged, for ``async for`` goes on over it and shows nothing.

    Args:
        what: Whose link it is, for the log.
        open_link: Opens a link.
        policy: When to try again.

    Attributes:
        connection: What the owner shows of all this.
    """

    def __init__(self, what: str, open_link: Callable[[], Awaitable[LinkT]], policy: RetryPolicy) -> None:
        self.connection = Connection()
        self._what = what
        self._open_link = open_link
        self._policy = policy
        self._backoff = Backoff(policy)
        self._well_since = 0.0
        self._poll_at = 0.0
        self._link: LinkT | None = None
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self, *, patient: bool = False) -> None:
        """Open the first link, once: whoever starts a program wants to hear at once that its host or key is wrong.

        Args:
            patient: Open it as the policy says instead, for a program that is under way.

        Cancellation: safe, nothing stays open.

        Raises:
            C2dError: It cannot be opened.
        """
        try:
            self._link = await (self._open() if patient else self._open_link())
        except BaseException as error:
            # Cancelled, too: whoever follows the connection would wait for ever.
            self._end(error if isinstance(error, Exception) else ClosedError("the opening was cancelled"))
            raise
        self._now_connected()
        self._keeping = asyncio.create_task(self._keep(self._link))

    async def link(self, after: LinkT | None = None) -> LinkT:
        """Return the link, waiting for it where it is being replaced; never ``after``, which has ended.

        Cancellation: safe.

        Raises:
            C2dError: There will be no other.
        """
        while self._error is None:
            if self._link is not None and self._link is not after:
                return self._link
            await self._changed.wait()
        raise self._error.with_traceback(None)

    async def recover(self, link: LinkT, error: C2dError) -> LinkT:
        """Return the link to go on with, once there is one, after ``link`` has failed to receive with ``error``.

        A link that polls has not ended with a poll that failed, and is asked again when the policy says so.

        Cancellation: safe.

        Raises:
            C2dError: There will be no other.
        """
        if link.ending.error is not None:
            return await self.link(after=link)
        now = asyncio.get_running_loop().time()
        if self._poll_at <= now:
            self._poll_at = now + self._fail(error)
        link.ending.went_well = self._now_connected
        await self.pause(self._poll_at - now)
        return await self.link()

    async def pause(self, seconds: float) -> None:
        """Wait before a try; no longer once there will be no other link.

        Cancellation: safe.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.connection.wait_for(ConnectionState.CLOSED)

    async def close(self, error: ClosedError) -> None:
        """Close the link and open no other; whoever waits gets ``error``. Idempotent."""
        self._end(error)
        link, self._link = self._link, None
        try:
            if self._keeping is not None:
                self._keeping.cancel()
                await asyncio.wait([self._keeping])
        finally:
            if link is not None:
                await link.close()

    async def _keep(self, link: LinkT) -> None:
        try:
            while True:
                error = await link.ending.wait()
                self._link = None
                try:
                    delay = self._renew(error) if link.ending.planned else self._fail(error)
                finally:
                    await link.close()
                await asyncio.sleep(delay)
                self._link = link = await self._open()
                self._tell()
        except Exception as error:  # noqa: BLE001 - whoever waits must learn why nothing comes, of a bug as well
            self._end(error)

    async def _open(self) -> LinkT:
        while True:
            try:
                link = await self._open_link()
            except C2dError as error:
                await asyncio.sleep(self._fail(error))
            else:
                self._now_connected()
                return link

    def _now_connected(self) -> None:
        if self.connection.state is not ConnectionState.CONNECTED:
            if self._backoff.tries:
                log.info("%s is connected again", self._what)
            self._well_since = asyncio.get_running_loop().time()
            self.connection.change(CONNECTED)

    def _renew(self, error: C2dError) -> float:
        """Return that there is nothing to wait for: the link has made room for one with a fresh token."""
        self.connection.change(ConnectionStatus(ConnectionState.RETRYING, error))
        return 0.0

    def _fail(self, error: C2dError) -> float:
        """Return how long to wait before the next try; ends with ``error`` where there is none, and raises it."""
        now = asyncio.get_running_loop().time()
        was_connected = self.connection.state is ConnectionState.CONNECTED
        if was_connected and now - self._well_since >= self._policy.max_delay.total_seconds():
            self._backoff.reset()
        delay = self._backoff.delay(error, now)
        if delay is None:
            self._end(error)
            raise error
        tries = self._backoff.tries
        log.warning("%s has no connection, try %d to get one in %.1f s: %s", self._what, tries, delay, error)
        self.connection.change(ConnectionStatus(ConnectionState.RETRYING, error, tries))
        return delay

    def _end(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            self.connection.change(ConnectionStatus(ConnectionState.CLOSED, _cause(error)))
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _cause(error: Exception) -> C2dError | None:
    """Return the cause to show for an end."""
    if isinstance(error, ClosedError):
        return None
    if isinstance(error, C2dError):
        return error
    cause = C2dError(f"the retry policy or the transport failed with {type(error).__name__}")
    cause.__cause__ = error
    return cause
