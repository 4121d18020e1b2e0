from __future__ import annotations

from c2dkit.testing.contract.service import *  # noqa: F403

from .legs import SERVICE_LEGS

__all__ = ["SERVICE_LEGS"]
