"""A client over HTTP as faults see it: for the time of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from c2dkit._protocols.amqp import AmqpError
    from c2dkit.hub._fault_stream import Wire
    from c2dkit.hub._faults import FaultLink

__all__ = ["HttpClient"]


class HttpClient:
    """Whoever asks.

    Args:
        device_id: The device that the request's address names, or None.
        wire: What is under the connection.
        abort: Ends the connection.
    """

    def __init__(self, device_id: str | None, wire: Wire, abort: Callable[[], None]) -> None:
        self.device_ids: Collection[str] = () if device_id is None else (device_id,)
        self.wire = wire
        self._abort = abort

    def drop(self) -> None:
        """End the connection; the request gets no answer."""
        self._abort()

    def close(self, _: AmqpError | None, /) -> None:
        """End the connection: HTTP has no goodbye."""
        self._abort()

    def detach_links(self, _: AmqpError | None, /, *, link: FaultLink | None, device_id: str | None) -> bool:
        """Return that HTTP has no links."""
        return False

    def end_sessions(self, _: AmqpError | None, /, *, device_id: str | None) -> bool:
        """Return that HTTP has no sessions."""
        return False
