"""The totals of many scripts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.accounts.ledger import in_words

if TYPE_CHECKING:
    from tests.accounts.ledger import Ledger


class Books:
    """Adds up what the scripts of a test did."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._scripts = 0
        self._deeds: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()
        self._in_hand = 0

    def enter(self, deeds: Counter[str], ledger: Ledger, ends: Counter[str], in_hand: int = 0) -> None:
        """Add a script: what went wrong, what came of it, what ended with which error, what died in a device's hands."""
        self._scripts += 1
        self._in_hand += in_hand
        self._deeds.update(deeds)
        self._totals.update(ledger.totals())
        self._ends.update(ends)

    def account(self) -> str:
        """Tell of the scripts, for the summary of the test run."""
        totals = f"{in_words(self._totals)}, {self._in_hand} in the hands of a device that was killed"
        return "\n".join(
            (
                f"chaos, {self._name}: {self._scripts} scripts, {totals}",
                f"  what went wrong: {in_words(self._deeds)}",
                f"  begun anew by the program after: {in_words(self._ends) or 'nothing'}",
            )
        )
