"""The tests of a transport for back ends: a test file imports ``*`` and sets ``SERVICE_LEGS``."""

from __future__ import annotations

from c2dkit.testing.contract._collection import pytest_generate_tests
from c2dkit.testing.contract._fixtures import anyio_backend, back_end, service_leg
from c2dkit.testing.contract._service.feedback import TestFeedback
from c2dkit.testing.contract._service.operations import TestOperations
from c2dkit.testing.contract._service.outcomes import TestOutcomes
from c2dkit.testing.contract._service.refusals import TestServiceRefusals
from c2dkit.testing.contract._service.send import TestSend

__all__ = [
    "TestFeedback",
    "TestOperations",
    "TestOutcomes",
    "TestSend",
    "TestServiceRefusals",
    "anyio_backend",
    "back_end",
    "pytest_generate_tests",
    "service_leg",
]
