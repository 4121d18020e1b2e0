from __future__ import annotations

from c2dkit.testing.contract.story import *  # noqa: F403

from .legs import DEVICE_LEGS, SERVICE_LEGS

__all__ = ["DEVICE_LEGS", "SERVICE_LEGS"]
