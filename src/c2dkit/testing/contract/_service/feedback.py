"""Proves ``_requirements/feedback.py``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import Ack, ClosedError, CloudSender, FeedbackStatus, FeedbackStream, LinkError
from c2dkit.testing.contract._bench import ONCE, SOON, cancelled_at, records
from c2dkit.testing.contract._mark import requirement

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import BackEnd

__all__ = ["TestFeedback"]


def finished(back_end: BackEnd, status: FeedbackStatus = FeedbackStatus.SUCCESS, *, ack: Ack = Ack.FULL) -> str:
    """Let a message end, and return its id."""
    message_id = back_end.send(ack=ack)
    back_end.hub.finish(message_id, status)
    return message_id


def reported(ack: Ack, status: FeedbackStatus) -> bool:
    """Whether this ack asks for a record of this status."""
    return ack in {Ack.FULL, Ack.POSITIVE if status is FeedbackStatus.SUCCESS else Ack.NEGATIVE}


@pytest.mark.anyio
class TestFeedback:
    @requirement("feedback:record")
    async def test_record(self, back_end: BackEnd) -> None:
        sent = back_end.send(message_id="My Message ID")
        back_end.hub.finish(sent, FeedbackStatus.SUCCESS)
        async with back_end.feedback() as stream:
            record = await anext(stream)
        assert (record.original_message_id, record.device_id) == ("My Message ID", "dev-1")
        assert record.device_generation_id.isdigit()
        assert (record.status, record.description) == (FeedbackStatus.SUCCESS, "Success")
        assert abs(record.enqueued_at - back_end.hub.now()) < timedelta(minutes=1)

    @requirement("feedback:status")
    @pytest.mark.parametrize("status", FeedbackStatus)
    async def test_status(self, back_end: BackEnd, status: FeedbackStatus) -> None:
        async with back_end.feedback() as stream:
            sent = finished(back_end, status)
            record = await anext(stream)
        assert (record.original_message_id, record.status) == (sent, status)

    @requirement("feedback:ack")
    async def test_ack(self, back_end: BackEnd) -> None:
        expected: list[tuple[str, FeedbackStatus]] = []
        for status in sorted(FeedbackStatus, key=lambda each: each is FeedbackStatus.EXPIRED):
            for ack in Ack:
                sent = finished(back_end, status, ack=ack)
                expected += [(sent, status)] * reported(ack, status)
        expected.append((finished(back_end), FeedbackStatus.SUCCESS))
        async with back_end.feedback() as stream:
            found = [(record.original_message_id, record.status) for record in await records(stream, len(expected))]
        assert found == expected

    @requirement("feedback:completed")
    async def test_completed(self, back_end: BackEnd) -> None:
        sent = [finished(back_end) for _ in range(3)]
        async with back_end.feedback() as stream:
            assert [record.original_message_id for record in await records(stream, 3)] == sent
        last = finished(back_end)
        async with back_end.feedback() as stream:
            assert (await anext(stream)).original_message_id == last

    @requirement("feedback:again")
    async def test_again(self, back_end: BackEnd) -> None:
        sent = finished(back_end)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it is the block that the exception leaves
            async with back_end.feedback() as stream:
                assert (await anext(stream)).original_message_id == sent
                _ = 1 / 0
        async with back_end.feedback() as stream:
            assert (await anext(stream)).original_message_id == sent

    @requirement("feedback:cancel")
    async def test_cancel(self, back_end: BackEnd) -> None:
        received: list[str] = []
        sent: list[str] = []

        async def receive() -> None:
            received.append((await anext(stream)).original_message_id)

        async with back_end.feedback() as stream:
            for number in range(1, 13):
                if number % 2:
                    sent.append(finished(back_end))
                    await cancelled_at(1 + number // 4, receive)
                else:
                    await cancelled_at(1, receive)
                    sent.append(finished(back_end))
            while not set(sent) <= set(received):
                await receive()
        assert list(dict.fromkeys(received)) == sent

    @requirement("feedback:close-ends-iteration")
    async def test_close_ends_iteration(self, back_end: BackEnd) -> None:
        ended: list[bool] = []

        async def iterate() -> None:
            async for _ in stream:
                pass
            ended.append(True)

        async with anyio.create_task_group() as tasks, back_end.feedback() as stream:
            tasks.start_soon(iterate)
            await anyio.wait_all_tasks_blocked()
        assert ended == [True]

    @requirement("feedback:lost")
    async def test_lost(self, back_end: BackEnd) -> None:
        async with back_end.feedback() as stream:
            await back_end.hub.disconnect_all()
            with pytest.raises(LinkError) as caught:
                async for _ in stream:
                    pass
        assert caught.value.transient

    @requirement("feedback:resumes")
    async def test_resumes(self, back_end: BackEnd) -> None:
        async with back_end.feedback(retry=SOON) as stream:
            for number in range(3):
                back_end.send(message_id=f"message-{number}")
                await back_end.hub.disconnect_all()
                back_end.hub.finish(f"message-{number}", FeedbackStatus.SUCCESS)
                seen = ""
                while seen != f"message-{number}":  # a batch whose lock was lost comes again
                    seen = (await anext(stream)).original_message_id

    @requirement("feedback:misuse")
    async def test_misuse(self, back_end: BackEnd) -> None:
        stream = back_end.feedback()
        with pytest.raises(ClosedError, match="async with"):
            await anext(stream)
        async with stream:
            with pytest.raises(ClosedError, match="once"):
                await stream.__aenter__()

    @requirement("feedback:shared")
    async def test_shared(self, back_end: BackEnd) -> None:
        shared = back_end.transport()
        async with FeedbackStream(shared, retry=ONCE) as stream:
            async with CloudSender(shared, retry=ONCE) as sender:
                first = (await sender.send("dev-1", "x", ack="full")).message_id
            back_end.hub.finish(first, FeedbackStatus.SUCCESS)
            assert (await anext(stream)).original_message_id == first
        async with CloudSender(shared, retry=ONCE) as sender:
            await sender.send("dev-1", "x")
        assert len(back_end.waiting()) == 1
