"""The test that needs both sides: a test file imports ``*`` and sets ``DEVICE_LEGS`` and ``SERVICE_LEGS``.

It runs every device leg with every service leg that can share a kind of hub with it.
"""

from __future__ import annotations

from c2dkit.testing.contract._collection import pytest_generate_tests
from c2dkit.testing.contract._fixtures import anyio_backend, device_leg, pair, service_leg
from c2dkit.testing.contract._story import TestStory

__all__ = ["TestStory", "anyio_backend", "device_leg", "pair", "pytest_generate_tests", "service_leg"]
