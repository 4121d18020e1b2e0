from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from c2dkit._errors import (
    C2dError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    InvalidInputError,
    MessageLockLostError,
    MessageTooLargeError,
    ServiceError,
)
from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus, Message
from c2dkit.hub._changes import (
    BatchMade,
    DeviceRemoved,
    DeviceSaved,
    MessageEnded,
    MessageEnqueued,
    MessageLocked,
    MessagePutBack,
    RecordMade,
)
from c2dkit.hub._identities import DeviceSettings
from c2dkit.hub._options import LOCK_DURATION, HubOptions
from c2dkit.hub._state import HubState, Locked, LockedFeedback

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit.hub._changes import Change

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME, OTHER = "me", "other"
KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="


class Bench:
    """A hub with the devices d1 and d2, a clock that stands still, and feedback without delay."""

    def __init__(
        self,
        *,
        max_delivery_count: int = 10,
        lock_expiry_counts: bool = False,
        default_ttl: timedelta = timedelta(hours=1),
        feedback_interval: timedelta = timedelta(0),
    ) -> None:
        self.now = START
        options = HubOptions(
            max_delivery_count=max_delivery_count,
            lock_expiry_counts=lock_expiry_counts,
            default_ttl=default_ttl,
            feedback_interval=feedback_interval,
            feedback_ttl=timedelta(days=2),
        )
        self.state = HubState(options, lambda: self.now)
        self.ready: list[str | None] = []
        self.state.on_ready = self.ready.append
        self.state.add_device("d1")
        self.state.add_device("d2")

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def send(
        self, message_id: str = "m", *, to: str = "d1", ack: Ack = Ack.FULL, expires_in: timedelta | None = None
    ) -> None:
        expires_at = None if expires_in is None else self.now + expires_in
        address = f"/devices/{to}/messages/deviceBound"
        self.state.send(Message(b"x", message_id=message_id, to=address, ack=ack, expires_at=expires_at))

    def receive(self, *, device_id: str = "d1", holder: object = ME, lock: bool = True) -> Locked:
        locked = self.state.receive(device_id, holder=holder, lock_for=LOCK_DURATION if lock else None)
        assert locked is not None
        return locked

    def ids(self, device_id: str = "d1") -> list[str | None]:
        """Take what waits."""
        ids: list[str | None] = []
        while locked := self.state.receive(device_id, holder=ME):
            ids.append(locked.message.message_id)
        return ids

    def feedback(self) -> LockedFeedback:
        batch = self.state.receive_feedback(ME)
        assert batch is not None
        return batch

    def records(self) -> list[FeedbackRecord]:
        records: list[FeedbackRecord] = []
        while batch := self.state.receive_feedback(ME):
            records += batch.records
            self.state.complete_feedback(batch.lock_token)
        return records

    def statuses(self) -> list[FeedbackStatus]:
        return [record.status for record in self.records()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Devices


def test_a_device_gets_keys_or_keeps_those_that_are_given(bench: Bench) -> None:
    made = bench.state.add_device("d3")
    given = bench.state.add_device("d4", DeviceSettings(primary_key=KEY, secondary_key=KEY))

    assert made.primary_key != made.secondary_key
    assert (given.primary_key, given.secondary_key) == (KEY, KEY)
    assert bench.state.device("d4") is given
    assert set(bench.state.devices) == {"d1", "d2", "d3", "d4"}


def test_a_device_id_is_taken_once(bench: Bench) -> None:
    with pytest.raises(ServiceError) as caught:
        bench.state.add_device("d1")

    assert caught.value.hub_code == 409001


def test_a_bad_device_id_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInputError):
        bench.state.add_device("no spaces")


def test_device_ids_are_case_sensitive(bench: Bench) -> None:
    with pytest.raises(DeviceNotFoundError):
        bench.state.device("D1")


def call_all(bench: Bench, device_id: str) -> list[C2dError]:
    token, state = uuid4(), bench.state
    errors: list[C2dError] = []
    calls: list[Callable[[], object]] = [
        lambda: bench.send(to=device_id),
        lambda: state.receive(device_id, holder=ME),
        lambda: state.complete(device_id, token),
        lambda: state.abandon(device_id, token),
        lambda: state.reject(device_id, token),
    ]
    for call in calls:
        with pytest.raises(DeviceNotFoundError) as caught:
            call()
        errors.append(caught.value)
    return errors


def test_an_unknown_device_is_not_found(bench: Bench) -> None:
    assert {error.hub_code for error in call_all(bench, "d9")} == {404001}
    with pytest.raises(DeviceNotFoundError):
        bench.state.purge("d9")
    with pytest.raises(DeviceNotFoundError):
        bench.state.queue_depth("d9")


def test_a_disabled_device_is_not_found_and_keeps_its_messages(bench: Bench) -> None:
    bench.send()
    bench.ready.clear()
    bench.state.set_enabled("d1", enabled=False)

    assert bench.ready == ["d1"]  # so that whoever receives for it learns of it
    assert {error.hub_code for error in call_all(bench, "d1")} == {404001}
    assert bench.state.queue_depth("d1") == 1
    bench.state.set_enabled("d1", enabled=True)
    assert bench.ids() == ["m"]
    with pytest.raises(DeviceNotFoundError):
        bench.state.set_enabled("d9", enabled=False)


# Sending


def test_nobody_holds_on_to_the_queue_of_a_device_that_is_gone() -> None:
    bench = Bench()
    bench.send()
    bench.receive()
    queue = weakref.ref(bench.state._queues["d1"])
    bench.state.remove_device("d1")
    bench.wait(3600)  # the agenda lets go of it when its time has come
    bench.state.tick()
    gc.collect()
    assert queue() is None
    bench.state.release_holder(ME)


def test_a_removed_device_takes_its_messages_and_its_feedback_along() -> None:
    bench = Bench(feedback_interval=timedelta(seconds=15))
    for device_id in ("d1", "d2"):
        bench.send(f"done by {device_id}", to=device_id)
        bench.state.complete(device_id, bench.receive(device_id=device_id).lock_token)
        bench.send(f"waits for {device_id}", to=device_id, expires_in=timedelta(seconds=1))
    held = bench.receive(device_id="d1")

    bench.state.remove_device("d1")
    bench.state.add_device("d1")

    assert bench.state.queue_depth("d1") == 0
    with pytest.raises(MessageLockLostError):
        bench.state.complete("d1", held.lock_token)
    bench.wait(15)
    assert [record.original_message_id for record in bench.records()] == ["done by d2", "waits for d2"]


def test_a_removed_device_is_announced_and_gone(bench: Bench) -> None:
    bench.ready.clear()
    bench.state.remove_device("d1")

    assert bench.ready == ["d1"]
    with pytest.raises(DeviceNotFoundError):
        bench.receive()
    with pytest.raises(DeviceNotFoundError):
        bench.state.remove_device("d1")


def test_every_change_is_told() -> None:
    bench = Bench(max_delivery_count=2)
    changes: list[Change] = []
    bench.state.subscribe(changes.append)

    bench.state.add_device("d3")
    bench.state.set_enabled("d3", enabled=False)
    bench.send()
    bench.state.abandon("d1", bench.receive().lock_token)
    bench.state.complete("d1", bench.receive().lock_token)
    bench.state.remove_device("d1")

    assert [type(change) for change in changes] == [
        *(DeviceSaved, DeviceSaved, MessageEnqueued, MessageLocked, MessagePutBack, MessageLocked),
        *(MessageEnded, RecordMade, BatchMade, DeviceRemoved),
    ]


def test_a_message_goes_to_the_queue_of_its_device(bench: Bench) -> None:
    bench.send("a", to="d1")
    bench.send("b", to="d2")

    assert bench.ids("d2") == ["b"]
    assert bench.ids("d1") == ["a"]
    assert bench.ready == ["d1", "d2"]


@pytest.mark.parametrize("to", [None, "", "/messages/devicebound", "/devices/d1/messages/events", "d1"])
def test_a_message_to_no_device_is_refused(bench: Bench, to: str | None) -> None:
    with pytest.raises(ServiceError) as caught:
        bench.state.send(Message(b"", to=to))

    assert caught.value.hub_code == 400004


def test_the_queue_takes_50_messages_locked_ones_included(bench: Bench) -> None:
    for number in range(50):
        bench.send(str(number))
    first = bench.receive()

    with pytest.raises(DeviceQueueFullError, match="50") as caught:
        bench.send("one too many")

    assert caught.value.hub_code == 403004
    assert bench.state.queue_depth("d1") == 50
    bench.send(to="d2")
    bench.state.complete("d1", first.lock_token)
    bench.send("now there is room")
    assert bench.state.queue_depth("d1") == 50


def test_a_message_of_64_kb_is_the_largest(bench: Bench) -> None:
    to = "/devices/d1/messages/deviceBound"
    room = 65_536 - len(to) - len("m") - len("full") - len("key") - len("value")
    message = Message(b"x" * room, message_id="m", to=to, ack=Ack.FULL, properties={"key": "value"})

    bench.state.send(message)
    with pytest.raises(MessageTooLargeError) as caught:
        bench.state.send(message._replace(body=message.body + b"x"))

    assert caught.value.hub_code == 413001
    assert bench.state.queue_depth("d1") == 1


# Receiving


def test_a_device_sees_what_was_sent_and_what_the_hub_adds(bench: Bench) -> None:
    sent = Message(
        b"body",
        message_id="m",
        correlation_id="c",
        user_id="u",
        to="/devices/d1/messages/deviceBound",
        content_type="text/plain",
        content_encoding="utf-8",
        created_at=START,
        ack=Ack.POSITIVE,
        properties={"led": "green"},
    )
    bench.state.send(sent)
    bench.wait(5)

    locked = bench.receive()

    assert locked.message == sent._replace(sequence_number=1, enqueued_at=START, delivery_count=0)
    assert not locked.redelivered


def test_messages_come_in_order_with_rising_sequence_numbers(bench: Bench) -> None:
    for number in range(5):
        bench.send(str(number))

    numbers = [bench.receive().message.sequence_number for _ in range(5)]

    assert numbers == [1, 2, 3, 4, 5]
    assert bench.state.receive("d1", holder=ME) is None


def test_a_lock_lasts_60_seconds(bench: Bench) -> None:
    bench.send()
    locked = bench.receive()
    bench.wait(59.999)
    assert bench.state.receive("d1", holder=OTHER) is None

    bench.wait(0.001)
    again = bench.receive(holder=OTHER)

    assert (again.message.delivery_count, again.redelivered) == (0, True)
    assert again.lock_token != locked.lock_token
    with pytest.raises(MessageLockLostError) as caught:
        bench.state.complete("d1", locked.lock_token)
    assert caught.value.hub_code == 412002


def test_a_lock_is_lost_on_time_even_if_nobody_ticks(bench: Bench) -> None:
    bench.send()
    locked = bench.receive()
    bench.wait(60)

    for settle in (bench.state.complete, bench.state.abandon, bench.state.reject):
        with pytest.raises(MessageLockLostError):
            settle("d1", locked.lock_token)


def test_a_lock_without_timer_lasts_until_its_holder_goes(bench: Bench) -> None:
    bench.send()
    bench.receive(lock=False)
    bench.wait(3500)
    assert bench.state.receive("d1", holder=OTHER) is None

    bench.state.release_holder(ME)

    again = bench.receive(holder=OTHER)
    assert (again.message.delivery_count, again.redelivered) == (0, True)


def test_a_token_of_one_device_settles_nothing_of_another(bench: Bench) -> None:
    bench.send()
    locked = bench.receive()

    with pytest.raises(MessageLockLostError):
        bench.state.complete("d2", locked.lock_token)

    bench.state.complete("d1", locked.lock_token)


# Settling


def test_complete_removes_the_message(bench: Bench) -> None:
    bench.send()
    bench.state.complete("d1", bench.receive().lock_token)
    bench.wait(7200)

    assert bench.ids() == []
    assert bench.state.queue_depth("d1") == 0
    assert bench.statuses() == [FeedbackStatus.SUCCESS]


def test_reject_dead_letters_the_message(bench: Bench) -> None:
    bench.send()
    bench.state.reject("d1", bench.receive().lock_token)

    assert bench.ids() == []
    assert bench.statuses() == [FeedbackStatus.REJECTED]


def test_abandon_gives_it_back_counted_and_in_its_place(bench: Bench) -> None:
    bench.send("a")
    bench.send("b")
    first = bench.receive()
    bench.ready.clear()

    bench.state.abandon("d1", first.lock_token)
    again = bench.receive()

    assert bench.ready == ["d1"]
    assert (again.message.message_id, again.message.delivery_count, again.message.sequence_number) == ("a", 1, 1)
    assert bench.ids() == ["b"]
    assert bench.statuses() == []


@pytest.mark.parametrize("most", [1, 10, 100])
def test_n_deliveries_then_dead_lettered(most: int) -> None:
    bench = Bench(max_delivery_count=most)
    bench.send()
    counts: list[int | None] = []
    while locked := bench.state.receive("d1", holder=ME):
        counts.append(locked.message.delivery_count)
        bench.state.abandon("d1", locked.lock_token)

    assert counts == list(range(most))
    assert bench.statuses() == [FeedbackStatus.DELIVERY_COUNT_EXCEEDED]


def test_lock_expiry_does_not_count() -> None:
    bench = Bench(max_delivery_count=2)
    bench.send()
    for _ in range(20):
        assert bench.receive().message.delivery_count == 0
        bench.wait(60)


def test_lock_expiry_counts_where_the_option_says_so() -> None:
    bench = Bench(max_delivery_count=2, lock_expiry_counts=True)
    bench.send()
    for count in range(2):
        assert bench.receive().message.delivery_count == count
        bench.wait(60)

    assert bench.statuses() == [FeedbackStatus.DELIVERY_COUNT_EXCEEDED]


def test_purge_counts_locked_messages_and_reports_them(bench: Bench) -> None:
    bench.send("a")
    bench.send("b")
    bench.send("c", to="d2")
    locked = bench.receive()

    assert bench.state.purge("d1") == 2

    assert bench.statuses() == [FeedbackStatus.PURGED] * 2
    assert (bench.state.queue_depth("d1"), bench.state.queue_depth("d2")) == (0, 1)
    with pytest.raises(MessageLockLostError):
        bench.state.complete("d1", locked.lock_token)


# Expiry


@pytest.mark.parametrize(
    ("ttl", "expires_in", "seconds"),
    [
        (timedelta(hours=1), None, 3600),
        (timedelta(minutes=1), None, 60),
        (timedelta(minutes=1), timedelta(minutes=2), 120),
        (timedelta(hours=1), timedelta(seconds=1), 1),
        (timedelta(hours=1), timedelta(days=3), 48 * 3600),
    ],
)
def test_a_message_expires_by_its_own_time_or_the_default(
    ttl: timedelta, expires_in: timedelta | None, seconds: int
) -> None:
    bench = Bench(default_ttl=ttl)
    bench.send(expires_in=expires_in)
    bench.wait(seconds - 0.001)
    assert bench.state.queue_depth("d1") == 1

    bench.wait(0.001)

    assert bench.state.queue_depth("d1") == 0
    assert bench.ids() == []
    assert bench.statuses() == [FeedbackStatus.EXPIRED]


def test_a_message_that_expired_before_it_came_is_dead_lettered_at_once(bench: Bench) -> None:
    bench.send(expires_in=timedelta(seconds=-1))

    assert bench.state.queue_depth("d1") == 0
    assert bench.statuses() == [FeedbackStatus.EXPIRED]


def test_the_expiry_of_a_locked_message_waits_for_the_lock(bench: Bench) -> None:
    for message_id in ("completed", "abandoned", "lapsed"):
        bench.send(message_id, expires_in=timedelta(seconds=30))
    completed, abandoned, _ = (bench.receive() for _ in range(3))
    bench.wait(59)

    bench.state.complete("d1", completed.lock_token)
    bench.state.abandon("d1", abandoned.lock_token)
    bench.wait(1)

    assert [(r.original_message_id, r.status) for r in bench.records()] == [
        ("completed", FeedbackStatus.SUCCESS),
        ("abandoned", FeedbackStatus.EXPIRED),
        ("lapsed", FeedbackStatus.EXPIRED),
    ]


# Holders


def test_a_holder_that_goes_gives_everything_back_in_order(bench: Bench) -> None:
    for message_id in ("a", "b", "c"):
        bench.send(message_id)
    bench.send("other device", to="d2")
    bench.receive()
    bench.state.abandon("d1", bench.receive().lock_token)
    bench.receive()
    kept = bench.receive(holder=OTHER)
    bench.receive(device_id="d2")
    bench.ready.clear()

    bench.state.release_holder(ME)

    assert sorted(map(str, bench.ready)) == ["d1", "d2"]
    assert bench.ids("d1") == ["a", "b"]
    assert bench.ids("d2") == ["other device"]
    bench.state.complete("d1", kept.lock_token)


def test_a_holder_that_holds_nothing_may_go(bench: Bench) -> None:
    bench.state.release_holder(object())

    assert bench.ready == []


# Feedback


def test_a_record_says_what_happened_and_when(bench: Bench) -> None:
    bench.send("m", ack=Ack.FULL)
    locked = bench.receive()
    bench.wait(7)
    bench.state.reject("d1", locked.lock_token)

    assert bench.records() == [
        FeedbackRecord(
            original_message_id="m",
            device_id="d1",
            device_generation_id=bench.state.device("d1").generation_id,
            status=FeedbackStatus.REJECTED,
            description="Message rejected",
            enqueued_at=START + timedelta(seconds=7),
        )
    ]


@pytest.mark.parametrize("ack", Ack)
def test_feedback_comes_as_asked_for(bench: Bench, ack: Ack) -> None:
    bench.send(ack=ack)
    bench.state.complete("d1", bench.receive().lock_token)
    bench.send(ack=ack)
    bench.state.reject("d1", bench.receive().lock_token)

    good = [FeedbackStatus.SUCCESS] if ack in (Ack.POSITIVE, Ack.FULL) else []
    bad = [FeedbackStatus.REJECTED] if ack in (Ack.NEGATIVE, Ack.FULL) else []
    assert bench.statuses() == good + bad


def test_feedback_is_announced_and_batched() -> None:
    bench = Bench(feedback_interval=timedelta(seconds=15))
    for _ in range(3):
        bench.send()
        bench.state.complete("d1", bench.receive().lock_token)
    bench.ready.clear()
    bench.wait(14)
    bench.state.tick()
    assert (bench.ready, bench.state.receive_feedback(ME)) == ([], None)
    assert bench.state.next_deadline() == START + timedelta(seconds=15)

    bench.wait(1)
    bench.state.tick()

    assert bench.ready == [None]
    batch = bench.feedback()
    assert len(batch.records) == 3
    assert batch.enqueued_at == START + timedelta(seconds=15)


def test_feedback_is_locked_abandoned_released_and_completed(bench: Bench) -> None:
    bench.send()
    bench.state.complete("d1", bench.receive().lock_token)
    lapsed = bench.feedback()
    assert bench.state.receive_feedback(OTHER) is None
    bench.wait(60)
    abandoned = bench.feedback()
    bench.state.abandon_feedback(abandoned.lock_token)
    bench.feedback()
    bench.state.release_holder(ME)
    last = bench.feedback()

    assert last.records == lapsed.records
    for token in (lapsed.lock_token, abandoned.lock_token):
        with pytest.raises(MessageLockLostError):
            bench.state.complete_feedback(token)
    bench.state.complete_feedback(last.lock_token)
    bench.wait(60)
    assert bench.state.receive_feedback(ME) is None
    assert bench.ready == ["d1", None, None, None, None]


# Time


def test_nothing_is_due_in_an_empty_hub(bench: Bench) -> None:
    assert bench.state.next_deadline() is None
    bench.state.tick()


def test_the_next_deadline_is_an_expiry_then_a_lock_then_none(bench: Bench) -> None:
    bench.send()
    assert bench.state.next_deadline() == START + timedelta(hours=1)
    bench.wait(1)
    locked = bench.receive()
    assert bench.state.next_deadline() == START + timedelta(seconds=61)

    bench.state.complete("d1", locked.lock_token)
    bench.records()

    assert bench.state.next_deadline() is None


def test_tick_announces_each_device_once(bench: Bench) -> None:
    for _ in range(5):
        bench.send()
        bench.receive()
    bench.ready.clear()
    bench.wait(60)

    bench.state.tick()

    assert bench.ready == ["d1"]


def test_a_receiver_may_take_the_message_as_it_is_announced(bench: Bench) -> None:
    taken: list[tuple[str | None, UUID]] = []

    def take(key: str | None) -> None:
        if key is None:
            return
        while locked := bench.state.receive(key, holder=OTHER):
            taken.append((locked.message.message_id, locked.lock_token))

    bench.send("a")
    bench.send("b")
    first, second = bench.receive(), bench.receive()
    bench.state.on_ready = take
    bench.state.abandon("d1", second.lock_token)
    bench.state.abandon("d1", first.lock_token)
    bench.send("c")
    assert [message_id for message_id, _ in taken] == ["b", "a", "c"]

    bench.state.release_holder(OTHER)

    assert [message_id for message_id, _ in taken[3:]] == ["a", "b", "c"]
