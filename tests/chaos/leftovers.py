"""What a script has left behind in this process."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Leftovers:
    """Tasks, open files and sockets that were not there when this was made, and temporary files.

    Args:
        temporary: The folder for temporary files, where there is one.
    """

    def __init__(self, temporary: Path | None = None) -> None:
        self._temporary = temporary
        self._tasks = asyncio.all_tasks()
        self._files = open_files()

    async def settled(self) -> list[str]:
        """Name them, once there are none, or after the time that the event loop may take to close what is closing."""
        await none_left(self._found)
        return self._found()

    def _found(self) -> list[str]:
        tasks = [f"the task {task.get_name()}: {task.get_coro()}" for task in asyncio.all_tasks() - self._tasks]
        files = [f"the open file {file}" for _, file in open_files() - self._files]
        temporary = [] if self._temporary is None else [f"the file {path}" for path in self._temporary.iterdir()]
        return [*tasks, *files, *temporary]


async def none_left(found: Callable[[], object]) -> None:
    """Wait until there are none, but not for long."""
    with anyio.move_on_after(5):
        while found():
            await anyio.wait_all_tasks_blocked()


def open_files() -> set[tuple[str, str]]:
    """Return the descriptors of this process, and what they are of; sockets too."""
    found: set[tuple[str, str]] = set()
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the listing has one itself, which is gone
        try:
            found.add((descriptor, os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH115 - Path would resolve it
        except FileNotFoundError:
            continue
    return found
