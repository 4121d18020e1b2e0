"""Who was told what: the ledger that a hub must agree with, whatever went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

import anyio

from c2dkit import FeedbackRecord, FeedbackStatus, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TTL = timedelta(minutes=1)
MAX_DELIVERY_COUNT = 5
"""Half of IoT Hub's default, for messages that use it up before a run is over."""
DUPLICATED = 2
"""Which delivery is the one that the fault ``DUPLICATE`` may cause: a hub duplicates first deliveries only."""
ENDS = {Settlement.COMPLETE: FeedbackStatus.SUCCESS, Settlement.REJECT: FeedbackStatus.REJECTED}


class Answer(StrEnum):
    """What the hub said of a message that was sent to it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Letter:
    """One message.

    Attributes:
        asked: The settlements that may have reached the hub.
        confirmed: Those of them that the hub has confirmed.
        ttl: How long it has at the hub.
        came_again: Whether it was delivered once more after a completion that the hub may have had.
        returned: Whether the hub had confirmed that completion, which is then taken for one that the hub was made to lose.
        counts: The delivery counts that its receivers saw, each with the number of abandons confirmed by then.
        records: Each with whether the hub has confirmed that its batch is complete.
        purge_asked: Whether a purge that may have reached the hub may have found it there.
        faults: What must not be.
    """

    message_id: str
    device_id: str
    ttl: timedelta = TTL
    answer: Answer = Answer.UNKNOWN
    sent_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    deliveries: int = 0
    came_again: bool = False
    returned: bool = False
    asked: list[Settlement] = field(default_factory=list[Settlement])
    confirmed: list[Settlement] = field(default_factory=list[Settlement])
    counts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    records: list[tuple[FeedbackRecord, bool]] = field(default_factory=list[tuple[FeedbackRecord, bool]])
    purge_asked: bool = False
    faults: list[str] = field(default_factory=list[str])

    @property
    def number(self) -> int:
        return int(self.message_id[1:])

    def delivered(self, count: int | None) -> None:
        self.deliveries += 1
        self.came_again = self.came_again or Settlement.COMPLETE in self.asked
        if Settlement.COMPLETE in self.confirmed and self.deliveries == DUPLICATED:
            self.returned = True
            self.asked.remove(Settlement.COMPLETE)
            self.confirmed.remove(Settlement.COMPLETE)
        elif any(end in self.confirmed for end in ENDS):
            self.faults.append("was delivered after a confirmed end")
        if count is not None:
            self.counts.append((count, self.confirmed.count(Settlement.ABANDON)))

    def ask(self, settlement: Settlement) -> None:
        self.asked.append(settlement)

    def take_back(self, settlement: Settlement) -> None:
        self.asked.remove(settlement)

    def confirm(self, settlement: Settlement) -> None:
        self.confirmed.append(settlement)

    @property
    def waits(self) -> bool:
        """Whether its outcome has to come."""
        return (self.answer is Answer.ACCEPTED or self.deliveries > 0) and not self.records

    def check(self) -> Iterator[str]:
        """Say what is wrong with it."""
        yield from self.faults
        if self.answer is Answer.REFUSED and (self.deliveries or self.records):
            yield "was refused and is there"
        if self.waits:
            yield "has no outcome"
        yield from self._check_counts()
        yield from self._check_records()

    def _check_counts(self) -> Iterator[str]:
        counts = [count for count, _ in self.counts]
        if counts != sorted(counts):
            yield f"has falling delivery counts {counts}"
        if any(count < abandoned for count, abandoned in self.counts):
            yield "has a delivery count below its confirmed abandons"
        if counts and max(counts) > self.asked.count(Settlement.ABANDON):
            yield "has a delivery count above its abandons"
        if counts and max(counts) >= MAX_DELIVERY_COUNT:
            yield f"was delivered beyond the maximum delivery count: {counts}"

    def _check_records(self) -> Iterator[str]:
        if any(confirmed for _, confirmed in self.records[:-1]):
            yield "has a record that came again after its batch was complete"
        if len({record for record, _ in self.records}) > 1:
            yield "has two outcomes"
        for record, _ in self.records[:1]:
            yield from self._check_outcome(record)

    def _check_outcome(self, record: FeedbackRecord) -> Iterator[str]:
        for end, status in ENDS.items():
            if end in self.confirmed and record.status is not status:
                yield f"was told {end.value} and is {record.status}"
            if record.status is status and end not in self.asked:
                yield f"is {status} and nobody asked for it"
        if record.status is FeedbackStatus.EXPIRED and record.enqueued_at < self.sent_at + self.ttl:
            yield "expired before its time"
        if record.status is FeedbackStatus.PURGED and not self.purge_asked:
            yield "was purged and nobody asked for it"
        yield from self._check_count_exceeded(exceeded=record.status is FeedbackStatus.DELIVERY_COUNT_EXCEEDED)

    def _check_count_exceeded(self, *, exceeded: bool) -> Iterator[str]:
        # Each abandon ends a delivery that its device has seen, the last one too.
        abandons = self.asked.count(Settlement.ABANDON)
        seen = max((count for count, _ in self.counts), default=0)
        if exceeded and (abandons < MAX_DELIVERY_COUNT or seen != MAX_DELIVERY_COUNT - 1):
            yield f"was delivered too often after {abandons} abandons, the last of delivery count {seen}"
        if not exceeded and self.confirmed.count(Settlement.ABANDON) >= MAX_DELIVERY_COUNT:
            yield "was abandoned as often as a message may be, and has another outcome"


class Ledger:
    """All messages of a run."""

    def __init__(self, *, ttl: timedelta = TTL) -> None:
        self._ttl = ttl
        self._purged = 0
        self._purging: str | None = None
        self.letters: dict[str, Letter] = {}
        self.kills = 0
        self._answers = 0
        self._progress = anyio.Event()

    def new(self, device_id: str) -> Letter:
        letter = Letter(f"m{len(self.letters)}", device_id, self._ttl, purge_asked=device_id == self._purging)
        self.letters[letter.message_id] = letter
        return letter

    def ask_purge(self, device_id: str) -> None:
        """Note that a device's queue is to be purged: what it holds now, and what comes until that is over."""
        self._purging = device_id
        for letter in self.letters.values():
            letter.purge_asked |= letter.device_id == device_id and not letter.records

    def purged(self, count: int) -> None:
        """Note how many messages the hub has purged, 0 where it has not said so."""
        self._purging = None
        self._purged += count

    def answered(self) -> None:
        """Note that the hub has answered somebody, and wake whoever waits for that."""
        self._answers += 1
        self._progress.set()
        self._progress = anyio.Event()

    async def until_recorded(self, letters: Iterable[Letter]) -> None:
        """Wait until the hub has confirmed the batches with the records of some messages."""
        for letter in letters:
            while not any(confirmed for _, confirmed in letter.records):
                await self.wait()

    async def until(self, answers: int) -> None:
        """Wait until the hub has given so many answers from now on."""
        goal = self._answers + answers
        while self._answers < goal:
            await self.wait()

    async def until_another_ends(self) -> None:
        """Wait until a message that is sent from now on has its outcome, for which all sides must work."""
        before = len(self.letters)
        while not any(letter.records for letter in islice(self.letters.values(), before, None)):
            await self.wait()

    async def wait(self) -> None:
        """Wait for the hub's next answer."""
        await self._progress.wait()

    def waiting(self) -> int:
        """Return how many messages wait for their outcome."""
        return sum(letter.waits for letter in self.letters.values())

    def check(self, *, duplicates: tuple[int, int] = (0, 0)) -> list[str]:
        """Say what is wrong; ``duplicates`` is how often at least and at most the hub was made to duplicate a message."""
        faults = [f"{letter.message_id} {fault}" for letter in self.letters.values() for fault in letter.check()]
        return [*faults, *self._check_duplicates(*duplicates), *self._check_purged()]

    def _check_purged(self) -> Iterator[str]:
        purged = self.totals()[FeedbackStatus.PURGED]
        if purged < self._purged:  # it may be more, where a kill cut the answer off
            yield f"{purged} messages are purged, and the hub has said {self._purged}"

    def _check_duplicates(self, least: int, most: int) -> Iterator[str]:
        letters = self.letters.values()
        if (returned := sum(letter.returned for letter in letters)) > most:
            yield f"{returned} messages came again after a confirmed completion, for {most} duplicates"
        if (again := sum(letter.came_again for letter in letters)) < least:
            yield f"{again} messages came again after a completion, for {least} duplicates"

    def totals(self) -> Counter[str]:
        """Count what happened."""
        letters = self.letters.values()
        told: Counter[str] = Counter(dict.fromkeys(("sent", *Answer, *FeedbackStatus), 0))
        told["sent"] = len(letters)
        told.update(letter.answer for letter in letters)
        told.update(letter.records[0][0].status for letter in letters if letter.records)
        told["redelivered"] = sum(max(letter.deliveries - 1, 0) for letter in letters)
        told["of them after a confirmed completion"] = sum(letter.returned for letter in letters)
        told["records"] = sum(len(letter.records) for letter in letters)
        told["of them again"] = sum(max(len(letter.records) - 1, 0) for letter in letters)
        return told


def in_words(totals: Counter[str]) -> str:
    """Put totals in one line."""
    return ", ".join(f"{count} {what}" for what, count in totals.items())
