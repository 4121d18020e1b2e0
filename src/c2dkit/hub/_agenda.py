"""What falls due when, as one heap for the whole hub."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Agenda", "Timed"]

_COMPACT_ABOVE: Final = 64


class Timed(Protocol):
    """Something with one deadline at a time."""

    deadline: datetime | None

    def fire(self, now: datetime) -> None:
        """Do what was due; the deadline has been taken away before."""


class Agenda:
    """A priority queue of deadlines in which a deadline may be moved or dropped.

    A moved deadline leaves its old place in the heap behind. Such places are skipped on the way out, and swept once
    they may be the half of the heap, so that a message that is settled long before its expiry costs no memory.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Timed]] = []
        self._order = count()
        self._compact_above = _COMPACT_ABOVE

    def __len__(self) -> int:
        """Return the number of places in the heap, those left behind included."""
        return len(self._heap)

    def set(self, timed: Timed, deadline: datetime | None) -> None:
        """Give something another deadline, or none."""
        timed.deadline = deadline
        if deadline is None:
            return
        heappush(self._heap, (deadline, next(self._order), timed))
        if len(self._heap) > self._compact_above:
            self._compact()

    def next_deadline(self) -> datetime | None:
        """Return the earliest deadline."""
        while self._heap and not _valid(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> Timed | None:
        """Take out the earliest thing that is due and take its deadline away."""
        deadline = self.next_deadline()
        if deadline is None or deadline > now:
            return None
        timed = heappop(self._heap)[2]
        timed.deadline = None
        return timed

    def _compact(self) -> None:
        # A message that waits again has the deadline that it had before, so all of its old places are good again.
        kept: dict[int, tuple[datetime, int, Timed]] = {}
        for place in sorted(filter(_valid, self._heap)):
            kept.setdefault(id(place[2]), place)
        self._heap = list(kept.values())  # sorted, and so a heap
        self._compact_above = max(_COMPACT_ABOVE, 2 * len(self._heap))


def _valid(place: tuple[datetime, int, Timed]) -> bool:
    return place[2].deadline is place[0]
