"""How to go on after an error that may pass."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from c2dkit._errors import C2dError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff", "RetryPolicy"]


def _is_transient(error: C2dError) -> bool:
    return error.transient


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again: after a random part of a delay that doubles with every try (full jitter), up to a deadline.

    Where the hub says how long to wait (``retry_after``), no try comes earlier than that.

    Attributes:
        first_delay: The longest wait before the first try.
        max_delay: The longest wait before any other; a connection that has lasted this long starts the delays anew.
        deadline: How long to go on trying, counted from the first error; None for as long as it takes. The default is
            that of Microsoft's SDKs, four minutes.
        retries: Which errors may pass; by default those with ``transient`` set. A wrong key, an unknown or disabled
            device and a bad certificate never pass by themselves.

    Raises:
        InvalidInputError: A delay or the deadline is negative, or ``first_delay`` is longer than ``max_delay``.
    """

    first_delay: timedelta = timedelta(milliseconds=500)
    max_delay: timedelta = timedelta(seconds=30)
    deadline: timedelta | None = timedelta(minutes=4)
    retries: Callable[[C2dError], bool] = field(default=_is_transient, repr=False)

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.first_delay <= self.max_delay:
            raise InvalidInputError("first_delay must be 0 at least and max_delay at most")
        if self.deadline is not None and self.deadline < timedelta(0):
            raise InvalidInputError(f"deadline must be 0 at least, not {self.deadline}")

    @classmethod
    def none(cls) -> Self:
        """Never try again: the first error is the last."""
        return cls(deadline=timedelta(0))


class Backoff:
    """One row of tries under a policy.

    Args:
        policy: The policy.
        fraction: Draws a number from 0 to 1: the part of the delay to wait.
    """

    def __init__(self, policy: RetryPolicy, *, fraction: Callable[[], float] = random.random) -> None:
        self._policy = policy
        self._fraction = fraction
        self._tries = 0
        self._ends_at: float | None = None

    @property
    def tries(self) -> int:
        """How often `delay` has been asked since the beginning, or since `reset`."""
        return self._tries

    def reset(self) -> None:
        """Forget the tries: the next error is a first one."""
        self._tries = 0
        self._ends_at = None

    def delay(self, error: C2dError, now: float) -> float | None:
        """Return how many seconds to wait before the next try, or None where there is to be none.

        Args:
            error: What has just gone wrong; gets a note where tries are given up.
            now: Seconds of a monotonic clock.
        """
        policy = self._policy
        if self._ends_at is None and policy.deadline is not None:
            self._ends_at = now + policy.deadline.total_seconds()
        if not policy.retries(error):
            return None
        longest = min(policy.max_delay, policy.first_delay * 2.0 ** min(self._tries, 30)).total_seconds()
        wait = self._fraction() * longest
        if error.retry_after is not None:
            wait += error.retry_after.total_seconds()
        if self._ends_at is not None and now + wait >= self._ends_at:
            if self._tries:
                error.add_note(
                    f"given up at try {self._tries}: RetryPolicy(deadline={policy.deadline}) allows no later one"
                )
            return None
        self._tries += 1
        return wait
