"""A state that takes over what was saved of another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from c2dkit._errors import MessageLockLostError
from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus, Message
from c2dkit.hub._identities import DeviceSettings, new_device
from c2dkit.hub._keys import Keys
from c2dkit.hub._options import HubOptions
from c2dkit.hub._saved import SavedDevice, SavedEntry, SavedQueue, SavedState
from c2dkit.hub._state import HubState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMPTY = SavedQueue[tuple[FeedbackRecord, ...]](0, ())
NOTHING = SavedState(devices=(), records=(), batches=EMPTY, last_batch_at=None)


def state_of(saved: SavedState, options: HubOptions | None = None, now: datetime = NOW) -> HubState:
    state = HubState(options or HubOptions(), lambda: now)
    state.restore(saved)
    return state


def entry(number: int, *, delivery_count: int = 0, redelivered: bool = False) -> SavedEntry[Message]:
    message = Message(str(number).encode(), message_id=str(number), ack=Ack.FULL)
    return SavedEntry(message, number, NOW - HOUR, NOW + HOUR, delivery_count, redelivered)


def device_with(*entries: SavedEntry[Message], last: int = 9) -> SavedState:
    device = new_device("d", DeviceSettings(), now=NOW, keys=Keys())
    return NOTHING._replace(devices=(SavedDevice(device, SavedQueue(last, entries)),))


def record(number: int) -> FeedbackRecord:
    return FeedbackRecord(
        original_message_id=str(number),
        device_id="d",
        device_generation_id="1",
        status=FeedbackStatus.SUCCESS,
        description="Success",
        enqueued_at=NOW,
    )


def test_messages_wait_in_their_old_places_with_what_is_known_of_them() -> None:
    state = state_of(device_with(entry(3, delivery_count=2, redelivered=True), entry(7)))
    first, second = (state.receive("d", holder="h") for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.message.sequence_number, first.message.delivery_count, first.redelivered) == (3, 2, True)
    assert (second.message.sequence_number, second.message.delivery_count, second.redelivered) == (7, 0, False)
    assert first.message.enqueued_at == NOW - HOUR


def test_a_sequence_number_is_not_given_twice() -> None:
    state = state_of(device_with())
    state.send(Message(b"", to="/devices/d/messages/devicebound"))
    locked = state.receive("d", holder="h")
    assert locked is not None
    assert locked.message.sequence_number == 10


def test_what_expired_in_the_meantime_has_its_record() -> None:
    state = state_of(device_with(entry(3)), now=NOW + HOUR)
    assert state.queue_depth("d") == 0
    batch = state.receive_feedback("h")
    assert batch is None  # the first batch of a new hub waits for its interval
    assert state.next_deadline() == NOW + HOUR + HubOptions().feedback_interval


def test_a_device_of_the_same_id_gives_way() -> None:
    state = HubState(HubOptions(), lambda: NOW)
    state.add_device("d")
    state.add_device("other")
    state.send(Message(b"", to="/devices/d/messages/devicebound"))
    locked = state.receive("d", holder="h")
    assert locked is not None
    saved = device_with(entry(3))
    state.restore(saved)
    assert set(state.devices) == {"d", "other"}
    assert state.device("d") is saved.devices[0].device
    assert state.queue_depth("d") == 1
    with pytest.raises(MessageLockLostError):
        state.complete("d", locked.lock_token)
    assert state.next_deadline() == NOW + HOUR


def test_records_wait_for_the_interval_after_the_last_batch() -> None:
    options = HubOptions(feedback_interval=timedelta(seconds=10))
    last = NOW - timedelta(seconds=4)
    saved = NOTHING._replace(records=(record(1), record(2)), last_batch_at=last)
    state = state_of(saved, options)
    assert state.receive_feedback("h") is None
    assert state.next_deadline() == NOW + timedelta(seconds=6)
    batch = state_of(saved, options, now=NOW + timedelta(seconds=6)).receive_feedback("h")
    assert batch is not None
    assert [each.original_message_id for each in batch.records] == ["1", "2"]


def test_batches_count_towards_the_bound_of_records() -> None:
    batches = tuple(
        SavedEntry(tuple(record(each) for each in range(64)), number, NOW, NOW + HOUR, 0, redelivered=False)
        for number in (1, 2)
    )
    saved = NOTHING._replace(batches=SavedQueue(2, batches), records=(record(99),), last_batch_at=NOW - HOUR)
    state = state_of(saved, HubOptions(max_feedback_records=128))
    sizes: list[int] = []
    while batch := state.receive_feedback("h"):
        sizes.append(len(batch.records))
    assert sizes == [64, 1]
