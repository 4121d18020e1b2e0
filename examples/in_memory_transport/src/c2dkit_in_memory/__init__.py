"""Cloud-to-device messages inside one process, as a transport of c2dkit.

``MemoryHub`` stands where a hub would; ``transport="in-memory"`` finds it by the host name of the connection string.
"""

from __future__ import annotations

from c2dkit.transports import TransportPlugin
from c2dkit_in_memory._device import InMemoryDeviceTransport
from c2dkit_in_memory._hub import MemoryHub
from c2dkit_in_memory._service import InMemoryServiceTransport

__all__ = ["PLUGIN", "InMemoryDeviceTransport", "InMemoryServiceTransport", "MemoryHub"]

PLUGIN = TransportPlugin(
    device=InMemoryDeviceTransport,
    settlements=InMemoryDeviceTransport.settlements,
    service=InMemoryServiceTransport,
    operations=InMemoryServiceTransport.operations,
)
