"""Ties tests to requirements."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, ParamSpec

import anyio

from c2dkit.testing.contract._requirements import REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["SECONDS", "requirement", "requirements_of", "untested"]

SECONDS: Final = 20.0
"""How long one test may take; every wait in the suite ends with it."""

P = ParamSpec("P")

_tested: set[str] = set()


def requirement(*names: str) -> Callable[[Callable[P, Awaitable[None]]], Callable[P, Awaitable[None]]]:
    """Mark an async test as the proof of these requirements, and bound its time.

    Raises:
        LookupError: The manifest has no such requirement. Marks are read on import, so this fails the collection.
    """
    unknown = [name for name in names if name not in REQUIREMENTS]
    if unknown:
        raise LookupError(f"the manifest has no requirement {', '.join(unknown)}")
    _tested.update(names)

    def mark(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        @functools.wraps(test)
        async def bounded(*args: P.args, **kwargs: P.kwargs) -> None:
            __tracebackhide__ = True
            with anyio.fail_after(SECONDS):
                await test(*args, **kwargs)

        bounded.requirements = names  # type: ignore[attr-defined]
        return bounded

    return mark


def requirements_of(test: object) -> tuple[str, ...]:
    """Return the requirements that a test proves; none where it is not marked."""
    names: tuple[str, ...] = getattr(test, "requirements", ())
    return names


def untested() -> list[str]:
    """Return the requirements that no test is tied to, of the tests imported so far."""
    return [name for name in REQUIREMENTS if name not in _tested]
