from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from c2dkit._errors import MessageLockLostError
from c2dkit._models import FeedbackStatus
from c2dkit.hub._agenda import Agenda
from c2dkit.hub._queue import Entry, LockQueue, PutBack

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME, OTHER = "me", "other"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Bench:
    """A queue with the agenda that drives it, and the observer of what it reports."""

    def __init__(self, *, max_delivery_count: int = 10, lock_expiry_counts: bool = False) -> None:
        self.agenda = Agenda()
        self.told: list[tuple[str, str]] = []
        self.outcomes: list[tuple[str, FeedbackStatus]] = []
        self.times_ready = 0
        self.queue: LockQueue[str] = LockQueue(
            self.agenda,
            max_delivery_count=max_delivery_count,
            lock_expiry_counts=lock_expiry_counts,
            observer=self,
        )

    def ready(self) -> None:
        self.times_ready += 1

    def locked(self, entry: Entry[str]) -> None:
        self.told.append((entry.item, "locked"))

    def put_back(self, entry: Entry[str], cause: PutBack) -> None:
        self.told.append((entry.item, cause.value))

    def ended(self, entry: Entry[str], status: FeedbackStatus, now: datetime) -> None:
        self.told.append((entry.item, status.value))
        self.outcomes.append((entry.item, status))

    def put(self, entry: Entry[str]) -> None:
        self.told.append((entry.item, "put"))

    def append(self, *items: str, expires: float = 3600) -> None:
        for item in items:
            self.queue.put(item, now=at(0), expires_at=at(expires))

    def take(self, *, until: float | None = 60, holder: object = ME) -> tuple[str, UUID]:
        taken = self.queue.receive(holder, lock_until=None if until is None else at(until))
        assert taken is not None
        return taken[0].item, taken[1]

    def take_all(self) -> list[str]:
        items: list[str] = []
        while taken := self.queue.receive(ME, lock_until=None):
            items.append(taken[0].item)
        return items

    def pass_time(self, seconds: float) -> None:
        while timed := self.agenda.pop_due(at(seconds)):
            timed.fire(at(seconds))


def test_first_in_first_out() -> None:
    bench = Bench()
    bench.append("a", "b", "c")

    assert bench.take_all() == ["a", "b", "c"]
    assert bench.times_ready == 3


def test_sequence_numbers_count_up_from_one() -> None:
    bench = Bench()
    bench.append("a", "b")

    taken = [bench.queue.receive(ME, lock_until=None) for _ in range(2)]

    assert [entry.sequence_number for entry, _ in filter(None, taken)] == [1, 2]


def test_a_locked_item_is_invisible_but_counts() -> None:
    bench = Bench()
    bench.append("a", "b")
    bench.take()

    assert len(bench.queue) == 2
    assert bench.take_all() == ["b"]
    assert bench.queue.receive(OTHER, lock_until=None) is None


def test_every_delivery_has_a_lock_token_of_its_own() -> None:
    bench = Bench()
    bench.append("a")
    _, first = bench.take()
    bench.queue.abandon(first, at(1))
    _, second = bench.take()

    assert first != second
    with pytest.raises(MessageLockLostError):
        bench.queue.abandon(first, at(2))


@pytest.mark.parametrize("status", [FeedbackStatus.SUCCESS, FeedbackStatus.REJECTED])
def test_end_takes_the_item_out_for_good(status: FeedbackStatus) -> None:
    bench = Bench()
    bench.append("a")
    _, token = bench.take()

    bench.queue.end(token, status, at(1))
    bench.pass_time(7200)

    assert bench.outcomes == [("a", status)]
    assert len(bench.queue) == 0


def test_a_token_settles_once() -> None:
    bench = Bench()
    bench.append("a")
    _, token = bench.take()
    bench.queue.end(token, FeedbackStatus.SUCCESS, at(1))

    with pytest.raises(MessageLockLostError) as caught:
        bench.queue.end(token, FeedbackStatus.REJECTED, at(1))

    assert caught.value.hub_code == 412002
    assert bench.outcomes == [("a", FeedbackStatus.SUCCESS)]


def test_an_unknown_token_settles_nothing() -> None:
    bench = Bench()
    bench.append("a")

    with pytest.raises(MessageLockLostError):
        bench.queue.abandon(uuid4(), at(1))


def test_an_abandoned_item_takes_its_old_place() -> None:
    bench = Bench()
    bench.append("a", "b", "c", "d")
    tokens = [bench.take()[1] for _ in range(3)]

    bench.queue.abandon(tokens[1], at(1))
    bench.queue.abandon(tokens[0], at(1))

    assert bench.take_all() == ["a", "b", "d"]


def test_a_lock_ends_on_time_and_the_item_comes_back_uncounted() -> None:
    bench = Bench()
    bench.append("a")
    _, token = bench.take(until=60)
    bench.pass_time(59.999)
    assert bench.queue.receive(ME, lock_until=None) is None

    bench.pass_time(60)

    with pytest.raises(MessageLockLostError):
        bench.queue.end(token, FeedbackStatus.SUCCESS, at(60))
    taken = bench.queue.receive(ME, lock_until=None)
    assert taken is not None
    assert (taken[0].delivery_count, taken[0].redelivered) == (0, True)
    assert bench.times_ready == 2


def test_a_lock_without_an_end_outlives_even_the_expiry() -> None:
    bench = Bench()
    bench.append("a", expires=100)
    _, token = bench.take(until=None)

    bench.pass_time(1_000_000)
    bench.queue.end(token, FeedbackStatus.SUCCESS, at(1_000_000))

    assert bench.outcomes == [("a", FeedbackStatus.SUCCESS)]


def test_only_abandoning_counts() -> None:
    bench = Bench(max_delivery_count=3)
    bench.append("a")
    counts: list[int] = []
    for round_ in range(5):
        taken = bench.queue.receive(ME, lock_until=at(60 * round_ + 60))
        assert taken is not None
        counts.append(taken[0].delivery_count)
        if round_ in (1, 3):
            bench.queue.abandon(taken[1], at(60 * round_))
        else:
            bench.pass_time(60 * round_ + 60)

    assert counts == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("most", [1, 2, 10])
def test_n_deliveries_and_the_nth_abandon_ends_it(most: int) -> None:
    bench = Bench(max_delivery_count=most)
    bench.append("a")
    for abandoned in range(most):
        assert bench.outcomes == [], abandoned
        bench.queue.abandon(bench.take()[1], at(1))

    assert bench.outcomes == [("a", FeedbackStatus.DELIVERY_COUNT_EXCEEDED)]
    assert len(bench.queue) == 0


def test_lock_expiry_counts_where_the_option_says_so() -> None:
    bench = Bench(max_delivery_count=2, lock_expiry_counts=True)
    bench.append("a")
    bench.take(until=60)
    bench.pass_time(60)
    bench.take(until=120)
    bench.pass_time(120)

    assert bench.outcomes == [("a", FeedbackStatus.DELIVERY_COUNT_EXCEEDED)]


def test_a_waiting_item_expires_on_time() -> None:
    bench = Bench()
    bench.append("a", "b", expires=100)
    bench.append("c", expires=50)
    bench.pass_time(50)
    assert bench.outcomes == [("c", FeedbackStatus.EXPIRED)]

    bench.pass_time(100)

    assert bench.outcomes[1:] == [("a", FeedbackStatus.EXPIRED), ("b", FeedbackStatus.EXPIRED)]
    assert len(bench.queue) == 0


def test_an_item_that_came_back_expires_on_time() -> None:
    bench = Bench()
    bench.append("a", expires=100)
    bench.queue.abandon(bench.take()[1], at(1))
    bench.pass_time(99.999)
    assert bench.outcomes == []

    bench.pass_time(100)

    assert bench.outcomes == [("a", FeedbackStatus.EXPIRED)]


def test_what_is_expired_on_arrival_ends_at_once() -> None:
    bench = Bench()
    bench.append("a", expires=0)

    assert bench.outcomes == [("a", FeedbackStatus.EXPIRED)]
    assert (len(bench.queue), bench.times_ready) == (0, 0)


def test_a_locked_item_may_be_completed_after_its_expiry() -> None:
    bench = Bench()
    bench.append("a", expires=30)
    _, token = bench.take(until=60)
    bench.pass_time(59)

    bench.queue.end(token, FeedbackStatus.SUCCESS, at(59))

    assert bench.outcomes == [("a", FeedbackStatus.SUCCESS)]


def test_a_locked_item_that_has_expired_ends_with_its_lock() -> None:
    bench = Bench()
    bench.append("a", "b", "c", expires=30)
    bench.take(until=60)
    _, abandoned = bench.take(until=90)
    bench.take(until=90, holder=OTHER)
    bench.pass_time(60)
    assert bench.outcomes == [("a", FeedbackStatus.EXPIRED)]

    bench.queue.abandon(abandoned, at(61))
    bench.queue.release(OTHER, at(62))

    assert bench.outcomes[1:] == [("b", FeedbackStatus.EXPIRED), ("c", FeedbackStatus.EXPIRED)]


def test_release_gives_back_what_one_holder_holds_uncounted() -> None:
    bench = Bench(max_delivery_count=1)
    bench.append("a", "b", "c")
    bench.take()
    _, kept = bench.take(holder=OTHER)
    bench.take(until=None)

    bench.queue.release(ME, at(1))

    assert bench.take_all() == ["a", "c"]
    bench.queue.end(kept, FeedbackStatus.SUCCESS, at(1))
    assert bench.outcomes == [("b", FeedbackStatus.SUCCESS)]


def test_holders_are_told_apart_by_identity() -> None:
    bench = Bench()
    bench.append("a")
    mine: object = [1]
    bench.take(holder=mine)

    bench.queue.release([1], at(1))

    assert bench.take_all() == []


def test_purge_ends_waiting_and_locked_items() -> None:
    bench = Bench()
    bench.append("a", "b")
    _, token = bench.take()

    assert bench.queue.purge(at(1)) == 2

    assert sorted(bench.outcomes) == [("a", FeedbackStatus.PURGED), ("b", FeedbackStatus.PURGED)]
    assert len(bench.queue) == 0
    with pytest.raises(MessageLockLostError):
        bench.queue.abandon(token, at(1))


def test_expire_oldest_takes_waiting_items_first() -> None:
    bench = Bench()
    bench.append("a", "b", "c")
    bench.take()

    for _ in range(3):
        bench.queue.expire_oldest(at(1))

    assert bench.outcomes == [(item, FeedbackStatus.EXPIRED) for item in ("b", "c", "a")]


def test_the_observer_is_told_of_every_step() -> None:
    bench = Bench(max_delivery_count=2)
    bench.append("a", expires=1000)
    bench.take()
    bench.pass_time(60)
    bench.take()
    bench.queue.release(ME, at(61))
    _, token = bench.take()
    bench.queue.abandon(token, at(62))
    _, token = bench.take()
    bench.queue.abandon(token, at(63))

    steps = ["put", "locked", "lock expired", "locked", "released", "locked", "abandoned", "locked"]
    assert bench.told == [("a", step) for step in [*steps, "DeliveryCountExceeded"]]


def test_an_item_that_is_too_old_is_put_and_ends() -> None:
    bench = Bench()
    bench.append("a", expires=0)

    assert bench.told == [("a", "put"), ("a", "Expired")]
