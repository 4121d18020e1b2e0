"""What uamqp's exceptions say: their class, and the condition that the hub gave."""

from __future__ import annotations

from tests.certify.drivers._lines import class_name

__all__ = ["name_of"]


def name_of(error: Exception) -> str:
    """Return class and condition; the condition is bytes, or an enum of bytes where uamqp knows it."""
    condition = getattr(error, "condition", None)
    code = getattr(condition, "value", condition)
    return f"{class_name(error)}({code.decode()})" if isinstance(code, bytes) else class_name(error)
