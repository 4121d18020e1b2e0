from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from c2dkit._feedback_ledger import FeedbackLedger
from c2dkit._models import FeedbackRecord, FeedbackStatus

RECORD = FeedbackRecord(
    original_message_id="m1",
    device_id="d1",
    device_generation_id="1",
    status=FeedbackStatus.SUCCESS,
    description="Success",
    enqueued_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
)
LATER = replace(RECORD, status=FeedbackStatus.REJECTED)


def test_a_record_is_for_one_device_and_one_message() -> None:
    ledger = FeedbackLedger()
    expected = ledger.expect("d1", "m1")
    assert not ledger.enter(replace(RECORD, device_id="d2"))
    assert not ledger.enter(replace(RECORD, original_message_id="m2"))
    assert expected.record is None
    assert ledger.enter(RECORD)
    assert expected.record is RECORD


def test_a_record_that_comes_again_changes_nothing() -> None:
    ledger = FeedbackLedger()
    first, second = ledger.expect("d1", "m1"), ledger.expect("d1", "m1")
    assert [ledger.enter(RECORD), ledger.enter(replace(RECORD))] == [True, True]
    assert (first.record, second.record) == (RECORD, None)


def test_messages_of_one_id_get_their_records_in_order() -> None:
    ledger = FeedbackLedger()
    first, second = ledger.expect("d1", "m1"), ledger.expect("d1", "m1")
    assert [ledger.enter(each) for each in (RECORD, LATER)] == [True, True]
    assert (first.record, second.record) == (RECORD, LATER)


def test_a_second_record_of_one_message_changes_nothing() -> None:
    ledger = FeedbackLedger()
    expected = ledger.expect("d1", "m1")
    assert [ledger.enter(each) for each in (RECORD, LATER)] == [True, True]
    assert expected.record is RECORD


def test_what_nobody_holds_is_forgotten() -> None:
    ledger = FeedbackLedger()
    kept = ledger.expect("d1", "m1")
    for number in range(1000):
        ledger.expect("d1", f"other-{number}")
        ledger.expect("d1", "m1")
    assert len(ledger) == 1
    assert ledger.enter(RECORD)
    assert kept.record is RECORD
    del kept
    assert len(ledger) == 0
    assert not ledger.enter(RECORD)
