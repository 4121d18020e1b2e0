"""A hub in a thread of its own, for tests and programs that have no event loop."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar, overload

from anyio.from_thread import start_blocking_portal

from c2dkit._errors import ClosedError, InvalidInputError
from c2dkit.hub._local_hub import LocalHub

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta
    from pathlib import Path
    from types import TracebackType

    from anyio.from_thread import BlockingPortal

__all__ = ["BackgroundClock", "BackgroundHub"]

P = ParamSpec("P")
T = TypeVar("T")


class BackgroundHub:
    """Runs a ``LocalHub`` in a thread of its own, listening from ``with`` until its end.

    Its methods may be called from any thread, from coroutines too: each runs in the hub's thread and returns when it is
    done there, after about as long as it takes a ``LocalHub``. What it raises comes out as it is. The most used
    methods of ``LocalHub`` are here under their names; `call` leads to all others.

    Args:
        hub: A hub that does not listen. From ``with`` on it belongs to the thread.
    """

    def __init__(self, hub: LocalHub) -> None:
        self.clock: BackgroundClock = BackgroundClock(self)
        """The hub's clock."""
        self._hub = hub
        self._running = ExitStack()
        self._portal: BlockingPortal | None = None
        self._process: int | None = None

    def __enter__(self) -> Self:
        """Start the thread and listen.

        Raises:
            OSError: A port is taken or may not be used, or the host's address is not one of this machine's.
            HubDataError: As for ``LocalHub``.
            InvalidInputError: The hub listens already; or as for ``LocalHub``.
        """
        if self._portal is not None:
            raise InvalidInputError("the hub listens already")
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio", name="c2dkit-hub"))
            stack.enter_context(portal.wrap_async_context_manager(self._hub))
            self._running = stack.pop_all()
        self._process = os.getpid()
        self._portal = portal
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop every connection, stop listening and end the thread.

        Raises:
            HubDataError: As for ``LocalHub``, and as there a note on an exception that is under way.
        """
        self._portal = None
        if self._process == os.getpid():  # a fork of it has no such thread
            self._running.__exit__(exc_type, exc, traceback)

    @overload
    def call(
        self, function: Callable[Concatenate[LocalHub, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    @overload
    def call(self, function: Callable[Concatenate[LocalHub, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    def call(
        self, function: Callable[Concatenate[LocalHub, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> object:
        """Call a function with the hub in the hub's thread, and return what it returns.

        ``hub.call(LocalHub.issue_certificate, "dev-1")`` calls a method, a coroutine function is awaited.

        Raises:
            ClosedError: The hub is not listening, or was started by another process, which this one is a fork of.
        """
        portal = self._portal
        if portal is None:
            raise ClosedError("the hub is not listening; use `with BackgroundHub(LocalHub()) as hub:`")
        if self._process != os.getpid():
            raise ClosedError("the hub runs in another process; ask it there, and pass on what a fork needs")
        return portal.call(partial(function, self._hub, *args, **kwargs))

    @property
    def host(self) -> str:
        """As ``LocalHub.host``."""
        return self.call(lambda hub: hub.host)

    @property
    def port(self) -> int:
        """As ``LocalHub.port``."""
        return self.call(lambda hub: hub.port)

    @property
    def ca_file(self) -> Path:
        """As ``LocalHub.ca_file``."""
        return self.call(lambda hub: hub.ca_file)

    @property
    def service_connection_string(self) -> str:
        """As ``LocalHub.service_connection_string``."""
        return self.call(lambda hub: hub.service_connection_string)

    @property
    def owner_connection_string(self) -> str:
        """As ``LocalHub.owner_connection_string``."""
        return self.call(lambda hub: hub.owner_connection_string)

    @property
    def connection_count(self) -> int:
        """As ``LocalHub.connection_count``."""
        return self.call(lambda hub: hub.connection_count)

    def device_connection_string(self, device_id: str) -> str:
        """As ``LocalHub.device_connection_string``."""
        return self.call(LocalHub.device_connection_string, device_id)

    def ssl_context(self) -> ssl.SSLContext:
        """As ``LocalHub.ssl_context``."""
        return self.call(LocalHub.ssl_context)

    def add_device(self, device_id: str) -> None:
        """Register a device that signs in with a key; for certificates ``call(LocalHub.add_device, ...)``.

        Raises:
            InvalidInputError: The id breaks IoT Hub's rules.
            ServiceError: There is such a device (409001).
        """
        self.call(LocalHub.add_device, device_id)

    def disable_device(self, device_id: str) -> None:
        """As ``LocalHub.disable_device``."""
        self.call(LocalHub.disable_device, device_id)

    def enable_device(self, device_id: str) -> None:
        """As ``LocalHub.enable_device``."""
        self.call(LocalHub.enable_device, device_id)

    def queue_depth(self, device_id: str) -> int:
        """As ``LocalHub.queue_depth``."""
        return self.call(LocalHub.queue_depth, device_id)

    def disconnect_all(self) -> None:
        """As ``LocalHub.disconnect_all``."""
        self.call(LocalHub.disconnect_all)


class BackgroundClock:
    """The clock of a `BackgroundHub`; may be used from any thread."""

    def __init__(self, hub: BackgroundHub) -> None:
        self._hub = hub

    def now(self) -> datetime:
        """As ``HubClock.now``."""
        return self._hub.call(lambda hub: hub.clock.now())

    def advance(self, delta: timedelta, *, silence: bool = False) -> None:
        """As ``HubClock.advance``."""
        self._hub.call(lambda hub: hub.clock.advance(delta, silence=silence))
