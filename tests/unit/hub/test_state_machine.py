"""Drives a hub's state by random calls beside a plain model of it that looks at every message every time.

What must hold whatever happens: nothing is in the hands of two holders, nothing that was accepted disappears without an
outcome, no delivery count falls, and every message whose ``ack`` asks for it gives exactly one record of feedback. Only
the deletion of a device takes messages and records along.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from c2dkit._errors import DeviceNotFoundError, DeviceQueueFullError, MessageLockLostError
from c2dkit._models import Ack, FeedbackStatus, Message
from c2dkit._rules.settlement import Settlement
from c2dkit.hub._options import HubOptions
from c2dkit.hub._state import HubState

if TYPE_CHECKING:
    from uuid import UUID

    from c2dkit.hub._state import LockedFeedback

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOCK = timedelta(seconds=60)
MAX_DELIVERY_COUNT = 3
DEVICES = ("d1", "d2")
HOLDERS = ("h1", "h2", "h3")
POSITIVE, NEGATIVE = {Ack.POSITIVE, Ack.FULL}, {Ack.NEGATIVE, Ack.FULL}

DONE: Final[Counter[str]] = Counter()
"""What all runs together have done."""


def account() -> str:
    """Tell of all runs, for the summary of the test run."""
    return "hub state machine: " + ", ".join(f"{count} {what}" for what, count in sorted(DONE.items()))


devices = st.sampled_from(DEVICES)
holders = st.sampled_from(HOLDERS)


@dataclass(eq=False)
class Sent:
    """What the model knows of one message.

    Attributes:
        shown: The delivery count that its last receiver saw.
        removed: Whether its device has been deleted since.
    """

    message_id: str
    device_id: str
    ack: Ack
    expires_at: datetime
    count: int = 0
    token: UUID | None = None
    holder: str | None = None
    locked_until: datetime | None = None
    status: FeedbackStatus | None = None
    shown: int = -1
    removed: bool = False

    @property
    def over(self) -> bool:
        return self.status is not None or self.removed

    @property
    def waiting(self) -> bool:
        return self.token is None and not self.over

    @property
    def deadline(self) -> datetime | None:
        return self.locked_until if self.token is not None else self.expires_at

    @property
    def asks(self) -> bool:
        return self.ack in (POSITIVE if self.status is FeedbackStatus.SUCCESS else NEGATIVE)

    def put_back(self, now: datetime, *, counted: bool) -> None:
        self.token = self.holder = self.locked_until = None
        self.count += counted
        if self.count >= MAX_DELIVERY_COUNT:
            self.status = FeedbackStatus.DELIVERY_COUNT_EXCEEDED
        elif self.expires_at <= now:
            self.status = FeedbackStatus.EXPIRED

    def end(self, status: FeedbackStatus) -> None:
        self.token = self.holder = self.locked_until = None
        self.status = status

    def remove(self) -> None:
        self.token = self.holder = self.locked_until = None
        self.removed = True

    def pass_time(self, now: datetime, *, counted: bool) -> None:
        if self.over:
            return
        if self.locked_until is not None and self.locked_until <= now:
            self.put_back(now, counted=counted)
        elif self.waiting and self.expires_at <= now:
            self.status = FeedbackStatus.EXPIRED


class Lifecycle(RuleBasedStateMachine):
    lock_expiry_counts = False

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.state = self.new_state()
        for device_id in DEVICES:
            self.state.add_device(device_id)
        self.messages: list[Sent] = []
        self.lost: list[tuple[str, UUID]] = []
        self.batches: list[tuple[str, LockedFeedback, datetime]] = []
        self.records: list[tuple[str, FeedbackStatus]] = []
        self.announced: set[str | None] = set()
        self.disabled: set[str] = set()
        DONE["runs"] += 1

    def new_state(self) -> HubState:
        options = HubOptions(
            max_delivery_count=MAX_DELIVERY_COUNT,
            lock_expiry_counts=self.lock_expiry_counts,
            feedback_ttl=timedelta(days=2),
            feedback_max_delivery_count=100,
        )
        state = HubState(options, lambda: self.now)
        state.on_ready = self.announce
        return state

    def announce(self, key: str | None) -> None:
        self.announced.add(key)

    def queue(self, device_id: str) -> list[Sent]:
        return [sent for sent in self.messages if sent.device_id == device_id and not sent.over]

    def locked(self) -> list[Sent]:
        return [sent for sent in self.messages if sent.token is not None]

    def forget_lock(self, sent: Sent) -> None:
        assert sent.token is not None
        self.lost.append((sent.device_id, sent.token))

    @rule(device_id=devices, ack=st.sampled_from(Ack), seconds=st.sampled_from([None, -1, 0, 5, 90, 900]))
    def send(self, device_id: str, ack: Ack, seconds: int | None) -> None:
        message_id = str(len(self.messages))
        expires_at = None if seconds is None else self.now + timedelta(seconds=seconds)
        message = Message(
            b"", message_id=message_id, to=f"/devices/{device_id}/messages/devicebound", ack=ack, expires_at=expires_at
        )
        if device_id in self.disabled:
            with pytest.raises(DeviceNotFoundError):
                self.state.send(message)
            return
        if len(self.queue(device_id)) == 50:
            with pytest.raises(DeviceQueueFullError):
                self.state.send(message)
            return
        self.state.send(message)
        sent = Sent(message_id, device_id, ack, expires_at or self.now + timedelta(hours=1))
        sent.pass_time(self.now, counted=False)
        self.messages.append(sent)

    @rule(device_id=devices, count=st.integers(10, 50))
    def flood(self, device_id: str, count: int) -> None:
        for _ in range(count):
            self.send(device_id, Ack.FULL, None)

    @rule(device_id=devices, holder=holders, lock=st.booleans())
    def receive(self, device_id: str, holder: str, lock: bool) -> None:
        if device_id in self.disabled:
            with pytest.raises(DeviceNotFoundError):
                self.state.receive(device_id, holder=holder, lock_for=LOCK if lock else None)
            return
        locked = self.state.receive(device_id, holder=holder, lock_for=LOCK if lock else None)
        first = next((sent for sent in self.queue(device_id) if sent.waiting), None)
        if first is None:
            assert locked is None
            self.announced.discard(device_id)
            return
        assert locked is not None
        assert locked.message.message_id == first.message_id
        assert locked.message.message_id not in {sent.message_id for sent in self.locked()}
        assert locked.message.delivery_count == first.count >= first.shown
        assert locked.redelivered == (first.shown >= 0)
        first.shown = first.count
        DONE["deliveries"] += 1
        first.token, first.holder = locked.lock_token, holder
        first.locked_until = self.now + LOCK if lock else None

    @precondition(lambda self: self.locked())
    @rule(data=st.data(), settlement=st.sampled_from(Settlement))
    def settle(self, data: st.DataObject, settlement: Settlement) -> None:
        self.settle_one(data.draw(st.sampled_from(self.locked())), settlement)

    def settle_one(self, sent: Sent, settlement: Settlement) -> None:
        assert sent.token is not None
        if sent.device_id in self.disabled:
            with pytest.raises(DeviceNotFoundError):
                getattr(self.state, settlement.value)(sent.device_id, sent.token)
            return
        getattr(self.state, settlement.value)(sent.device_id, sent.token)
        self.forget_lock(sent)
        if settlement is Settlement.ABANDON:
            sent.put_back(self.now, counted=True)
        else:
            sent.end(FeedbackStatus.SUCCESS if settlement is Settlement.COMPLETE else FeedbackStatus.REJECTED)

    @rule(device_id=devices, holder=holders, times=st.integers(1, MAX_DELIVERY_COUNT))
    def bounce(self, device_id: str, holder: str, times: int) -> None:
        """Receive and abandon, so that some messages reach the maximum."""
        for _ in range(times):
            before = self.locked()
            self.receive(device_id, holder, lock=True)
            for sent in self.locked():
                if sent not in before:
                    self.settle_one(sent, Settlement.ABANDON)

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), settlement=st.sampled_from(Settlement))
    def settle_late(self, data: st.DataObject, settlement: Settlement) -> None:
        device_id, token = data.draw(st.sampled_from(self.lost))
        with pytest.raises(DeviceNotFoundError if device_id in self.disabled else MessageLockLostError):
            getattr(self.state, settlement.value)(device_id, token)

    @rule(holder=holders)
    def release_holder(self, holder: str) -> None:
        self.state.release_holder(holder)
        for sent in self.locked():
            if sent.holder == holder:
                self.forget_lock(sent)
                sent.put_back(self.now, counted=False)
        self.batches = [held for held in self.batches if held[0] != holder]

    @rule(device_id=devices)
    def purge(self, device_id: str) -> None:
        queue = self.queue(device_id)
        assert self.state.purge(device_id) == len(queue)
        for sent in queue:
            if sent.token is not None:
                self.forget_lock(sent)
            sent.end(FeedbackStatus.PURGED)

    @rule(device_id=devices, enabled=st.booleans())
    def set_enabled(self, device_id: str, enabled: bool) -> None:
        """Disable a device, which keeps its messages, or enable it."""
        self.state.set_enabled(device_id, enabled=enabled)
        (self.disabled.discard if enabled else self.disabled.add)(device_id)

    @rule(device_id=devices)
    def recreate(self, device_id: str) -> None:
        """Delete a device with all that it has and register it again."""
        self.state.remove_device(device_id)
        self.state.add_device(device_id)
        self.disabled.discard(device_id)
        for sent in self.messages:
            if sent.device_id == device_id:
                if sent.token is not None:
                    self.forget_lock(sent)
                sent.remove()

    @rule(seconds=st.sampled_from([1, 5, 15, 59, 60, 90, 600, 1800]))
    def advance(self, seconds: int) -> None:
        """Move the time; the state learns of it with its next call."""
        self.now += timedelta(seconds=seconds)
        for sent in self.messages:
            token = sent.token
            sent.pass_time(self.now, counted=self.lock_expiry_counts)
            if token is not None and sent.token is None:
                self.lost.append((sent.device_id, token))
        self.batches = [held for held in self.batches if held[2] > self.now]

    @rule(holder=holders)
    def receive_feedback(self, holder: str) -> None:
        batch = self.state.receive_feedback(holder)
        if batch is None:
            self.announced.discard(None)
            return
        assert None in self.announced
        assert 1 <= len(batch.records) <= 64
        assert not {r.original_message_id for r in batch.records} & {
            r.original_message_id for _, held, _ in self.batches for r in held.records
        }
        self.batches.append((holder, batch, self.now + LOCK))

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), complete=st.booleans())
    def settle_feedback(self, data: st.DataObject, complete: bool) -> None:
        held = data.draw(st.sampled_from(self.batches))
        self.batches.remove(held)
        if complete:
            self.complete_batch(held[1])
        else:
            self.state.abandon_feedback(held[1].lock_token)

    def complete_batch(self, batch: LockedFeedback) -> None:
        self.state.complete_feedback(batch.lock_token)
        self.records += [(record.original_message_id, record.status) for record in batch.records]

    @rule()
    def look(self) -> None:
        """Nothing has disappeared, what waits was announced, and no deadline will be missed."""
        self.state.tick()
        for device_id in DEVICES:
            assert self.state.queue_depth(device_id) == len(self.queue(device_id))
        assert {sent.device_id for sent in self.messages if sent.waiting} <= self.announced
        next_deadline = self.state.next_deadline()
        assert next_deadline is None or next_deadline > self.now
        for deadline in (sent.deadline for sent in self.messages if not sent.over):
            assert deadline is None or (next_deadline is not None and next_deadline <= deadline)

    @invariant()
    def feedback_is_true_and_never_twice(self) -> None:
        outcomes = {(sent.message_id, sent.status) for sent in self.messages if sent.status and sent.asks}
        assert len(set(self.records)) == len(self.records)
        assert set(self.records) <= outcomes

    def teardown(self) -> None:
        """By the end every message has its outcome, and every outcome that was asked for its one record."""
        for device_id in DEVICES:
            self.set_enabled(device_id, enabled=True)
        for holder in HOLDERS:
            self.release_holder(holder)
        for seconds in (15, 3600, 15):  # the feedback that waits, what never was received, and its feedback
            self.advance(seconds)
            while batch := self.state.receive_feedback(self):
                self.complete_batch(batch)
        self.look()
        assert all(sent.over for sent in self.messages)
        asked = {(sent.message_id, sent.status) for sent in self.messages if sent.status and sent.asks}
        certain = {(sent.message_id, sent.status) for sent in self.messages if not sent.removed and sent.asks}
        assert certain <= set(self.records) <= asked
        DONE["messages"] += len(self.messages)
        DONE["outcomes"] += sum(sent.status is not None for sent in self.messages)
        DONE["records of feedback"] += len(self.records)


class LifecycleOf2018(Lifecycle):
    """The same where the end of a lock counts."""

    lock_expiry_counts = True


SETTINGS = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = SETTINGS
TestLifecycleOf2018 = LifecycleOf2018.TestCase
TestLifecycleOf2018.settings = SETTINGS
