"""The connections that are open, over AMQP and MQTT; over HTTP every request stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from c2dkit.hub._peer import Peer

__all__ = ["Connection", "Connections"]


class Connection(Protocol):
    """A client's connection, whatever the protocol."""

    protocol: ClassVar[str]
    """``"AMQP"`` or ``"MQTT"``; the same through a WebSocket."""

    peer: Peer
    """The other end."""

    @property
    def clients(self) -> Collection[str]:
        """Who has signed in: device ids, and the names of policies."""
        ...

    @property
    def device_ids(self) -> Collection[str]:
        """The devices among them; AMQP lets many share a connection."""
        ...

    def reauthorize(self) -> None:
        """End what the hub's devices and policies, which have changed, no longer allow."""
        ...

    def drop(self) -> None:
        """End the connection at once, without a goodbye, and give back what the client held."""
        ...


class Connections:
    """The open connections of one hub, oldest first."""

    def __init__(self) -> None:
        self._open: dict[Connection, None] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._open))

    @property
    def device_ids(self) -> Collection[str]:
        """The devices that have signed in on some connection."""
        return {device_id for connection in self._open for device_id in connection.device_ids}

    def add(self, connection: Connection) -> None:
        """Take up a connection that has begun."""
        self._open[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is over. Idempotent."""
        self._open.pop(connection, None)

    def reauthorize(self, device_ids: Collection[str]) -> None:
        """Have the connections reauthorized on which one of the devices has signed in."""
        for connection in self:
            if any(device_id in device_ids for device_id in connection.device_ids):
                connection.reauthorize()

    def reauthorize_all(self) -> None:
        """Have all connections reauthorized."""
        for connection in self:
            connection.reauthorize()

    def of_device(self, device_id: str) -> tuple[Connection, ...]:
        """Return the connections on which a device has signed in."""
        return tuple(connection for connection in self if device_id in connection.device_ids)
