"""What the hub keeps of a device's MQTT subscriptions, on one connection or beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._protocols import mqtt
from c2dkit.hub._changes import DeviceRemoved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from c2dkit.hub._changes import Change

__all__ = ["Session", "Sessions"]

REFUSED: Final = 0x80

# IoT Hub developer guide, "Communicate with an IoT hub using the MQTT protocol": QoS 2 is granted as QoS 1, and a
# device has at most five subscriptions at a time.
HIGHEST_QOS: Final = 1
MAX_FILTERS: Final = 5

# Twins, direct methods and the like: the SDKs subscribe as soon as the application asks, and nothing ever comes.
SERVICES: Final = "$iothub/"


class Session:
    """The filters of one device that select its cloud-to-device messages, each with its QoS.

    Args:
        device_id: The device.
        filters: Those to begin with.
        changed: Is told the filters whenever they have changed.
    """

    def __init__(
        self,
        device_id: str,
        filters: Mapping[str, int] | None = None,
        changed: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        # Every message of a device goes to a topic of five levels; the fifth has the properties, where no filter is
        # expected to look. The SDKs subscribe to devices/{id}/messages/devicebound/#, but on IoT Hub devices/#, or #
        # alone, was seen to receive too.
        self._topic = f"devices/{device_id}/messages/devicebound/%24.to="
        self._filters = dict(filters or {})
        self._changed = changed

    @property
    def qos(self) -> int | None:
        """The QoS to deliver with, or None where nothing is subscribed."""
        return max(self._filters.values(), default=None)

    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Take a subscription over and return the QoS granted, or 0x80 where it is refused."""
        granted = min(qos, HIGHEST_QOS)
        if topic_filter.startswith(SERVICES):
            return granted
        full = topic_filter not in self._filters and len(self._filters) >= MAX_FILTERS
        if full or not mqtt.matches(topic_filter, self._topic):
            return REFUSED
        self._filters[topic_filter] = granted
        self._changed(self._filters)
        return granted

    def unsubscribe(self, topic_filter: str) -> None:
        """End a subscription, if there is one."""
        if self._filters.pop(topic_filter, None) is not None:
            self._changed(self._filters)


class Sessions:
    """The sessions that outlive their connection, by device id.

    Attributes:
        changed: Is told a device's id and its filters whenever they have changed; None in their place where the session
            is over.
    """

    def __init__(self) -> None:
        self.changed: Callable[[str, Mapping[str, int] | None], None] = lambda _device_id, _filters: None
        self._kept: dict[str, Session] = {}

    def restore(self, saved: Mapping[str, Mapping[str, int]]) -> None:
        """Take over what was saved, and nothing else."""
        self._kept = {device_id: self._new(device_id, filters) for device_id, filters in saved.items()}

    def start(self, device_id: str, *, clean: bool) -> tuple[Session, bool]:
        """Return the session for a new connection, and whether it was there before (MQTT-3.1.2-4 to 3.1.2-6)."""
        if clean:
            self.forget(device_id)
            return Session(device_id), False
        present = device_id in self._kept
        if not present:
            self._kept[device_id] = self._new(device_id, {})
            self.changed(device_id, {})
        return self._kept[device_id], present

    def on_change(self, change: Change) -> None:
        """Forget the session of a device that is gone (inferred)."""
        if isinstance(change, DeviceRemoved):
            self.forget(change.device_id)

    def forget(self, device_id: str) -> None:
        """End a device's session, if there is one."""
        if self._kept.pop(device_id, None) is not None:
            self.changed(device_id, None)

    def _new(self, device_id: str, filters: Mapping[str, int]) -> Session:
        return Session(device_id, filters, lambda filters: self.changed(device_id, filters))
