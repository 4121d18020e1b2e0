"""The faults of a running hub: each begins when its time has come and strikes as often as it may."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from c2dkit._errors import InvalidInputError
from c2dkit._protocols.amqp import AmqpError
from c2dkit.hub._faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from c2dkit.hub._connections import Connection, Connections, FaultTarget
    from c2dkit.hub._fault_stream import Wire
    from c2dkit.hub._faults import Fault
    from c2dkit.hub._timers import Timer, Timers

__all__ = ["Faults", "InjectedFault"]

log = logging.getLogger("c2dkit.hub")

MAX_FAULTS: Final = 1000
"""How many faults a hub has at a time."""


class InjectedFault:
    """A fault that a hub has, from `LocalHub.inject` until it is over.

    It is over when it has happened as often as it may, when its ``duration`` has passed, or when it is withdrawn. What
    holds a connection up, ``HALF_OPEN`` and ``DELAY``, goes on after the last time that it may happen, so one without a
    ``duration`` has to be withdrawn.

    Attributes:
        fault: The fault.
        count: How often it has happened.
    """

    def __init__(self, fault: Fault, on_over: Callable[[InjectedFault], None]) -> None:
        self.fault = fault
        self.count: int = 0
        self._on_over = on_over
        self._over = asyncio.Event()
        self._wires: WeakSet[Wire] = WeakSet()

    @property
    def is_over(self) -> bool:
        """Whether it does nothing any more."""
        return self._over.is_set()

    @property
    def may_happen(self) -> bool:
        """Whether it may happen once more."""
        return not self.is_over and (self.fault.limit is None or self.count < self.fault.limit)

    def withdraw(self) -> None:
        """End the fault, and what it holds up. Idempotent."""
        if self.is_over:
            return
        self._over.set()
        self._on_over(self)
        for wire in self._wires:
            wire.relieve(self.fault.by)

    async def wait(self) -> int:
        """Wait until it is over and return how often it has happened.

        Cancellation: safe, the fault stays.
        """
        await self._over.wait()
        return self.count

    def happened(self) -> None:
        """Count once."""
        self.count += 1
        log.info("a fault happened: %s", self.fault)
        if not self.may_happen and self.fault.kind not in HOLDS:
            self.withdraw()

    def burden(self, wire: Wire) -> bool:
        """Hold a connection up until the fault is over; returns whether it did not yet."""
        if wire in self._wires:
            return False
        self._wires.add(wire)
        wire.burden(self.fault.by)
        return True


class Faults:
    """The faults of one running hub.

    Doors ask `happens` and `refuses`, which count, and say `came` and `asks`.
    """

    def __init__(self, timers: Timers, connections: Connections) -> None:
        self._timers = timers
        self._connections = connections
        self._all: dict[InjectedFault, None] = {}
        self._begun: dict[InjectedFault, None] = {}
        self._awaited: dict[tuple[InjectedFault, Connection], Timer[datetime]] = {}

    def inject(self, fault: Fault, *, at_once: bool = True) -> InjectedFault:
        """Have a fault begin in its time: at once where it has no ``after``, unless a door is just doing something.

        Raises:
            InvalidInputError: The hub has as many as it may.
        """
        if len(self._all) >= MAX_FAULTS:
            raise InvalidInputError(f"a hub has at most {MAX_FAULTS} faults at a time; withdraw some")
        injected = InjectedFault(fault, self._forget)
        self._all[injected] = None
        if at_once and not fault.after:
            self._begin(injected)
        else:
            self._timers.call_at(self._timers.time() + fault.after, lambda: self._begin(injected))
        return injected

    def withdraw_all(self) -> None:
        """End every fault."""
        for injected in tuple(self._all):
            injected.withdraw()

    def count_of(self, device_id: str) -> int:
        """Return how many faults concern that device alone."""
        return sum(injected.fault.device == device_id for injected in self._all)

    def active(self, kind: FaultKind, device_id: str | None) -> InjectedFault | None:
        """Return the first fault of a kind that has begun and concerns a device, or a back end where it is None."""
        for injected in self._begun:
            if injected.fault.kind is kind and injected.fault.device in (None, device_id):
                return injected
        return None

    def happens(self, kind: FaultKind, device_id: str | None) -> bool:
        """Say whether a fault of a kind happens to a device now, or to a back end where it is None."""
        injected = self.active(kind, device_id)
        if injected is not None:
            injected.happened()
        return injected is not None

    def refuses(self, device_id: str | None) -> bool:
        """Say whether a new connection, or None: one of which nothing is known yet, is refused now."""
        for injected in self._begun:
            if injected.fault.kind is FaultKind.REFUSE and injected.fault.device == device_id:
                injected.happened()
                return True
        return False

    def came(self, connection: Connection) -> None:
        """Take note that somebody has signed in on a connection, or done so with one more link."""
        for injected in tuple(self._begun):
            if (injected, connection) in self._awaited or not _concerns(injected.fault, connection):
                continue
            if injected.fault.after:
                self._await(injected, connection)
            else:
                self._strike(injected, connection)

    def asks(self, client: FaultTarget) -> None:
        """Take note of a request over HTTP, which stands alone: there is no later moment for a fault to come at."""
        for injected in tuple(self._begun):
            if _concerns(injected.fault, client):
                self._strike(injected, client)

    def _await(self, injected: InjectedFault, connection: Connection) -> None:
        self._forget_the_dead()

        def due() -> None:
            del self._awaited[injected, connection]
            self._strike(injected, connection)

        moment = self._timers.time() + injected.fault.after
        self._awaited[injected, connection] = self._timers.call_at(moment, due)

    def _forget_the_dead(self) -> None:
        # Else a device that comes and goes would leave a connection behind each time.
        alive = frozenset(self._connections)
        for each in [each for each in self._awaited if each[0].is_over or each[1] not in alive]:
            self._awaited.pop(each).cancel()

    def _begin(self, injected: InjectedFault) -> None:
        if injected.is_over:
            return
        self._begun[injected] = None
        if injected.fault.duration is not None:
            self._timers.call_at(self._timers.time() + injected.fault.duration, injected.withdraw)
        strike = STRIKES.get(injected.fault.kind)
        if strike is None:
            return
        concerned = [connection for connection in self._connections if _concerns(injected.fault, connection)]
        struck = [strike(injected, connection) for connection in concerned]
        if any(struck):
            injected.happened()

    def _strike(self, injected: InjectedFault, connection: FaultTarget) -> None:
        strike = STRIKES.get(injected.fault.kind)
        if strike is not None and injected.may_happen and strike(injected, connection):
            injected.happened()

    def _forget(self, injected: InjectedFault) -> None:
        self._all.pop(injected, None)
        self._begun.pop(injected, None)


def _concerns(fault: Fault, connection: FaultTarget) -> bool:
    return fault.device is None or fault.device in connection.device_ids


def _drop(_: InjectedFault, connection: FaultTarget) -> bool:
    connection.drop()
    return True


def _reset(_: InjectedFault, connection: FaultTarget) -> bool:
    connection.wire.reset_at_end()
    connection.drop()
    return True


def _close(injected: InjectedFault, connection: FaultTarget) -> bool:
    connection.close(_error(injected.fault))
    return True


def _burden(injected: InjectedFault, connection: FaultTarget) -> bool:
    return injected.burden(connection.wire)


def _detach(injected: InjectedFault, connection: FaultTarget) -> bool:
    fault = injected.fault
    return connection.detach_links(_error(fault), link=fault.link, device_id=fault.device)


def _end_sessions(injected: InjectedFault, connection: FaultTarget) -> bool:
    return connection.end_sessions(_error(injected.fault), device_id=injected.fault.device)


def _error(fault: Fault) -> AmqpError | None:
    if fault.error_condition is None:
        return None
    return AmqpError(fault.error_condition, f"a fault that was injected: {fault}")


HOLDS: Final = frozenset({FaultKind.HALF_OPEN, FaultKind.DELAY})
"""What lasts beyond its last time."""

STRIKES: Final[Mapping[FaultKind, Callable[[InjectedFault, FaultTarget], bool]]] = {
    FaultKind.DROP: _drop,
    FaultKind.RESET: _reset,
    FaultKind.CLOSE: _close,
    FaultKind.HALF_OPEN: _burden,
    FaultKind.DELAY: _burden,
    FaultKind.DETACH: _detach,
    FaultKind.END_SESSION: _end_sessions,
}
"""What befalls connections; each says whether there was something for it to befall."""
