"""What the doors of one hub share."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

from c2dkit.hub._changes import DeviceRemoved, DeviceSaved
from c2dkit.hub._connections import Connections
from c2dkit.hub._fault_injection import Faults
from c2dkit.hub._faults import FaultKind
from c2dkit.hub._gate import Gate
from c2dkit.hub._presence import Presence
from c2dkit.hub._receivers import Receivers
from c2dkit.hub._throttle import Throttle
from c2dkit.hub._timers import PatienceTimers, Timers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from c2dkit.hub._auth import Authenticator
    from c2dkit.hub._changes import Change
    from c2dkit.hub._clock import HubClock
    from c2dkit.hub._event_feed import EventFeed
    from c2dkit.hub._options import HubOptions
    from c2dkit.hub._state import HubState
    from c2dkit.hub._timers import Timer

__all__ = ["Front", "HubCore"]


class Front(Protocol):
    """What a hub tells its owner: where it is, and what clients connect with."""

    host: str

    @property
    def ports(self) -> Sequence[int]: ...

    @property
    def ca_file(self) -> Path: ...

    @property
    def service_connection_string(self) -> str: ...

    @property
    def owner_connection_string(self) -> str: ...

    def device_connection_string(self, device_id: str) -> str: ...


class HubCore:
    """The state with everything that keeps it going while the hub runs.

    Whoever changes the state says `changed` afterwards; what falls due in the state is then done in time.
    ``status_key`` opens the data of the status page, until the hub stops.
    """

    def __init__(
        self,
        state: HubState,
        auth: Authenticator,
        clock: HubClock,
        options: HubOptions,
        *,
        host_name: str,
        events: EventFeed,
        front: Front,
    ) -> None:
        self.state = state
        self.auth = auth
        self.clock = clock
        self.options = options
        self.host_name = host_name
        self.events = events
        self.front = front
        self.status_key = secrets.token_urlsafe()
        self.connections = Connections()
        self.presence = Presence(clock.now)
        self.receivers = Receivers(self.presence)
        self.timers = Timers(clock)
        self._changed_devices: set[str] = set()
        self.patience = PatienceTimers(clock)
        self.faults = Faults(self.timers, self.connections)
        self.gate = Gate(options, Throttle(options, clock.now), self.faults)
        self._timer: Timer[datetime] | None = None
        self._looking = False
        self._stopped = False

    def start(self) -> None:
        """Begin to keep the state's time and to wake receivers; needs a running event loop."""
        self.state.on_ready = self._on_ready
        self.state.subscribe(self._on_change)
        self.auth.on_verified = self.gate.sign_in
        self.changed()

    def stop(self) -> None:
        """Undo `start`."""
        self._stopped = True
        self.state.on_ready = lambda _: None
        self.state.unsubscribe(self._on_change)
        self.faults.withdraw_all()
        self.timers.stop()
        self.patience.stop()

    def complete(self, device_id: str, lock_token: UUID) -> None:
        """Complete a message as its device says, unless a fault loses the word: then it is delivered once more.

        Raises:
            MessageLockLostError: The lock is over, or never was.
            DeviceNotFoundError: The device is unknown or disabled.
        """
        fault = self.faults.active(FaultKind.DUPLICATE, device_id)
        if fault is not None and self.state.redeliver(device_id, lock_token):
            fault.happened()
        else:
            self.state.complete(device_id, lock_token)

    def changed(self) -> None:
        """Have the state's next deadline looked up at the end of this turn of the event loop."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _on_ready(self, device_id: str | None) -> None:
        self.receivers.ready(device_id)
        self.changed()

    def _on_change(self, change: Change) -> None:
        self.presence.take(change)
        match change:
            case DeviceSaved(device):
                self._reauthorize(device.device_id)
            case DeviceRemoved(device_id):
                self._reauthorize(device_id)
            case _:
                pass

    def _reauthorize(self, device_id: str) -> None:
        # Not at once, for the state is in the middle of a change; and once for many devices.
        if not self._changed_devices:
            asyncio.get_running_loop().call_soon(self._reauthorize_changed)
        self._changed_devices.add(device_id)

    def _reauthorize_changed(self) -> None:
        changed, self._changed_devices = self._changed_devices, set()
        self.connections.reauthorize(changed)

    def _look(self) -> None:
        self._looking = False
        due = self.state.next_deadline()
        if due is None or self._stopped:
            return
        # A timer that comes too early is left alone: to look once more then is cheaper than to move it every time.
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self.timers.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.state.tick()
        self.changed()
