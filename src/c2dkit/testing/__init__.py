"""A plugin for pytest with a hub, its clock and a device as fixtures.

A project takes it up with ``pytest_plugins = ["c2dkit.testing"]`` in the ``conftest.py`` of its root. The fixtures are
plain ones, so tests may be plain functions, or coroutines for pytest-asyncio or anyio. ``c2dkit.testing.contract`` is
another matter: the suite that every transport passes.

Needs the extra ``testing``: ``pip install 'c2dkit[testing]'``.

PYTEST_DONT_REWRITE: there are no assertions in here, and ``conftest.py`` may import from here before pytest does.
"""

from c2dkit.testing._fixtures import IotDevice, iot_device, iot_hub, iot_hub_clock, iot_hub_options

__all__ = ["IotDevice", "iot_device", "iot_hub", "iot_hub_clock", "iot_hub_options"]
