"""A journal under a run: what is handled once, and what a broken journal does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from c2dkit import ClosedError, FeedbackStatus, MemoryDeadLetters, MemoryJournal, SqliteDeadLetters, SqliteJournal
from c2dkit.testing.contract._bench import SOON, until
from tests.handling.conftest import Calls, lose_connection, running

if TYPE_CHECKING:
    from pathlib import Path

    from c2dkit import ReceivedMessage
    from c2dkit.testing.contract._bench import Device


async def test_what_comes_again_while_it_is_handled_is_not_handled_twice(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    journal = MemoryJournal()
    async with device.receiver(retry=SOON) as receiver, running(receiver.run(calls, concurrency=3, journal=journal)):
        await until(lambda: len(calls.begun) == 1)
        await lose_connection(device, receiver)
        last = device.send()
        calls.let(last)
        await until(lambda: last in calls.ended)  # so the first has come again, before it
        calls.let(sent)
        await device.ended(sent, FeedbackStatus.SUCCESS)
        await device.ended(last, FeedbackStatus.SUCCESS)
    assert calls.begun == [sent, last]


async def test_a_journal_outlives_the_receiver(device: Device, tmp_path: Path) -> None:
    calls = Calls()
    calls.let("reboot-1")
    calls.let("reboot-2")
    for again in (False, True):
        async with (
            SqliteJournal(tmp_path / "journal") as journal,
            device.receiver() as receiver,
            running(receiver.run(calls, journal=journal)),
        ):
            for each in ("reboot-1", "reboot-2") if again else ("reboot-1",):
                device.send(message_id=each)
            await until(lambda: not device.waiting())
    assert calls.begun == ["reboot-1", "reboot-2"]


async def test_a_message_without_an_id_is_always_handled(device: Device) -> None:
    handled: list[str | None] = []

    async def handle(message: ReceivedMessage[object]) -> None:
        handled.append(message.message_id)

    async with device.receiver() as receiver, running(receiver.run(handle, journal=MemoryJournal())):
        for _ in range(2):
            device.send(message_id=None)
        await until(lambda: not device.waiting())
    assert handled == [None, None]


async def test_what_the_handler_has_abandoned_is_not_in_the_journal(device: Device) -> None:
    sent = device.send()
    counts: list[int | None] = []

    async def handle(message: ReceivedMessage[object]) -> None:
        counts.append(message.delivery_count)
        if message.delivery_count == 0:
            await message.abandon()

    async with device.receiver() as receiver, running(receiver.run(handle, journal=MemoryJournal())):
        await device.ended(sent, FeedbackStatus.SUCCESS)
    assert counts == ([None] if device.leg.name == "mqtt" else [0, 1])


async def test_a_journal_that_fails_ends_the_run_and_the_message_stays(device: Device, tmp_path: Path) -> None:
    sent = device.send()
    calls = Calls()
    calls.let(sent)
    async with device.receiver() as receiver:
        with pytest.raises(ClosedError, match="async with"):
            await receiver.run(calls, journal=SqliteJournal(tmp_path / "journal"), on_error="hold")
        assert device.waiting() == [(sent, 0)]
    assert calls.begun == []


async def test_a_journal_that_cannot_remember_ends_the_run_and_the_message_stays(device: Device) -> None:
    class Full(MemoryJournal):
        async def add(self, message_id: str) -> None:
            raise OSError(f"no room for {message_id}")

    sent = device.send()
    calls = Calls()
    calls.let(sent)
    async with device.receiver() as receiver:
        with pytest.raises(OSError, match=sent):
            await receiver.run(calls, journal=Full())
        assert device.waiting() == [(sent, 0)]
    assert calls.ended == [sent]


async def test_dead_letters_that_fail_end_the_run_and_the_message_stays(device: Device, tmp_path: Path) -> None:
    sent = device.send()

    async def handle(_: ReceivedMessage[object]) -> None:
        raise RuntimeError("the valve is stuck")

    letters = SqliteDeadLetters(tmp_path / "letters")
    async with device.receiver() as receiver:
        with pytest.raises(ClosedError, match="async with"):
            await receiver.run(handle, on_error="dead-letter", dead_letters=letters)
        assert device.waiting() == [(sent, 0)]


async def test_a_reason_that_is_no_unicode_is_written(
    device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "c2dkit")  # with that text in the log no worker of pytest-xdist could send its report
    sent = device.send()

    async def handle(_: ReceivedMessage[object]) -> None:
        raise ValueError("cannot read bad\udcff")  # how Python spells a file's name that is not UTF-8

    async with SqliteDeadLetters(tmp_path / "letters") as letters, device.receiver() as receiver:
        async with running(receiver.run(handle, on_error="dead-letter", dead_letters=letters)):
            await until(lambda: device.waiting() == [])
        (letter,) = await letters.letters()
    assert (letter.message_id, letter.reason) == (sent, "ValueError: cannot read bad\\udcff")


async def test_an_error_without_a_text_is_a_reason(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "c2dkit")  # whose handlers would ask for the text, too
    sent = device.send()

    class TextlessError(Exception):
        def __str__(self) -> str:
            raise AttributeError("code")

    async def handle(_: ReceivedMessage[object]) -> None:
        raise TextlessError

    letters = MemoryDeadLetters()
    async with (
        device.receiver() as receiver,
        running(receiver.run(handle, on_error="dead-letter", dead_letters=letters)),
    ):
        await until(lambda: device.waiting() == [])
    (letter,) = await letters.letters()
    assert (letter.message_id, letter.reason) == (sent, "TextlessError, whose text cannot be had")


async def test_an_error_at_the_end_is_logged_where_it_cannot_be_raised(
    device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = device.send()
    calls = Calls()
    async with SqliteJournal(tmp_path / "journal") as journal, device.receiver() as receiver:
        run = asyncio.create_task(receiver.run(calls, journal=journal))
        await until(lambda: len(calls.begun) == 1)
        run.cancel()
        await journal.__aexit__(None, None, None)
        calls.let(sent)
        with pytest.raises(asyncio.CancelledError):
            await run
    assert "a run ends with ClosedError" in caplog.text
