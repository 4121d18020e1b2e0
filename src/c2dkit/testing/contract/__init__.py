"""The contract of every transport, as tests: bring a leg, and run them over your own.

A test file of an adapter is an import and its legs::

    from c2dkit.testing.contract.device import *

    DEVICE_LEGS = [MyDeviceLeg()]

``device`` has the tests of a transport for devices, ``service`` those of a transport for back ends (``SERVICE_LEGS``)
and ``story`` the one that needs both. A leg says how to make the transport and for which reasons some requirements do
not apply to it; what each requirement says, and who says so, is in ``REQUIREMENTS``. With
``pytest_plugins = ["c2dkit.testing.contract"]`` in the ``conftest.py`` of its root, a project has pytest print what each
leg has proved.

Needs the extra ``testing``: ``pip install 'c2dkit[testing]'``.
"""

from __future__ import annotations

from pytest import register_assert_rewrite as _register_assert_rewrite  # noqa: PT013 - no name of this package

_register_assert_rewrite(*(f"{__name__}.{name}" for name in ("_bench", "_device", "_service", "_story")))

from c2dkit.testing.contract._hub_view import HubFactory, HubView  # noqa: E402 - the line above must come first
from c2dkit.testing.contract._legs import DeviceLeg, ServiceLeg  # noqa: E402
from c2dkit.testing.contract._local_hub import local_hub, no_standard_hub, standard_hub  # noqa: E402
from c2dkit.testing.contract._manifest import Reason, Requirement  # noqa: E402
from c2dkit.testing.contract._mark import requirement, untested  # noqa: E402
from c2dkit.testing.contract._requirements import REQUIREMENTS  # noqa: E402
from c2dkit.testing.contract._summary import pytest_configure, pytest_runtest_makereport  # noqa: E402

__all__ = [
    "DeviceLeg",
    "HubFactory",
    "HubView",
    "REQUIREMENTS",
    "Reason",
    "Requirement",
    "ServiceLeg",
    "local_hub",
    "no_standard_hub",
    "pytest_configure",
    "pytest_runtest_makereport",
    "requirement",
    "standard_hub",
    "untested",
]
