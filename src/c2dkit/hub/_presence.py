"""When devices came, went, and did something, as the registry tells it; none of it outlives the hub.

That a device counts as connected by its receiver, and what counts as activity, is inferred: IoT Hub's developer guide says
no more than "connected, received or sent a message".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit.hub._changes import DeviceRemoved, MessageLocked

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from c2dkit.hub._changes import Change

__all__ = ["Presence"]


class Presence:
    """The times of one hub's devices.

    Args:
        now: The hub's clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.changed_at: dict[str, datetime] = {}
        """When a device last came or went."""
        self.active_at: dict[str, datetime] = {}
        """When a device last came, or received a message."""

    def came(self, device_id: str) -> None:
        """Note that a device has begun to receive."""
        self.changed_at[device_id] = self.active_at[device_id] = self._now()

    def went(self, device_id: str) -> None:
        """Note that a device receives no more; one that was removed before is forgotten already."""
        if device_id in self.changed_at:
            self.changed_at[device_id] = self._now()

    def take(self, change: Change) -> None:
        """Note what the state tells of a device."""
        match change:
            case MessageLocked(device_id):
                self.active_at[device_id] = self._now()
            case DeviceRemoved(device_id):
                self.changed_at.pop(device_id, None)
                self.active_at.pop(device_id, None)
            case _:
                pass
