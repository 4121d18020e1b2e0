from __future__ import annotations

from c2dkit.testing.contract.device import *  # noqa: F403

from .legs import DEVICE_LEGS

__all__ = ["DEVICE_LEGS"]
