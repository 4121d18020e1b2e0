"""Proves ``_requirements/outcomes.py``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import Ack, ClosedError, FeedbackStatus, InvalidMessageError, OutcomeTimeoutError
from c2dkit.testing.contract._bench import EXPIRES_IN, SOON, cancelled_at, records, until
from c2dkit.testing.contract._mark import requirement

if TYPE_CHECKING:
    from c2dkit import CloudSender, FeedbackRecord, Receipt
    from c2dkit.testing.contract._bench import BackEnd

__all__ = ["TestOutcomes"]

AT_ONCE = timedelta(0)


async def sent(sender: CloudSender, ack: Ack = Ack.FULL) -> Receipt:
    """Send a message that expires when the hub's view says so."""
    return await sender.send("dev-1", "x", ack=ack, expires_in=EXPIRES_IN)


@pytest.mark.anyio
class TestOutcomes:
    @requirement("outcome:status")
    @pytest.mark.parametrize("status", FeedbackStatus)
    async def test_status(self, back_end: BackEnd, status: FeedbackStatus) -> None:
        outcomes: list[FeedbackRecord] = []
        async with back_end.sender() as sender, anyio.create_task_group() as tasks:

            async def confirm() -> None:
                outcomes.append(await sender.send_and_confirm("dev-1", "x", message_id="my id", expires_in=EXPIRES_IN))

            tasks.start_soon(confirm)
            await until(lambda: bool(back_end.waiting()))
            back_end.hub.finish("my id", status)
        (outcome,) = outcomes
        assert (outcome.device_id, outcome.original_message_id, outcome.status) == ("dev-1", "my id", status)

    @requirement("outcome:own")
    async def test_own(self, back_end: BackEnd) -> None:
        ends = [FeedbackStatus.SUCCESS, FeedbackStatus.REJECTED] * 4
        outcomes: dict[str, FeedbackStatus] = {}

        async def wait(receipt: Receipt) -> None:
            record = await receipt.outcome()
            assert record.original_message_id == receipt.message_id
            outcomes[receipt.message_id] = record.status

        async with back_end.sender() as sender:
            receipts = [await sent(sender) for _ in ends]
            async with anyio.create_task_group() as tasks:
                for receipt in reversed(receipts):
                    tasks.start_soon(wait, receipt)
                for receipt, status in zip(receipts, ends, strict=True):
                    back_end.hub.finish(receipt.message_id, status)
        assert [outcomes[receipt.message_id] for receipt in receipts] == ends

    @requirement("outcome:late")
    async def test_late(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            receipts = [await sent(sender, ack) for ack in (Ack.FULL, Ack.POSITIVE)]
            for receipt in receipts:
                back_end.hub.finish(receipt.message_id, FeedbackStatus.SUCCESS)
            last = await receipts[1].outcome()
            first = await receipts[0].outcome()
        assert [first.original_message_id, last.original_message_id] == [receipt.message_id for receipt in receipts]
        assert await receipts[0].outcome() is first

    @requirement("outcome:none")
    async def test_none(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            with pytest.raises(InvalidMessageError) as refused:
                await sender.send_and_confirm("dev-1", "x", ack="none")
            assert not back_end.waiting()
            receipt = await sent(sender, Ack.NONE)
            with pytest.raises(InvalidMessageError, match="full") as caught:
                await receipt.outcome()
        assert (refused.value.field, caught.value.field) == ("ack", "ack")

    @requirement("outcome:timeout")
    async def test_timeout(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            receipt = await sent(sender)
            with pytest.raises(TimeoutError) as caught:
                await receipt.outcome(timeout=AT_ONCE)
            assert isinstance(caught.value, OutcomeTimeoutError)
            assert caught.value.receipt is receipt
            back_end.hub.finish(receipt.message_id, FeedbackStatus.SUCCESS)
            assert (await receipt.outcome()).status is FeedbackStatus.SUCCESS

    @requirement("outcome:cancel")
    async def test_cancel(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            for _ in range(3):
                receipt = await sent(sender)
                assert await cancelled_at(1, receipt.outcome)
                back_end.hub.finish(receipt.message_id, FeedbackStatus.SUCCESS)
                await cancelled_at(1, receipt.outcome)
                assert (await receipt.outcome()).original_message_id == receipt.message_id

    @requirement("outcome:closed")
    async def test_closed(self, back_end: BackEnd) -> None:
        ended: list[bool] = []

        async def wait() -> None:
            with pytest.raises(ClosedError):
                await receipt.outcome()
            ended.append(True)

        async with anyio.create_task_group() as tasks:
            async with back_end.sender() as sender:
                receipt = await sent(sender)
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
            with pytest.raises(ClosedError):
                await receipt.outcome()
        assert ended == [True]

    @requirement("outcome:shared")
    async def test_shared(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            async with back_end.feedback() as one, back_end.feedback() as other:
                receipts = [await sent(sender) for _ in range(3)]
                for receipt in receipts:
                    back_end.hub.finish(receipt.message_id, FeedbackStatus.SUCCESS)
                outcomes = [await receipt.outcome() for receipt in receipts]
                assert await records(one, 3) == await records(other, 3) == outcomes
            last = await sent(sender)
            back_end.hub.finish(last.message_id, FeedbackStatus.SUCCESS)
            async with back_end.feedback() as stream:
                assert (await anext(stream)).original_message_id == last.message_id

    @requirement("outcome:resumes")
    async def test_resumes(self, back_end: BackEnd) -> None:
        async with back_end.sender(retry=SOON) as sender:
            for number in range(3):
                name = f"message-{number}"
                receipt = await sender.send("dev-1", "x", message_id=name, ack="full", resend_unknown=True)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(receipt.outcome))
                    await anyio.wait_all_tasks_blocked()
                    await back_end.hub.disconnect_all()
                    back_end.hub.finish(name, FeedbackStatus.SUCCESS)
                assert (await receipt.outcome()).status is FeedbackStatus.SUCCESS
