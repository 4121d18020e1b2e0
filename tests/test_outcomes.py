"""Outcomes through the public API on a local hub: what the contract suite does not ask of every transport."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    Ack,
    CloudSender,
    ConnectionState,
    DeviceReceiver,
    FeedbackStatus,
    FeedbackStream,
    InvalidMessageError,
    OutcomeOverdueError,
    OutcomePolicy,
    RetryPolicy,
    UnauthorizedError,
    UnclaimedFeedback,
    _feedback_reader,
)
from c2dkit.hub import FeedbackBatchEvent, HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from c2dkit import FeedbackRecord, Receipt
    from c2dkit.hub import HubEvent

SOON = RetryPolicy(first_delay=timedelta(milliseconds=1), max_delay=timedelta(milliseconds=10), deadline=None)
IMPATIENT = OutcomePolicy(default_ttl=timedelta(0), grace=timedelta(milliseconds=50))
ELSEWHERE = "iothubowner"
"""The policy of a back end in another process: with another credential nothing is shared."""


pytestmark = pytest.mark.timeout(20)


def slow_hub() -> LocalHub:
    """A hub that makes a batch of feedback when its clock has moved on."""
    return LocalHub(options=HubOptions(feedback_interval=timedelta(seconds=15)))


def sender(hub: LocalHub, policy: str = "service", outcomes: OutcomePolicy | None = None) -> CloudSender:
    return CloudSender.from_connection_string(
        hub.connection_string(policy),
        retry=SOON,
        outcomes=outcomes or OutcomePolicy(),
        ssl_context=hub.ssl_context(),
    )


def feedback(hub: LocalHub, policy: str = "service", transport: str = "amqp") -> FeedbackStream:
    return FeedbackStream.from_connection_string(
        hub.connection_string(policy), transport=transport, retry=SOON, ssl_context=hub.ssl_context()
    )


def device(hub: LocalHub) -> DeviceReceiver[object]:
    return DeviceReceiver.from_connection_string(hub.device_connection_string("dev-1"), ssl_context=hub.ssl_context())


async def complete(hub: LocalHub, count: int = 1) -> None:
    """Complete the next messages of ``dev-1``."""
    async with device(hub) as messages:
        for _ in range(count):
            await (await anext(messages)).complete()


async def finished(hub: LocalHub, back_end: CloudSender) -> Receipt:
    """Send a message that the device completes."""
    receipt = await back_end.send("dev-1", "x", ack="full")
    await complete(hub)
    return receipt


async def batch(events: AsyncIterator[HubEvent], *steps: str) -> str:
    """Read on to the next batch of feedback that takes one of these steps."""
    async for event in events:
        if isinstance(event, FeedbackBatchEvent) and event.what in steps:
            return event.what
    raise AssertionError("the hub has stopped")


def names(records: list[FeedbackRecord]) -> list[str]:
    return [record.original_message_id for record in records]


async def test_many_at_once(hub: LocalHub) -> None:
    async with sender(hub) as back_end, anyio.create_task_group() as tasks:
        tasks.start_soon(complete, hub, 40)
        outcomes = await asyncio.gather(*(back_end.send_and_confirm("dev-1", {"number": n}) for n in range(40)))
        assert len(set(names(outcomes))) == 40
        assert {outcome.status for outcome in outcomes} == {FeedbackStatus.SUCCESS}


async def test_one_that_nobody_receives_has_expired(hub: LocalHub) -> None:
    async with sender(hub) as back_end:
        receipt = await back_end.send("dev-1", "x", ack="negative", expires_in=timedelta(minutes=1))
        hub.clock.advance(timedelta(minutes=2))
        assert (await receipt.outcome()).status is FeedbackStatus.EXPIRED


async def test_records_that_fill_batches() -> None:
    async with slow_hub() as slow, sender(slow) as back_end, device(slow) as messages:
        receipts: list[Receipt] = []
        for number in range(70):  # one batch of 64, and six records more
            receipts.append(await back_end.send("dev-1", number, ack="full"))
            await (await anext(messages)).complete()
        slow.clock.advance(timedelta(seconds=15))
        outcomes = [await receipt.outcome() for receipt in receipts]
    assert names(outcomes) == [receipt.message_id for receipt in receipts]


@pytest.mark.parametrize(
    ("ack", "what"), [(Ack.FULL, "silence"), (Ack.POSITIVE, "rejection"), (Ack.NEGATIVE, "completion")]
)
async def test_what_never_comes_is_overdue(hub: LocalHub, ack: Ack, what: str) -> None:
    async with sender(hub, outcomes=IMPATIENT) as back_end, device(hub) as messages:
        receipt = await back_end.send("dev-1", "x", ack=ack)
        message = await anext(messages)
        if what == "rejection":
            await message.reject()
        elif what == "completion":
            await message.complete()
        with pytest.raises(OutcomeOverdueError, match=f"ack={ack}") as caught:
            await receipt.outcome(timeout=timedelta(hours=1))
    assert caught.value.receipt is receipt
    assert caught.value.__cause__ is None


async def test_an_outcome_that_was_overdue_can_still_come(hub: LocalHub) -> None:
    async with sender(hub, outcomes=IMPATIENT) as back_end:
        receipt = await back_end.send("dev-1", "x", ack="full")
        with pytest.raises(OutcomeOverdueError):
            await receipt.outcome()
        await complete(hub)
        async with feedback(hub) as stream:
            await anext(stream)
        assert (await receipt.outcome()).status is FeedbackStatus.SUCCESS


async def test_asked_after_it_was_due_a_record_still_has_its_time(hub: LocalHub) -> None:
    async with sender(hub) as back_end:
        receipt = await finished(hub, back_end)
        receipt._expected.due = 0.0
        assert (await receipt.outcome()).status is FeedbackStatus.SUCCESS


@pytest.mark.parametrize("policy", [OutcomePolicy(default_ttl=timedelta.max), OutcomePolicy(grace=timedelta.max)])
async def test_who_would_wait_for_ever_gets_a_receipt(hub: LocalHub, policy: OutcomePolicy) -> None:
    async with sender(hub, outcomes=policy) as back_end:
        receipt = await back_end.send("dev-1", "x", ack="full")
        await complete(hub)
        assert (await receipt.outcome()).status is FeedbackStatus.SUCCESS


@pytest.mark.parametrize("expires_in", [timedelta.min, timedelta(0), timedelta.max])
async def test_an_expiry_that_no_hub_takes_is_refused(hub: LocalHub, expires_in: timedelta) -> None:
    async with sender(hub) as back_end:
        with pytest.raises(InvalidMessageError):
            await back_end.send("dev-1", "x", expires_in=expires_in)


async def test_overdue_for_want_of_a_connection_says_so() -> None:
    async with LocalHub() as hub:
        back_end = sender(hub, outcomes=IMPATIENT)
        await back_end.__aenter__()
        receipt = await back_end.send("dev-1", "x", ack="full")
    try:
        await back_end.connection.wait_for(ConnectionState.RETRYING)
        with pytest.raises(OutcomeOverdueError) as caught:
            await receipt.outcome()
        assert caught.value.__cause__ is not None
    finally:
        await back_end.__aexit__(None, None, None)


async def test_what_does_not_pass_ends_the_wait(hub: LocalHub) -> None:
    async with sender(hub) as back_end:
        receipt = await back_end.send("dev-1", "x", ack="full")
        hub.rotate_policy_key("service", "primary")
        for _ in range(2):
            with pytest.raises(UnauthorizedError):
                await receipt.outcome()


async def test_a_sender_that_asks_for_no_outcome_leaves_feedback_alone(hub: LocalHub) -> None:
    async with sender(hub) as back_end:
        receipt = await finished(hub, back_end)
        async with feedback(hub, ELSEWHERE) as stream:
            assert names([await anext(stream)]) == [receipt.message_id]


async def test_records_that_a_stream_reads_are_kept_for_receipts(hub: LocalHub) -> None:
    async with sender(hub) as back_end:
        receipts = [await finished(hub, back_end) for _ in range(3)]
        async with feedback(hub) as stream:
            found = [await anext(stream) for _ in receipts]
        assert [await receipt.outcome(timeout=timedelta(0)) for receipt in receipts] == found


async def test_back_ends_elsewhere_each_get_their_own(hub: LocalHub) -> None:
    async with sender(hub) as here, sender(hub, ELSEWHERE) as there, anyio.create_task_group() as tasks:
        tasks.start_soon(complete, hub, 20)
        outcomes = await asyncio.gather(*(each.send_and_confirm("dev-1", "x") for each in [here, there] * 10))
        assert {outcome.status for outcome in outcomes} == {FeedbackStatus.SUCCESS}


async def test_who_gives_a_batch_back_lets_the_others_have_it(hub: LocalHub) -> None:
    async with sender(hub) as here, sender(hub, ELSEWHERE) as there, anyio.create_task_group() as tasks:
        for back_end, device_id in ((here, "dev-2"), (there, "dev-1")):
            tasks.start_soon((await back_end.send(device_id, "x", ack="full")).outcome)
            await anyio.wait_all_tasks_blocked()
        with hub.events() as events:
            await complete(hub)
            steps = [await batch(events, "abandoned", "completed") for _ in range(2)]
        assert steps == ["abandoned", "completed"]
        tasks.cancel_scope.cancel()


async def test_what_is_given_back_is_there_for_who_asks_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_feedback_reader, "FIRST_PAUSE", 0.1)
    options = HubOptions(feedback_interval=timedelta(0), feedback_max_delivery_count=6)
    async with (
        LocalHub(devices=["dev-1", "dev-2"], options=options) as hub,
        sender(hub) as here,
        sender(hub, ELSEWHERE) as there,
        anyio.create_task_group() as tasks,
    ):
        with hub.events() as events:
            tasks.start_soon((await here.send("dev-2", "x", ack="full")).outcome)
            receipt = await finished(hub, there)
            for _ in range(2):
                await batch(events, "abandoned")
            assert (await receipt.outcome(timeout=timedelta(seconds=5))).status is FeedbackStatus.SUCCESS
        tasks.cancel_scope.cancel()
    assert not [task for task in asyncio.all_tasks() if "_settle_after" in repr(task)]


@pytest.mark.parametrize("unclaimed", UnclaimedFeedback)
async def test_records_for_nobody_here(hub: LocalHub, unclaimed: UnclaimedFeedback) -> None:
    async with sender(hub, ELSEWHERE) as there:
        await finished(hub, there)
    expected = "abandoned" if unclaimed is UnclaimedFeedback.ABANDON else "completed"
    with hub.events() as events:
        async with sender(hub, outcomes=OutcomePolicy(unclaimed=unclaimed)) as here:
            receipt = await finished(hub, here)
            await receipt.outcome()
            assert await batch(events, "abandoned", "completed") == expected


async def test_a_mixed_batch_is_abandoned_and_serves_both() -> None:
    async with slow_hub() as hub, sender(hub) as here, sender(hub, ELSEWHERE) as there:
        mine, theirs = await finished(hub, here), await finished(hub, there)
        hub.clock.advance(timedelta(seconds=15))
        assert names([await mine.outcome(), await theirs.outcome()]) == [mine.message_id, theirs.message_id]


async def test_without_a_receipt_nobody_waits(hub: LocalHub) -> None:
    with hub.events() as events:
        async with sender(hub) as back_end:
            await finished(hub, back_end)  # whose receipt is gone
            receipt = await finished(hub, back_end)
            await receipt.outcome()
            assert await batch(events, "abandoned", "completed") == "abandoned"


async def test_a_batch_that_one_stream_did_not_read_to_its_end_comes_again() -> None:
    async with slow_hub() as hub, sender(hub) as back_end:
        receipts = [await finished(hub, back_end) for _ in range(2)]
        async with feedback(hub) as whole:
            with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it is the block that the exception leaves
                async with feedback(hub) as half:
                    hub.clock.advance(timedelta(seconds=15))
                    await anext(half)
                    _ = [await anext(whole) for _ in receipts]
                    _ = 1 / 0
        async with feedback(hub) as again:
            found = [await anext(again) for _ in receipts]
        assert names(found) == [receipt.message_id for receipt in receipts]
        assert [await receipt.outcome() for receipt in receipts] == found


async def test_a_stream_that_is_not_read_holds_sixteen_batches(hub: LocalHub) -> None:
    async with sender(hub) as back_end, feedback(hub) as unread:
        receipts = [await finished(hub, back_end) for _ in range(17)]
        for receipt in receipts[:16]:
            await receipt.outcome()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receipts[16].outcome)
            await anyio.wait_all_tasks_blocked()
            assert hub.queue_depth("dev-1") == 0
            with pytest.raises(TimeoutError):
                await receipts[16].outcome(timeout=timedelta(0))
            found = [await anext(unread) for _ in receipts]
            assert names(found) == [receipt.message_id for receipt in receipts]


async def test_a_batch_whose_lock_ran_out_while_it_was_unread_is_not_repeated(hub: LocalHub) -> None:
    async with sender(hub) as back_end, feedback(hub) as unread:
        first = await finished(hub, back_end)
        await first.outcome()
        hub.clock.advance(timedelta(seconds=61))
        second = await finished(hub, back_end)
        await second.outcome()  # reads on, and so gets the first batch again
        assert names([await anext(unread), await anext(unread)]) == [first.message_id, second.message_id]
    async with sender(hub) as back_end, feedback(hub) as stream:
        last = await finished(hub, back_end)
        assert names([await anext(stream)]) == [last.message_id]


@pytest.mark.parametrize("transport", ["amqp-ws", "https"])
async def test_transports_share(hub: LocalHub, transport: str) -> None:
    string = hub.service_connection_string
    async with FeedbackStream.from_connection_string(
        string, transport=transport, retry=SOON, ssl_context=hub.ssl_context()
    ) as stream:
        async with sender(hub) as back_end:
            receipt = await finished(hub, back_end)
            outcome = await receipt.outcome()
        assert await anext(stream) == outcome


async def test_a_stream_of_many_shows_its_own_end(hub: LocalHub) -> None:
    async with feedback(hub) as one:
        async with feedback(hub) as other:
            assert other.connection.state is ConnectionState.CONNECTED
        assert (other.connection.state, other.connection.status.cause) == (ConnectionState.CLOSED, None)
        await hub.disconnect_all()
        await one.connection.wait_for(ConnectionState.RETRYING)
        await one.connection.wait_for(ConnectionState.CONNECTED)
    assert hub.connection_count == 0


async def test_cancelling_send_and_confirm_ends_its_wait(hub: LocalHub) -> None:
    async with sender(hub) as back_end:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(back_end.send_and_confirm, "dev-1", "x"))
            while not hub.queue_depth("dev-1"):
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        await complete(hub)
        receipt = await finished(hub, back_end)
        assert (await receipt.outcome()).original_message_id == receipt.message_id
