"""Tells the cancellation of a task from that of something it waited for."""

from __future__ import annotations

import asyncio

__all__ = ["is_cancelled"]


def is_cancelled() -> bool:
    """Return whether the current task is being cancelled; an error may come of something else that was."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
