"""How a transport is described to the registry, and how the registry describes it to users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
    from c2dkit._rules.settlement import Settlement
    from c2dkit.transports._ports import DeviceTransport, ServiceOperation, ServiceTransport

__all__ = ["DeviceFactory", "ServiceFactory", "TransportInfo", "TransportPlugin"]


class DeviceFactory(Protocol):
    """Makes the transport of one device; ``AmqpDeviceTransport`` and its like are such factories."""

    def __call__(
        self, credential: DeviceCredential, /, *, ssl_context: ssl.SSLContext | None, proxy: str | None
    ) -> DeviceTransport:
        """Make it without opening anything; what it cannot honour it refuses with InvalidInputError."""
        ...


class ServiceFactory(Protocol):
    """Makes the transport of a back end; ``AmqpServiceTransport`` and its like are such factories."""

    def __call__(
        self, credential: ServiceCredential, /, *, ssl_context: ssl.SSLContext | None, proxy: str | None
    ) -> ServiceTransport:
        """Make it, as ``DeviceFactory`` does."""
        ...


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportPlugin:
    """One transport: what an entry point of the group ``c2dkit.transports`` points to.

    Attributes:
        device: Makes its transports for devices; None where it has none.
        settlements: What a device can say of a message.
        service: Makes its transports for back ends; None where it has none.
        operations: What a back end can do.
        missing: Says what must be installed first, or returns None; asked each time.
    """

    device: DeviceFactory | None = None
    settlements: frozenset[Settlement] = frozenset()
    service: ServiceFactory | None = None
    operations: frozenset[ServiceOperation] = frozenset()
    missing: Callable[[], str | None] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportInfo:
    """What is known of a transport without making one.

    Attributes:
        name: What to write as ``transport=``.
        settlements: What a device can say of a message; None where the transport is not for devices.
        operations: What a back end can do; None where the transport is not for back ends.
        missing: Why it cannot be used here and what to do about that; None where it can be used.
    """

    name: str
    settlements: frozenset[Settlement] | None
    operations: frozenset[ServiceOperation] | None
    missing: str | None
