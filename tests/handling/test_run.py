"""``DeviceReceiver.run`` on the local hub: what is handled when, and what the hub is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    ClosedError,
    DeviceReceiver,
    FeedbackStatus,
    InvalidInputError,
    MemoryDeadLetters,
    OnError,
    ServiceError,
    Settlement,
    UnsupportedSettlementError,
)
from c2dkit.testing.contract._bench import SOON, until
from tests.handling.conftest import Calls, lose_connection, running

if TYPE_CHECKING:
    from c2dkit import ReceivedMessage
    from c2dkit.testing.contract._bench import Device


async def nothing(message: ReceivedMessage[object]) -> None:
    """Succeed."""


class FailsOnce:
    """A handler that fails the first time."""

    def __init__(self) -> None:
        self.counts: list[int | None] = []

    async def __call__(self, message: ReceivedMessage[object]) -> None:
        self.counts.append(message.delivery_count)
        if len(self.counts) == 1:
            raise RuntimeError("the valve is stuck")


async def test_success_completes_and_close_ends_the_run(device: Device) -> None:
    sent = [device.send() for _ in range(3)]
    handled: list[str | None] = []

    async def handle(message: ReceivedMessage[object]) -> None:
        handled.append(message.message_id)

    receiver = device.receiver()
    async with receiver:
        run = asyncio.create_task(receiver.run(handle))
        for each in sent:
            await device.ended(each, FeedbackStatus.SUCCESS)
    await run
    assert handled == sent


@pytest.mark.parametrize("on_error", OnError)
async def test_what_the_wire_cannot_say_is_refused_before_anything_is_received(
    device: Device, on_error: OnError
) -> None:
    needs = {OnError.ABANDON: Settlement.ABANDON, OnError.REJECT: Settlement.REJECT}.get(on_error)
    device.send()
    async with device.receiver() as receiver:
        run = receiver.run(nothing, on_error=on_error, dead_letters=MemoryDeadLetters())
        if needs is None or needs in device.settlements:
            async with running(run):
                await until(lambda: not device.waiting())
            return
        with pytest.raises(UnsupportedSettlementError) as caught:
            await run
        assert caught.value.settlement is needs
        assert len(device.waiting()) == 1


@pytest.mark.parametrize("on_error", [OnError.REDELIVER, OnError.ABANDON])
async def test_a_message_that_failed_comes_again_and_counts(device: Device, on_error: OnError) -> None:
    if Settlement.ABANDON not in device.settlements:
        on_error = OnError.REDELIVER  # the other is refused
    sent = device.send()
    handler = FailsOnce()
    async with device.receiver(retry=SOON) as receiver, running(receiver.run(handler, on_error=on_error)):
        if Settlement.ABANDON in device.settlements:
            await device.ended(sent, FeedbackStatus.SUCCESS)
            assert handler.counts == [0, 1]
            return
        later = device.send()
        await until(lambda: len(handler.counts) == 2)
        assert [message_id for message_id, _ in device.waiting()] == [sent, later]  # its turn has not come
        await device.hub.disconnect_all()
        await device.ended(sent, FeedbackStatus.SUCCESS)
        await device.ended(later, FeedbackStatus.SUCCESS)


async def test_reject(device: Device) -> None:
    sent = device.send(b"secret", properties={"unit": "a"})
    letters = MemoryDeadLetters()
    reject = Settlement.REJECT in device.settlements
    on_error = OnError.REJECT if reject else OnError.DEAD_LETTER
    async with (
        device.receiver() as receiver,
        running(receiver.run(FailsOnce(), on_error=on_error, dead_letters=letters)),
    ):
        await device.ended(sent, FeedbackStatus.REJECTED if reject else FeedbackStatus.SUCCESS)
    (letter,) = await letters.letters()
    assert (letter.message_id, letter.body, dict(letter.properties)) == (sent, b"secret", {"unit": "a"})
    assert letter.reason == "RuntimeError: the valve is stuck"


async def test_hold_says_nothing(device: Device) -> None:
    sent = device.send()
    handler = FailsOnce()
    async with device.receiver() as receiver, running(receiver.run(handler, on_error="hold")):
        await until(lambda: len(handler.counts) == 1)
        await anyio.wait_all_tasks_blocked()
        assert device.waiting() == [(sent, 0)]
        assert device.hub.held("dev-1") == 1
    async with device.receiver() as receiver:
        assert (await anext(receiver)).message_id == sent


async def test_what_cannot_be_parsed_goes_to_the_dead_letters_whatever_on_error_says(device: Device) -> None:
    sent = device.send(b"not JSON")
    letters = MemoryDeadLetters()

    async def handle(message: ReceivedMessage[int]) -> None:
        raise AssertionError(message.payload)

    receiver = DeviceReceiver(device.transport(), payload_type=int)
    async with receiver, running(receiver.run(handle, on_error="hold", dead_letters=letters)):
        reject = Settlement.REJECT in device.settlements
        await device.ended(sent, FeedbackStatus.REJECTED if reject else FeedbackStatus.SUCCESS)
    (letter,) = await letters.letters()
    assert letter.reason.startswith("PayloadError: the body is not what payload_type asks for")


async def test_a_handler_may_settle_by_itself(device: Device) -> None:
    reject = Settlement.REJECT in device.settlements
    sent = device.send()

    async def handle(message: ReceivedMessage[object]) -> None:
        await (message.reject() if reject else message.complete())
        assert message.settlement is (Settlement.REJECT if reject else Settlement.COMPLETE)

    async with device.receiver() as receiver, running(receiver.run(handle)) as run:
        await device.ended(sent, FeedbackStatus.REJECTED if reject else FeedbackStatus.SUCCESS)
        assert not run.done()


async def test_concurrency_is_a_bound(device: Device) -> None:
    sent = [device.send() for _ in range(5)]
    calls = Calls()
    async with device.receiver() as receiver, running(receiver.run(calls, concurrency=2)):
        for each in sent:
            await until(lambda: len(calls.begun) >= min(len(calls.ended) + 2, 5))
            await anyio.wait_all_tasks_blocked()
            calls.let(each)
            await device.ended(each, FeedbackStatus.SUCCESS)
    assert calls.most == 2
    assert calls.begun == sent


def unit(message: ReceivedMessage[object]) -> str | None:
    return message.properties.get("unit")


async def test_order_is_kept_by_key_and_nobody_else_waits(device: Device) -> None:
    first, second, third = (device.send(properties={"unit": "a"}) for _ in range(3))
    other, free = device.send(properties={"unit": "b"}), device.send()
    calls = Calls()
    async with device.receiver() as receiver, running(receiver.run(calls, concurrency=2, key=unit)):
        await until(lambda: len(calls.begun) == 2)
        calls.let(other)
        calls.let(free)
        await until(lambda: free in calls.ended)
        await anyio.wait_all_tasks_blocked()
        assert calls.begun == [first, other, free]
        for each in (third, second, first):
            calls.let(each)
        for each in (first, second, third):
            await device.ended(each, FeedbackStatus.SUCCESS)
    assert calls.ended == [other, free, first, second, third]


async def test_an_error_of_the_key_is_one_of_the_handler(device: Device) -> None:
    sent = device.send()
    letters = MemoryDeadLetters()

    def key(message: ReceivedMessage[object]) -> str | None:
        return message.properties["unit"]

    async with device.receiver() as receiver:
        run = receiver.run(nothing, key=key, on_error="dead-letter", dead_letters=letters)
        async with running(run):
            await until(lambda: device.became(sent) is not None)
    (letter,) = await letters.letters()
    assert letter.reason == "KeyError: 'unit'"


async def test_a_lost_connection_ends_nothing(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    sent = device.send()
    calls = Calls()
    async with device.receiver(retry=SOON) as receiver, running(receiver.run(calls)):
        await until(lambda: len(calls.begun) == 1)
        await lose_connection(device, receiver)
        calls.let(sent)
        await device.ended(sent, FeedbackStatus.SUCCESS)
    if device.leg.name != "https":  # whose lock belongs to no connection
        assert calls.ended == [sent, sent]
        assert f"could not complete message {sent!r}" in caplog.text


async def test_an_error_that_does_not_pass_ends_the_run_when_the_handlers_have_ended(device: Device) -> None:
    sent = device.send()
    calls = Calls()
    async with device.receiver(retry=SOON) as receiver:
        run = asyncio.create_task(receiver.run(calls, concurrency=2))
        await until(lambda: len(calls.begun) == 1)
        device.hub.disable_device("dev-1")
        await until(lambda: receiver.connection.status.cause is not None)
        await anyio.wait_all_tasks_blocked()
        assert not run.done()
        calls.let(sent)
        with pytest.raises(ServiceError):
            await run
    assert calls.ended == [sent]


async def test_errors_are_logged_with_the_id_and_without_the_body(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    failed, unreadable = device.send(b"1"), device.send(b'"s3cret"')

    async def handle(message: ReceivedMessage[int]) -> None:
        raise RuntimeError(f"stuck at {message.payload}")

    receiver = DeviceReceiver(device.transport(), payload_type=int)
    async with receiver, running(receiver.run(handle, on_error="hold")):
        await until(lambda: len(caplog.records) == 2)
    assert [failed in record.message for record in caplog.records] == [True, False]
    assert [unreadable in record.message for record in caplog.records] == [False, True]
    assert "stuck at 1" in caplog.text
    assert "Traceback" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_handler_that_gives_up_with_cancelled_error_does_not_end_the_run(device: Device) -> None:
    sent = device.send()
    counts: list[int | None] = []

    async def handle(message: ReceivedMessage[object]) -> None:
        counts.append(message.delivery_count)
        if len(counts) == 1:
            raise asyncio.CancelledError

    async with device.receiver(retry=SOON) as receiver, running(receiver.run(handle)):
        await until(lambda: len(counts) == 1)
        if Settlement.ABANDON not in device.settlements:
            await device.hub.disconnect_all()
        await device.ended(sent, FeedbackStatus.SUCCESS)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"drain": timedelta(seconds=-1)}, "drain must be 0 to"),
        ({"drain": timedelta(hours=1)}, "drain must be 0 to"),
        ({"on_error": "ignore"}, "one of redeliver, abandon, reject, hold, dead-letter"),
        ({"on_error": "dead-letter"}, "needs dead_letters"),
    ],
)
async def test_misuse(device: Device, arguments: dict[str, object], match: str) -> None:
    device.send()
    async with device.receiver() as receiver:
        with pytest.raises(InvalidInputError, match=match):
            await receiver.run(nothing, **arguments)  # type: ignore[arg-type]
        assert len(device.waiting()) == 1


async def test_a_plain_function_ends_the_run_and_loses_no_message(device: Device) -> None:
    device.send()
    async with device.receiver() as receiver:
        with pytest.raises(InvalidInputError, match=r"handler must be a coroutine function .* returned NoneType"):
            await receiver.run(lambda _: None)  # type: ignore[arg-type, return-value]
        assert len(device.waiting()) == 1


async def test_open_first(device: Device) -> None:
    with pytest.raises(ClosedError, match="async with"):
        await device.receiver().run(nothing)
