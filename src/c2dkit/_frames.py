"""Lets go of what an exception holds besides what it says."""

from __future__ import annotations

__all__ = ["forget_frames"]


def forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an exception and of what led to it: their frames keep every variable alive."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
