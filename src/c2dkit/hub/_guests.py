"""Tells of the clients of one connection: each once as it signs in, and all when the connection ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from c2dkit.hub._events import ConnectionEvent

if TYPE_CHECKING:
    from c2dkit.hub._event_feed import EventFeed
    from c2dkit.hub._peer import Peer

__all__ = ["CLOSED_BY_CLIENT", "DROPPED_BY_HUB", "Guests", "lost"]

What: TypeAlias = Literal["connected", "disconnected", "refused"]

CLOSED_BY_CLIENT: Final = "the client closed the connection"
DROPPED_BY_HUB: Final = "the hub dropped the connection"
MAX_REASON: Final = 200


class Guests:
    """The clients of one connection, as they are seen from outside."""

    def __init__(self, feed: EventFeed, peer: Peer) -> None:
        self._feed = feed
        self._peer = peer
        self._clients: dict[str, None] = {}

    def signed_in(self, client: str) -> None:
        """Tell of a client, a device or a policy, unless it has been told of already."""
        if client not in self._clients:
            self._clients[client] = None
            self._tell("connected", client, None)

    def refused(self, reason: str) -> None:
        """Tell that somebody was not let in; the reason names no secret."""
        self._tell("refused", None, reason)

    def over(self, reason: str) -> None:
        """Tell that the clients are gone. Idempotent: the first reason counts."""
        clients, self._clients = self._clients, {}
        for client in clients:
            self._tell("disconnected", client, reason)

    def _tell(self, what: What, client: str | None, reason: str | None) -> None:
        protocol, websocket, address = self._peer
        short = None if reason is None else reason[:MAX_REASON]
        self._feed.tell(ConnectionEvent(self._feed.now(), what, protocol, websocket, address, client, short))


def lost(cause: Exception | None) -> str:
    """Return why a connection has ended that nobody had closed."""
    if cause is None:
        return CLOSED_BY_CLIENT
    return f"the connection was lost: {str(cause) or type(cause).__name__}"
