"""The fixtures of the tests; whoever runs the suite imports them with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit.testing.contract._bench import BackEnd, Device, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from c2dkit.testing.contract._legs import DeviceLeg, ServiceLeg

__all__ = ["anyio_backend", "back_end", "device", "device_leg", "pair", "service_leg"]


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio, the one event loop that c2dkit supports."""
    return "asyncio"


@pytest.fixture
def device_leg(request: pytest.FixtureRequest) -> DeviceLeg:
    """The device leg under test."""
    leg: DeviceLeg = request.param
    return leg


@pytest.fixture
def service_leg(request: pytest.FixtureRequest) -> ServiceLeg:
    """The service leg under test."""
    leg: ServiceLeg = request.param
    return leg


@pytest.fixture
async def device(device_leg: DeviceLeg) -> AsyncIterator[Device]:
    """Devices on the leg under test, and their hub."""
    async with opened(device_leg) as hub:
        yield Device(device_leg, hub)


@pytest.fixture
async def back_end(service_leg: ServiceLeg) -> AsyncIterator[BackEnd]:
    """A back end on the leg under test, and its hub."""
    async with opened(service_leg) as hub:
        yield BackEnd(service_leg, hub)


@pytest.fixture
async def pair(device_leg: DeviceLeg, service_leg: ServiceLeg) -> AsyncIterator[tuple[Device, BackEnd]]:
    """Both sides at one hub."""
    async with opened(device_leg, service_leg) as hub:
        yield Device(device_leg, hub), BackEnd(service_leg, hub)
