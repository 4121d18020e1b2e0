"""Proves ``_requirements/story.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit import FeedbackStatus
from c2dkit.testing.contract._bench import complete, until
from c2dkit.testing.contract._mark import requirement
from c2dkit.transports import ServiceOperation

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import BackEnd, Device

__all__ = ["TestStory"]


async def send(back_end: BackEnd) -> str:
    """Send a message, past the back end where its wire cannot."""
    if ServiceOperation.SEND not in back_end.transport().operations:
        return back_end.send(b"reboot", properties={"speed": "full"})
    async with back_end.sender() as sender:
        return (await sender.send("dev-1", b"reboot", ack="full", properties={"speed": "full"})).message_id


async def outcome(back_end: BackEnd) -> tuple[str, FeedbackStatus]:
    """Learn what became of it, from the hub where the wire does not tell."""
    if ServiceOperation.FEEDBACK not in back_end.transport().operations:
        await until(lambda: bool(back_end.hub.outcomes()))
        ((message_id, status),) = back_end.hub.outcomes().items()
        return message_id, status
    async with back_end.feedback() as stream:
        record = await anext(stream)
        return record.original_message_id, record.status


@pytest.mark.anyio
class TestStory:
    @requirement("story:loop")
    async def test_loop(self, pair: tuple[Device, BackEnd]) -> None:
        device, back_end = pair
        sent = await send(back_end)
        async with device.receiver() as messages:
            message = await anext(messages)
            assert (message.message_id, message.body) == (sent, b"reboot")
            assert dict(message.properties) == {"speed": "full"}
            await complete(device, message)
            assert await outcome(back_end) == (sent, FeedbackStatus.SUCCESS)
        assert not device.waiting()
