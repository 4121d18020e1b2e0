"""Proves that the transport keeps c2dkit's contract."""

from c2dkit_in_memory.contract import InMemoryDeviceLeg, InMemoryServiceLeg

from c2dkit.testing.contract.device import *  # noqa: F403
from c2dkit.testing.contract.service import *  # noqa: F403
from c2dkit.testing.contract.story import *  # noqa: F403

DEVICE_LEGS = [InMemoryDeviceLeg()]
SERVICE_LEGS = [InMemoryServiceLeg()]
