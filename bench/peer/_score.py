"""Counts acknowledgements and says, one JSON line each on standard output, when counting starts and how it ended."""

from __future__ import annotations

import asyncio
import json
import time

__all__ = ["Score", "say"]

WARM_UP = 2000
"""Acknowledgements before the clock starts: start-up, caches and just-in-time compilers are not what is measured."""


def say(event: str, **values: object) -> None:
    """Write one line for the program that started this one."""
    print(json.dumps({"event": event, **values}), flush=True)


class Score:
    """One client's count, from the end of the warm-up until ``messages`` or ``seconds``, whichever comes first."""

    def __init__(self, messages: int, seconds: float) -> None:
        self.over = asyncio.Event()
        self._messages = messages
        self._seconds = seconds
        self._warm_up = WARM_UP
        self._count = 0
        self._began: float | None = None
        self._busy = 0.0

    def add(self, count: int) -> None:
        """Count acknowledgements that have just arrived."""
        self._count += count
        if self._began is not None:
            if self._count >= self._messages:
                self._finish()
        elif self._count >= self._warm_up:
            self._start()

    def fail(self, reason: str) -> None:
        """End the run: the client broke the protocol or went away."""
        if not self.over.is_set():
            say("failed", reason=reason)
            self.over.set()

    def _start(self) -> None:
        self._count = 0
        self._began = time.perf_counter()
        self._busy = time.process_time()
        asyncio.get_running_loop().call_later(self._seconds, self._finish)
        say("started")

    def _finish(self) -> None:
        if self.over.is_set() or self._began is None:
            return
        elapsed = time.perf_counter() - self._began
        busy = time.process_time() - self._busy
        say("finished", messages=self._count, seconds=elapsed, peer_load=busy / elapsed)
        self.over.set()
