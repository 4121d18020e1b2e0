from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit._errors import MessageLockLostError
from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus, Message
from c2dkit.hub._agenda import Agenda
from c2dkit.hub._changes import BatchEnded, BatchLocked, BatchMade, BatchPutBack, RecordMade
from c2dkit.hub._feedback import FeedbackQueue, record_of
from c2dkit.hub._identities import DeviceSettings, new_device
from c2dkit.hub._keys import Keys
from c2dkit.hub._options import HubOptions

if TYPE_CHECKING:
    from c2dkit.hub._changes import Change

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEVICE = new_device("d1", DeviceSettings(), now=START, keys=Keys())
RECORD = FeedbackRecord(
    original_message_id="m",
    device_id="d1",
    device_generation_id=DEVICE.generation_id,
    status=FeedbackStatus.SUCCESS,
    description="Success",
    enqueued_at=START,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Bench:
    def __init__(self, options: HubOptions | None = None) -> None:
        self.agenda = Agenda()
        self.ready = 0
        self.changes: list[Change] = []
        self.queue = FeedbackQueue(
            options or HubOptions(), self.agenda, changed=self.changes.append, ready=self._count, now=START
        )

    def _count(self) -> None:
        self.ready += 1

    def add(self, count: int, *, when: float = 0) -> None:
        for number in range(count):
            self.queue.add(replace(RECORD, original_message_id=f"{when}-{number}"), at(when))

    def sizes(self, *, when: float = 0) -> list[int]:
        """Take every batch and return the sizes."""
        sizes: list[int] = []
        while taken := self.queue.receive(self, at(when)):
            sizes.append(len(taken[0].item))
        return sizes

    def pass_time(self, seconds: float) -> None:
        while timed := self.agenda.pop_due(at(seconds)):
            timed.fire(at(seconds))


SUCCESS, *BAD = FeedbackStatus
TABLE = [
    (None, SUCCESS, False),
    (Ack.NONE, SUCCESS, False),
    (Ack.POSITIVE, SUCCESS, True),
    (Ack.NEGATIVE, SUCCESS, False),
    (Ack.FULL, SUCCESS, True),
    *((None, status, False) for status in BAD),
    *((Ack.NONE, status, False) for status in BAD),
    *((Ack.POSITIVE, status, False) for status in BAD),
    *((Ack.NEGATIVE, status, True) for status in BAD),
    *((Ack.FULL, status, True) for status in BAD),
]


@pytest.mark.parametrize(("ack", "status", "made"), TABLE)
def test_who_gets_a_record_of_what(ack: Ack | None, status: FeedbackStatus, made: bool) -> None:
    record = record_of(Message(b"", message_id="m", ack=ack), DEVICE, status, at(5))

    assert (record is not None) is made
    if record is not None:
        assert (record.status, record.original_message_id) == (status, "m")


def test_the_table_has_every_pair() -> None:
    assert {(ack, status) for ack, status, _ in TABLE} == {(a, s) for a in (None, *Ack) for s in FeedbackStatus}


def test_the_fields_of_a_record() -> None:
    record = record_of(Message(b"", message_id="m", ack=Ack.FULL), DEVICE, FeedbackStatus.REJECTED, at(5))

    assert record == FeedbackRecord(
        original_message_id="m",
        device_id="d1",
        device_generation_id=DEVICE.generation_id,
        status=FeedbackStatus.REJECTED,
        description="Message rejected",
        enqueued_at=at(5),
    )


def test_every_status_has_a_text_of_its_own() -> None:
    message = Message(b"", ack=Ack.FULL)
    records = [record_of(message, DEVICE, status, START) for status in FeedbackStatus]

    texts = [record.description for record in records if record is not None]
    assert texts[0] == "Success"
    assert len({*texts}) == len(FeedbackStatus)


def test_a_message_without_an_id_gives_an_empty_one() -> None:
    record = record_of(Message(b"", ack=Ack.FULL), DEVICE, FeedbackStatus.SUCCESS, START)

    assert record is not None
    assert record.original_message_id == ""


def test_a_batch_is_made_15_seconds_after_the_last_one() -> None:
    bench = Bench()
    bench.add(3)
    bench.pass_time(14.999)
    assert bench.sizes(when=14.999) == []
    assert bench.agenda.next_deadline() == at(15)

    bench.pass_time(15)

    assert bench.sizes(when=15) == [3]
    assert bench.ready == 1


def test_a_record_after_a_longer_silence_goes_out_at_once_and_the_next_ones_wait() -> None:
    bench = Bench()
    bench.add(1, when=20)
    assert bench.sizes(when=20) == [1]

    bench.add(2, when=21)
    bench.pass_time(34.999)
    assert bench.sizes(when=34.999) == []
    bench.pass_time(35)
    assert bench.sizes(when=35) == [2]


def test_64_records_make_a_batch_before_the_time() -> None:
    bench = Bench()
    bench.add(63)
    assert bench.sizes() == []

    bench.add(66)

    assert bench.sizes() == [64, 64]
    bench.pass_time(15)
    assert bench.sizes(when=15) == [1]


def test_a_full_batch_starts_the_interval_again() -> None:
    bench = Bench()
    bench.add(10)
    bench.add(54 + 1, when=10)
    bench.pass_time(24.999)
    assert bench.sizes(when=24.999) == [64]

    bench.pass_time(25)

    assert bench.sizes(when=25) == [1]


def test_an_interval_of_zero_sends_every_record_at_once() -> None:
    bench = Bench(HubOptions(feedback_interval=timedelta(0)))
    bench.add(3)

    assert bench.sizes() == [1, 1, 1]


def test_batches_keep_the_order_of_their_records() -> None:
    bench = Bench()
    bench.add(65)
    bench.pass_time(15)

    ids: list[str] = []
    while taken := bench.queue.receive(bench, at(15)):
        ids += [record.original_message_id for record in taken[0].item]

    assert ids == [f"0-{number}" for number in range(65)]


def test_the_enqueued_time_of_a_batch_is_when_it_was_made() -> None:
    bench = Bench()
    bench.add(1)
    bench.pass_time(16)

    taken = bench.queue.receive(bench, at(17))

    assert taken is not None
    assert taken[0].enqueued_at == at(16)


def test_a_completed_batch_is_gone() -> None:
    bench = Bench(HubOptions(feedback_interval=timedelta(0)))
    bench.add(1)
    taken = bench.queue.receive(bench, at(0))
    assert taken is not None

    bench.queue.complete(taken[1], at(1))
    bench.pass_time(100)

    assert bench.sizes(when=100) == []
    with pytest.raises(MessageLockLostError):
        bench.queue.complete(taken[1], at(100))


@pytest.mark.parametrize("seconds", [5, 60, 300])
def test_a_batch_comes_back_when_its_lock_ends(seconds: int) -> None:
    options = HubOptions(feedback_interval=timedelta(0), feedback_lock_duration=timedelta(seconds=seconds))
    bench = Bench(options)
    bench.add(1)
    assert bench.sizes() == [1]
    bench.pass_time(seconds - 0.001)
    assert bench.sizes(when=seconds - 0.001) == []

    bench.pass_time(seconds)

    assert bench.ready == 2
    assert bench.sizes(when=seconds) == [1]


def test_a_batch_is_dropped_at_the_maximum_delivery_count() -> None:
    bench = Bench(HubOptions(feedback_interval=timedelta(0), feedback_max_delivery_count=2))
    bench.add(1)
    for when in (1, 2):
        taken = bench.queue.receive(bench, at(when))
        assert taken is not None
        bench.queue.abandon(taken[1], at(when))

    assert bench.sizes(when=3) == []


def test_release_gives_a_batch_back() -> None:
    bench = Bench(HubOptions(feedback_interval=timedelta(0), feedback_max_delivery_count=1))
    bench.add(1)
    bench.sizes()

    bench.queue.release(bench, at(1))

    assert bench.sizes(when=1) == [1]


def test_a_batch_expires() -> None:
    bench = Bench(HubOptions(feedback_interval=timedelta(0), feedback_ttl=timedelta(minutes=5)))
    bench.add(1)
    bench.pass_time(299)
    assert bench.ready == 1

    bench.pass_time(300)

    assert bench.sizes(when=300) == []
    assert bench.agenda.next_deadline() is None


def test_the_oldest_batches_give_way_when_too_many_records_wait() -> None:
    bench = Bench(HubOptions(feedback_interval=timedelta(0), max_feedback_records=64))
    bench.add(100)

    taken = bench.queue.receive(bench, at(0))

    assert taken is not None
    assert taken[0].item[0].original_message_id == "0-36"
    assert len(bench.sizes()) == 63


def test_even_locked_batches_give_way() -> None:
    bench = Bench(HubOptions(max_feedback_records=64))
    bench.add(64)
    taken = bench.queue.receive(bench, at(0))
    assert taken is not None

    bench.add(64)

    with pytest.raises(MessageLockLostError):
        bench.queue.complete(taken[1], at(0))
    assert bench.sizes() == [64]


def test_every_step_of_a_batch_is_told() -> None:
    bench = Bench()
    bench.add(1, when=20)
    taken = bench.queue.receive(bench, at(20))
    assert taken is not None
    bench.queue.abandon(taken[1], at(21))
    taken = bench.queue.receive(bench, at(22))
    assert taken is not None
    bench.queue.complete(taken[1], at(23))

    kinds = [type(change) for change in bench.changes]
    assert kinds == [RecordMade, BatchMade, BatchLocked, BatchPutBack, BatchLocked, BatchEnded]
