"""The tests of a transport for devices: a test file imports ``*`` and sets ``DEVICE_LEGS``."""

from __future__ import annotations

from c2dkit.testing.contract._collection import pytest_generate_tests
from c2dkit.testing.contract._device.cancellation import TestCancellation
from c2dkit.testing.contract._device.lifecycle import TestLifecycle
from c2dkit.testing.contract._device.receive import TestReceive
from c2dkit.testing.contract._device.refusals import TestDeviceRefusals
from c2dkit.testing.contract._device.settlement import TestSettlement
from c2dkit.testing.contract._fixtures import anyio_backend, device, device_leg

__all__ = [
    "TestCancellation",
    "TestDeviceRefusals",
    "TestLifecycle",
    "TestReceive",
    "TestSettlement",
    "anyio_backend",
    "device",
    "device_leg",
    "pytest_generate_tests",
]
