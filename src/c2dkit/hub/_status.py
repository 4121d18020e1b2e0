"""What the status page shows, as one document: devices, messages without their bodies, connections, recent events.

Everything is bounded by number, and the counts say how many there are in all.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from c2dkit._rules.limits import ID_LENGTH
from c2dkit.hub._event_text import describe, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from c2dkit._models import Message
    from c2dkit.hub._connections import Connection
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._events import HubEvent
    from c2dkit.hub._identities import Device
    from c2dkit.hub._queue import Entry

__all__ = ["MAX_SHOWN", "status_of"]

MAX_SHOWN: Final = 1000
"""How many devices, messages and connections are shown of each, and clients of one connection."""


def status_of(core: HubCore) -> dict[str, object]:
    """Return the state of a hub; the strings that clients connect with have keys in them."""
    now = core.clock.now()
    connections = tuple(core.connections)
    protocols = _protocols(connections)
    waiting = core.state.all_messages()
    return {
        "at": now,
        "host": core.front.host,
        "ports": list(core.front.ports),
        "ca_file": str(core.front.ca_file),
        "connection_strings": {
            "service": core.front.service_connection_string,
            "iothubowner": core.front.owner_connection_string,
        },
        "device_count": len(core.state.devices),
        "devices": [
            _device(core, device, core.state.messages(device.device_id), protocols.get(device.device_id, ()))
            for device in islice(core.state.devices.values(), MAX_SHOWN)
        ],
        "message_count": core.state.message_count,
        "messages": [_message(device_id, entry, now) for device_id, entry in islice(waiting, MAX_SHOWN)],
        "connection_count": len(connections),
        "connections": [_connection(each) for each in connections[:MAX_SHOWN]],
        "event_count": core.events.count,
        "events": [_event(event) for event in reversed(core.events.recent)],
    }


def _protocols(connections: Iterable[Connection]) -> dict[str, list[str]]:
    """Return what each device is connected over."""
    protocols: dict[str, list[str]] = {}
    for connection in connections:
        for device_id in connection.device_ids:
            protocols.setdefault(device_id, []).append(_way(connection))
    return protocols


def _way(connection: Connection) -> str:
    return f"{connection.peer.protocol}{' (WebSocket)' if connection.peer.websocket else ''}"


def _device(core: HubCore, device: Device, queue: Sequence[Entry[Message]], connected: Sequence[str]) -> object:
    return {
        "device_id": device.device_id,
        "enabled": device.enabled,
        "connected": list(connected),
        "queue_depth": len(queue),
        "locked": sum(entry.lock_token is not None for entry in queue),
        "connection_string": core.front.device_connection_string(device.device_id),
    }


def _message(device_id: str, entry: Entry[Message], now: datetime) -> object:
    locked = entry.lock_token is not None
    lock_end = entry.deadline if locked else None
    message_id = entry.item.message_id
    return {
        "device_id": device_id,
        "sequence_number": entry.sequence_number,
        "message_id": None if message_id is None else visible(message_id[:ID_LENGTH]),
        "body_bytes": len(entry.item.body),
        "delivery_count": entry.delivery_count,
        "locked": locked,
        "lock_seconds": None if lock_end is None else _seconds(lock_end, now),
        "expiry_seconds": _seconds(entry.expires_at, now),
    }


def _seconds(moment: datetime, now: datetime) -> int:
    return max(0, round((moment - now).total_seconds()))


def _connection(connection: Connection) -> object:
    clients = islice(connection.clients, MAX_SHOWN)
    return {"way": _way(connection), "peer": connection.peer.address, "clients": sorted(clients)}


def _event(event: HubEvent) -> object:
    return {"at": event.at, **describe(event)._asdict()}
