"""A leg: one transport under test, with the hub that it is tested against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from c2dkit.testing.contract._local_hub import local_hub, standard_hub

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
    from c2dkit.testing.contract._hub_view import HubFactory
    from c2dkit.testing.contract._manifest import Reason
    from c2dkit.transports._ports import DeviceTransport, ServiceTransport

__all__ = ["DeviceLeg", "Leg", "ServiceLeg"]


class Leg(ABC):
    """What both sides' legs have in common.

    Attributes:
        name: What the summary calls the leg.
        lacks: What is true of this transport; requirements that exclude one of these are not asked of it.
        hubs: The kinds of hub that it can run against, the preferred one first. By default a ``LocalHub`` on a free
            port, or else one on the standard ports of an address of its own.
        warnings: Filters for warnings that are not the transport's own, as ``pytest.mark.filterwarnings`` takes them.
    """

    name: str
    lacks: frozenset[Reason] = frozenset()
    hubs: Sequence[HubFactory] = (local_hub, standard_hub)
    warnings: Sequence[str] = ()

    def missing(self) -> str | None:
        """Say why this machine cannot run the leg, or return None where it can."""
        return None

    async def aclose(self) -> None:  # noqa: B027 - most legs leave nothing
        """Put away what the transports of a test have left; called after each test."""


class DeviceLeg(Leg):
    """A transport for devices."""

    @abstractmethod
    def transport(self, credential: DeviceCredential, trust: Path | None) -> DeviceTransport:
        """Make the transport of one device; nothing is opened yet.

        Args:
            credential: With the hub's host name and port.
            trust: The certificate authority (PEM) to trust; None for what the machine trusts.
        """


class ServiceLeg(Leg):
    """A transport for back ends."""

    @abstractmethod
    def transport(self, credential: ServiceCredential, trust: Path | None) -> ServiceTransport:
        """Make the transport of a back end; as ``DeviceLeg.transport``."""
