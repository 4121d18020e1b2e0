"""What the two reference drivers, on c2dkit's own clients, share: the protocol in the event loop, and who to trust."""

from __future__ import annotations

import json
import ssl
import sys
from typing import TYPE_CHECKING

from anyio import to_thread

from tests.certify.drivers._lines import Fields, class_name, hello, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

__all__ = ["Reference", "text"]


class Reference:
    """Answers each step with the method ``do_STEP``; trusts the authority in a file."""

    def __init__(self, transport: str, ca_file: str | Path) -> None:
        self.transport = transport
        self._ca_file = ca_file

    def trust(self) -> ssl.SSLContext:
        """Return a context that trusts the hub."""
        return ssl.create_default_context(cafile=self._ca_file)

    async def answer(self, step: Fields) -> Fields:
        """Do a step and tell what has happened."""
        do: Callable[[Fields], Awaitable[object]] = getattr(self, f"do_{step['do']}")
        try:
            return {"ok": await do(step)}
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what has happened
            return {"error": class_name(error), "text": str(error)}

    async def serve(self) -> None:
        """Answer one step after another until the input ends."""
        hello(["c2dkit"])
        while line := await to_thread.run_sync(sys.stdin.readline):
            say(await self.answer(json.loads(line)))


def text(value: datetime | None) -> str | None:
    """Return a time as JSON has it."""
    return None if value is None else value.isoformat()
