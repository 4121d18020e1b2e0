"""The events of one hub on their way to whoever watches: the last ones for the status page, all to come for a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from c2dkit.hub._events import EventsMissed, event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from c2dkit.hub._changes import Change
    from c2dkit.hub._events import HubEvent

__all__ = ["RECENT_EVENTS", "UNREAD_EVENTS", "EventFeed", "EventStream"]

RECENT_EVENTS: Final = 200
"""How many are kept after they have happened."""

UNREAD_EVENTS: Final = 10_000
"""How many wait for a slow reader of a stream."""


class EventStream:
    """The events from some moment on, for one reader."""

    def __init__(self) -> None:
        self._unread: deque[HubEvent] = deque()
        self._missed: EventsMissed | None = None
        self._ended = False
        self._news = asyncio.Event()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> HubEvent:
        """Wait for the next event, which is `EventsMissed` where some before it are lost.

        Cancellation: safe, nothing is lost.

        Raises:
            StopAsyncIteration: The hub has stopped, and all events have been read.
        """
        while not self._unread:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if self._missed is not None:
            missed, self._missed = self._missed, None
            return missed
        return self._unread.popleft()

    def push(self, event: HubEvent) -> None:
        """Add an event, at the cost of the oldest where too many wait."""
        if len(self._unread) >= UNREAD_EVENTS:
            lost = self._unread.popleft()
            self._missed = EventsMissed(lost.at, 1 if self._missed is None else self._missed.event_count + 1)
        self._unread.append(event)
        self._news.set()

    def end(self) -> None:
        """Let the reader come to an end once it has read everything."""
        self._ended = True
        self._news.set()


class EventFeed:
    """Where everything that happens in a hub is told.

    Args:
        now: The hub's clock.

    Attributes:
        recent: The last 200 events, oldest first.
        count: How many there have been.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.recent: deque[HubEvent] = deque(maxlen=RECENT_EVENTS)
        self.count = 0
        self._streams: list[EventStream] = []

    def changed(self, change: Change) -> None:
        """Tell of a change in the hub's state."""
        self.tell(event_of(change, self.now()))

    def tell(self, event: HubEvent) -> None:
        """Tell of an event."""
        self.count += 1
        self.recent.append(event)
        for stream in self._streams:
            stream.push(event)

    @contextmanager
    def stream(self) -> Generator[EventStream]:
        """Give a stream of the events from now on."""
        stream = EventStream()
        self._streams.append(stream)
        try:
            yield stream
        finally:
            self._streams.remove(stream)

    def end_streams(self) -> None:
        """Let those who read come to an end: the hub has stopped."""
        for stream in self._streams:
            stream.end()
