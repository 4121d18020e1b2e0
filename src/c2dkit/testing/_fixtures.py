"""The fixtures of the plugin. Each may be overridden, as any fixture may; the others then follow it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

try:
    import pytest
except ModuleNotFoundError as error:
    raise ImportError(
        "c2dkit.testing needs pytest; install it with: pip install 'c2dkit[testing]'", name="pytest"
    ) from error

from c2dkit.hub import BackgroundHub, HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from c2dkit.hub import BackgroundClock

__all__ = ["IotDevice", "iot_device", "iot_hub", "iot_hub_clock", "iot_hub_options"]

DEVICE_ID: Final = "dev-1"


@dataclass(frozen=True, slots=True)
class IotDevice:
    """A device that a hub knows.

    Attributes:
        device_id: Its id.
        connection_string: What it connects with.
    """

    device_id: str
    connection_string: str = field(repr=False)


@pytest.fixture
def iot_hub_options() -> HubOptions:
    """The settings of ``iot_hub``: those of an IoT hub, but feedback is sent at once."""
    return HubOptions(feedback_interval=timedelta(0))


@pytest.fixture
def iot_hub(iot_hub_options: HubOptions) -> Iterator[BackgroundHub]:
    """A hub of this test's own, on a free port, without devices."""
    with BackgroundHub(LocalHub(devices=[], options=iot_hub_options)) as hub:
        yield hub


@pytest.fixture
def iot_hub_clock(iot_hub: BackgroundHub) -> BackgroundClock:
    """The clock of ``iot_hub``."""
    return iot_hub.clock


@pytest.fixture
def iot_device(iot_hub: BackgroundHub) -> IotDevice:
    """The device dev-1, registered with ``iot_hub``."""
    iot_hub.add_device(DEVICE_ID)
    return IotDevice(DEVICE_ID, iot_hub.device_connection_string(DEVICE_ID))
