"""The connections that are open, over AMQP and MQTT; over HTTP every request stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from c2dkit._protocols.amqp import AmqpError
    from c2dkit.hub._fault_stream import Wire
    from c2dkit.hub._faults import FaultLink
    from c2dkit.hub._peer import Peer

__all__ = ["Connection", "Connections", "FaultTarget"]


class FaultTarget(Protocol):
    """What faults may befall: a client's connection, whatever the protocol."""

    @property
    def device_ids(self) -> Collection[str]:
        """The devices that have signed in; AMQP lets many share a connection."""
        ...

    @property
    def wire(self) -> Wire:
        """What is under the connection."""
        ...

    def drop(self) -> None:
        """End the connection at once, without a goodbye, and give back what the client held."""
        ...

    def close(self, error: AmqpError | None, /) -> None:
        """End the connection with the protocol's goodbye, where it has one."""
        ...

    def detach_links(self, error: AmqpError | None, /, *, link: FaultLink | None, device_id: str | None) -> bool:
        """End links, all (but those of ``$cbs``) or of one role, of one device or all; returns whether there were any."""
        ...

    def end_sessions(self, error: AmqpError | None, /, *, device_id: str | None) -> bool:
        """End the sessions that have links of a device, or of anybody; returns whether there were any."""
        ...


class Connection(FaultTarget, Protocol):
    """A client's connection over AMQP or MQTT."""

    protocol: ClassVar[str]
    """``"AMQP"`` or ``"MQTT"``; the same through a WebSocket."""

    peer: Peer
    """The other end."""

    @property
    def clients(self) -> Collection[str]:
        """Who has signed in: device ids, and the names of policies."""
        ...

    def reauthorize(self) -> None:
        """End what the hub's devices and policies, which have changed, no longer allow."""
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
