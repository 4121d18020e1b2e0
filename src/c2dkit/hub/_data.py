"""What a hub has besides connections: in memory, and with a folder on the disk as well."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from c2dkit.hub._authority import CertificateAuthority
from c2dkit.hub._changes import DeviceSaved
from c2dkit.hub._mqtt_sessions import Sessions
from c2dkit.hub._policies import Policies
from c2dkit.hub._state import HubState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from c2dkit._errors import HubDataError
    from c2dkit.hub._changes import Change
    from c2dkit.hub._clock import HubClock
    from c2dkit.hub._identities import Policy
    from c2dkit.hub._keys import Keys
    from c2dkit.hub._options import HubOptions
    from c2dkit.hub._store import Store

__all__ = ["HubData"]


class HubData:
    """The belongings of one hub; from `open` to `close` what happens to them is written down.

    Args:
        options: The hub's settings.
        clock: The hub's clock.
        keys: Makes and checks the keys of devices and policies.

    Attributes:
        state: Devices, messages and feedback.
        policies: The shared access policies.
        authority: The hub's own certificate authority; `open` may put another in its place.
        authorities: The other certificate authorities that are trusted, each in PEM.
        sessions: The MQTT sessions that outlive their connection.
        store: Writes to the folder; None where there is none.
    """

    def __init__(self, options: HubOptions, clock: HubClock, keys: Keys) -> None:
        self.state = HubState(options, clock.now, keys=keys)
        self.policies = Policies(keys)
        self.authority = CertificateAuthority()
        self.authorities: list[bytes] = []
        self.sessions = Sessions()
        self.store: Store | None = None
        self._clock = clock
        self.state.subscribe(self.sessions.on_change)
        self.state.subscribe(self._on_change)
        self.policies.subscribe(self._on_policy)
        self.sessions.changed = self._on_session
        clock.subscribe(self._on_clock)

    @property
    def failed(self) -> asyncio.Event:
        """Set once something could not be written to the folder."""
        return asyncio.Event() if self.store is None else self.store.failed

    def trust(self, authority: bytes) -> None:
        """Keep a certificate authority."""
        self.authorities.append(authority)
        if self.store is not None:
            self.store.trust(authority)

    async def open(self, path: Path) -> None:
        """Take over what is in a folder, or begin a new one.

        Cancellation: the folder is closed again, here or by `close`.

        Raises:
            HubDataError: It cannot be used, and nothing of it was changed.
        """
        from c2dkit.hub._store import Store  # noqa: PLC0415 - most hubs have no folder, and load no SQLite

        self.store = await Store.open(
            path,
            policies=self.policies.by_name.values(),
            authority=self.authority.pems,
            clock_offset=self._clock.offset,
        )
        self._restore(self.store)
        await self.store.committed()

    async def close(self) -> HubDataError | None:
        """Write what waits and let another hub have the folder; return why, if it could not be written."""
        store, self.store = self.store, None
        if store is None:
            return None
        await store.aclose()
        return store.error() if store.failed.is_set() else None

    def _restore(self, store: Store) -> None:
        """Become what was saved. What was there before stays where the folder has nothing in its place.

        The clock goes on from where it had been moved to: time passes while no hub runs, and never backwards.
        """
        saved = store.saved
        self._clock.advance(max(saved.clock_offset - self._clock.offset, timedelta(0)))
        new = [policy for name, policy in self.policies.by_name.items() if name not in saved.policies]
        self.policies.restore([*saved.policies.values(), *new])
        for policy in new:
            store.save_policy(policy)
        self.authority = CertificateAuthority(saved.authority)
        self.authorities = list(dict.fromkeys([*saved.authorities, *self.authorities]))
        for authority in self.authorities:
            store.trust(authority)
        self.sessions.restore(saved.sessions)
        self.state.restore(saved.state)
        known = {each.device.device_id for each in saved.state.devices}
        for device in self.state.devices.values():
            if device.device_id not in known:
                store.change(DeviceSaved(device))

    def _on_change(self, change: Change) -> None:
        if self.store is not None:
            self.store.change(change)

    def _on_policy(self, policy: Policy) -> None:
        if self.store is not None:
            self.store.save_policy(policy)

    def _on_session(self, device_id: str, filters: Mapping[str, int] | None) -> None:
        if self.store is not None:
            self.store.save_session(device_id, filters)

    def _on_clock(self) -> None:
        if self.store is not None:
            self.store.move_clock(self._clock.offset)
