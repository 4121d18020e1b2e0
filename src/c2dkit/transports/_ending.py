"""How a link tells that it is over, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit._errors import C2dError

__all__ = ["Ending"]


class Ending:
    """The end of one link: to be looked at, and to be waited for.

    A link makes one for itself, calls ``come`` when it is over, and shows it as its ``ending``. One that polls calls
    ``went_well`` after each poll that did: it has not ended with one that failed, so only this says that it is well
    again.
    """

    def __init__(self) -> None:
        self.error: C2dError | None = None
        """The error with which the link has ended; None while it lasts."""
        self.planned: bool = False
        """Whether the link has ended itself so that another signs in anew, with a fresh token: that is no failure."""
        self.went_well: Callable[[], None] = lambda: None
        """For a link that polls to call; set by whoever wants to know."""
        self._over = asyncio.Event()

    def come(self, error: C2dError, *, planned: bool = False) -> bool:
        """End; return whether this was the first end, which stays."""
        if self.error is not None:
            return False
        self.planned = planned
        self.error = error
        self._over.set()
        return True

    def check(self) -> None:
        """Raise the error with which the link has ended, if it has."""
        if self.error is not None:
            raise self.error.with_traceback(None)

    async def wait(self) -> C2dError:
        """Wait for the end and return its error.

        Cancellation: safe.
        """
        await self._over.wait()
        assert self.error is not None  # noqa: S101 - set before the event
        return self.error
