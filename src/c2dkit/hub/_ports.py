"""The ports of a hub: a listener on each, and the doors of every protocol behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from c2dkit.hub._amqp import AmqpDoor
from c2dkit.hub._durable_stream import durable
from c2dkit.hub._fault_door import FaultyDoor
from c2dkit.hub._http_late import FIRST_BYTES, late_http_door
from c2dkit.hub._listener import Listener
from c2dkit.hub._mqtt import MqttDoor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._data import HubData
    from c2dkit.hub._listener import Door
    from c2dkit.hub._tls import TlsContext

__all__ = ["Ports"]


class Ports:
    """Closed at first; may be opened again after a close.

    Args:
        host: The name or address to listen on.
        wanted: Which ports; 0 takes a free one.
    """

    def __init__(self, host: str, wanted: Sequence[int]) -> None:
        self._host = host
        self._wanted = wanted
        self._listeners: list[Listener] = []

    @property
    def numbers(self) -> tuple[int, ...]:
        """The ports that are open, in the order in which they were wanted; none where the hub does not listen."""
        return tuple(listener.port for listener in self._listeners)

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return sum(listener.connection_count for listener in self._listeners)

    async def open(self, core: HubCore, data: HubData, context: TlsContext) -> None:
        """Listen; where this fails, ``close`` closes what is open by then.

        Raises:
            OSError: A port is taken or may not be used, or the host's address is not one of this machine's.
        """
        doors = _doors(core, data)
        for port in self._wanted:
            listener = Listener(
                context, doors, max_connections=core.options.max_connections, timeout=core.patience.timeout
            )
            await listener.open(self._host, port)
            self._listeners.append(listener)

    async def disconnect_all(self) -> None:
        """Drop every connection; as ``LocalHub.disconnect_all``."""
        await asyncio.gather(*(listener.disconnect_all() for listener in self._listeners))

    async def close(self) -> None:
        """Drop every connection and stop listening. Idempotent."""
        listeners, self._listeners = self._listeners, []
        await asyncio.gather(*(listener.aclose() for listener in listeners))


def _doors(core: HubCore, data: HubData) -> dict[bytes, Door]:
    amqp, mqtt = AmqpDoor(core), MqttDoor(core, data.sessions)
    http = late_http_door(core, {"amqpwsb10": amqp, "mqtt": mqtt})
    doors: dict[bytes, Door] = {b"AMQP": amqp, b"\x10": mqtt, **dict.fromkeys(FIRST_BYTES, http)}
    store = data.store
    if store is not None:
        doors = {first: durable(door, store) for first, door in doors.items()}
    return {first: FaultyDoor(core, door) for first, door in doors.items()}
