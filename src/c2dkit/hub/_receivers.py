"""Who receives from which queue, and the news that a queue has something.

A device has one receiver at a time, whatever the protocol: the newest wins ("ConnectionForcefullyClosedOnNewConnection"
and "LinkCreationConflict" in IoT Hub's error codes). Feedback has as many as like, who share one queue.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from c2dkit.hub._presence import Presence

__all__ = ["Receiver", "Receivers"]


class Receiver(Protocol):
    """Whoever takes messages from a queue of the hub."""

    def pull(self) -> None:
        """Take what there is, as far as there is room for it."""
        ...


class DeviceReceiver(Receiver, Protocol):
    """Receives for a device, until another does."""

    def displace(self) -> None:
        """Stop at once, for a newer receiver has come."""
        ...


class Receivers:
    """The receivers of one hub; ``presence`` is told of those of devices."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._devices: dict[str, DeviceReceiver] = {}
        self._feedback: dict[Receiver, None] = {}
        self._ready: dict[str | None, None] = {}

    def claim(self, device_id: str, receiver: DeviceReceiver) -> None:
        """Make ``receiver`` the device's one receiver; the one before is displaced."""
        older = self._devices.get(device_id)
        self._devices[device_id] = receiver
        self._presence.came(device_id)
        if older is not None and older is not receiver:
            older.displace()

    def release(self, device_id: str, receiver: DeviceReceiver) -> None:
        """Undo ``claim``, unless another receiver has come since."""
        if self._devices.get(device_id) is receiver:
            del self._devices[device_id]
            self._presence.went(device_id)

    def add_feedback(self, receiver: Receiver) -> None:
        """Let ``receiver`` share the feedback queue."""
        self._feedback[receiver] = None

    def served_feedback(self, receiver: Receiver) -> None:
        """Let the others who share the queue have their turn first: who gives a batch back does not get it at once.

        That the receivers take turns is inferred.
        """
        self.remove_feedback(receiver)
        self.add_feedback(receiver)

    def remove_feedback(self, receiver: Receiver) -> None:
        """Undo ``add_feedback``."""
        self._feedback.pop(receiver, None)

    def ready(self, device_id: str | None) -> None:
        """Have the queue's receivers pull (None: feedback), once this turn of the event loop is done.

        Not at once, because the state that tells of it may be in the middle of a change.
        """
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._pull)
        self._ready[device_id] = None

    def _pull(self) -> None:
        ready, self._ready = self._ready, {}
        for device_id in ready:
            if device_id is None:
                self._pull_feedback()
            elif receiver := self._devices.get(device_id):
                receiver.pull()

    def _pull_feedback(self) -> None:
        for receiver in tuple(self._feedback):
            receiver.pull()
