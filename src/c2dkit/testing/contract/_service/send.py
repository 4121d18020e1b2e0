"""Proves ``_requirements/send.py``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    Ack,
    ClosedError,
    ConnectionLostError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    InvalidMessageError,
    LinkError,
    OutcomeUnknownError,
    ServiceError,
)
from c2dkit._models import Message
from c2dkit._rules.validation import message_size
from c2dkit._wire.amqp import device_address
from c2dkit.testing.contract._bench import SOON, cancelled_at
from c2dkit.testing.contract._mark import requirement
from c2dkit.testing.contract._samples import BODIES, CONTENT, IDS, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit.testing.contract._bench import BackEnd

__all__ = ["TestSend"]

LARGEST = 65_536


async def sent(back_end: BackEnd, payload: object = b"x", **arguments: object) -> Message:
    """Send one message, and return it as the hub has it."""
    async with back_end.sender() as sender:
        await sender.send("dev-1", payload, **arguments)  # type: ignore[arg-type]
    return back_end.queued()


@pytest.mark.anyio
class TestSend:
    @requirement("send:receipt")
    async def test_receipt(self, back_end: BackEnd) -> None:
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        async with back_end.sender() as sender:
            own = await sender.send("dev-1", "x", message_id="my id", ack="negative", expires_at=expires_at)
            assert back_end.queued().message_id == "my id"
            made = [(await sender.send("dev-2", "x")).message_id for _ in range(2)]
        assert (own.message_id, own.device_id, own.ack, own.expires_at) == ("my id", "dev-1", Ack.NEGATIVE, expires_at)
        assert [message.message_id for message in back_end.hub.queue("dev-2")] == made
        assert len(set(made)) == 2

    @requirement("send:body")
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    async def test_body(self, back_end: BackEnd, body: bytes) -> None:
        assert (await sent(back_end, body)).body == body

    @requirement("send:largest")
    async def test_largest(self, back_end: BackEnd) -> None:
        empty = Message(b"", message_id="id", to=device_address("dev-1"), ack=Ack.NONE)
        body = bytes(LARGEST - message_size(empty))
        async with back_end.sender() as sender:
            await sender.send("dev-1", body, message_id="id")
            assert back_end.queued().body == body
            with pytest.raises(InvalidMessageError) as caught:
                await sender.send("dev-1", body + b"x", message_id="id")
        assert (str(LARGEST) in str(caught.value.limit), caught.value.actual) == (True, LARGEST + 1)
        assert len(back_end.hub.queue("dev-1")) == 1

    @requirement("send:system-properties")
    async def test_system_properties(self, back_end: BackEnd) -> None:
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
        message = await sent(
            back_end,
            message_id="My Message ID",
            correlation_id="c-1",
            expires_at=expires_at,
            content_type="application/json",
            content_encoding="utf-8",
        )
        assert str(message.to).casefold() == device_address("dev-1").casefold()
        assert (message.message_id, message.correlation_id) == ("My Message ID", "c-1")
        assert message.expires_at == expires_at
        assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")

    @requirement("send:absent")
    async def test_absent(self, back_end: BackEnd) -> None:
        message = await sent(back_end)
        assert (message.correlation_id, message.user_id, message.expires_at, message.created_at) == (None,) * 4
        assert (message.content_type, message.content_encoding) == (None, None)
        assert dict(message.properties) == {}

    @requirement("send:ack")
    @pytest.mark.parametrize("ack", Ack)
    async def test_ack(self, back_end: BackEnd, ack: Ack) -> None:
        assert (await sent(back_end, ack=ack)).ack is ack

    @requirement("send:ids")
    @pytest.mark.parametrize("name", IDS.values(), ids=IDS)
    async def test_ids(self, back_end: BackEnd, name: str) -> None:
        message = await sent(back_end, message_id=name, correlation_id=name)
        assert (message.message_id, message.correlation_id) == (name, name)

    @requirement("send:user-id")
    @pytest.mark.parametrize("name", IDS.values(), ids=IDS)
    async def test_user_id(self, back_end: BackEnd, name: str) -> None:
        assert (await sent(back_end, user_id=name)).user_id == name

    @requirement("send:properties")
    @pytest.mark.parametrize("properties", PROPERTIES.values(), ids=PROPERTIES)
    async def test_properties(self, back_end: BackEnd, properties: Mapping[str, str]) -> None:
        assert dict((await sent(back_end, properties=properties)).properties) == properties

    @requirement("send:content")
    @pytest.mark.parametrize(("content_type", "content_encoding"), CONTENT.values(), ids=CONTENT)
    async def test_content(self, back_end: BackEnd, content_type: str | None, content_encoding: str | None) -> None:
        message = await sent(back_end, b"bytes", content_type=content_type, content_encoding=content_encoding)
        assert (message.content_type, message.content_encoding) == (content_type, content_encoding)

    @requirement("send:content")
    @pytest.mark.parametrize(
        ("payload", "body", "content_type", "content_encoding"),
        [
            (b"bytes", b"bytes", None, None),
            ("text", b"text", "text/plain", "utf-8"),
            ({"a": [1, None]}, b'{"a":[1,null]}', "application/json", "utf-8"),
        ],
    )
    async def test_payload(
        self,
        back_end: BackEnd,
        payload: object,
        body: bytes,
        content_type: str | None,
        content_encoding: str | None,
    ) -> None:
        message = await sent(back_end, payload)
        assert (message.body, message.content_type, message.content_encoding) == (body, content_type, content_encoding)

    @requirement("send:order")
    async def test_order(self, back_end: BackEnd) -> None:
        bodies = [f"{number}".encode() for number in range(40)]
        async with back_end.sender() as sender:
            for body in bodies:
                await sender.send("dev-1", body)
        assert [message.body for message in back_end.hub.queue("dev-1")] == bodies

    @requirement("send:tasks")
    async def test_tasks(self, back_end: BackEnd) -> None:
        bodies = {f"{number}".encode() for number in range(40)}
        async with back_end.sender() as sender, anyio.create_task_group() as tasks:
            for body in bodies:
                tasks.start_soon(sender.send, "dev-1", body)
        queued = [message.body for message in back_end.hub.queue("dev-1")]
        assert (len(queued), set(queued)) == (40, bodies)

    @requirement("send:invalid")
    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("ack", {"ack": "loud"}),
            ("message_id", {"message_id": ""}),
            ("message_id", {"message_id": "x" * 129}),
            ("correlation_id", {"correlation_id": "x" * 129}),
            ("expires_at", {"expires_at": datetime(2030, 1, 1)}),  # noqa: DTZ001 - a naive datetime is the point
            ("expires_at", {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}),
            ("expires_at", {"expires_in": timedelta(seconds=59)}),
            ("expires_at", {"expires_in": timedelta(days=2, seconds=1)}),
            ("expires_in", {"expires_in": timedelta(hours=1), "expires_at": datetime(2030, 1, 1, tzinfo=UTC)}),
            ("property name", {"properties": {"iothub-ack": "full"}}),
            ("device_id", {"device_id": "no such/id"}),
        ],
    )
    async def test_invalid(self, back_end: BackEnd, field: str, arguments: dict[str, object]) -> None:
        async with back_end.sender() as sender:
            with pytest.raises(InvalidMessageError) as caught:
                await sender.send(**({"device_id": "dev-1", "payload": "x"} | arguments))  # type: ignore[arg-type]
        assert caught.value.field == field
        assert caught.value.limit is not None
        assert not back_end.waiting()

    @requirement("send:refused")
    async def test_refused(self, back_end: BackEnd) -> None:
        for _ in range(50):
            back_end.send()
        async with back_end.sender() as sender:
            for device_id in ("dev-1", "nobody"):
                with pytest.raises(ServiceError):
                    await sender.send(device_id, "x")
                await sender.send("dev-2", "x")
        assert (len(back_end.waiting()), len(back_end.waiting("dev-2"))) == (50, 2)

    @requirement("send:unknown-device")
    async def test_unknown_device(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            with pytest.raises(DeviceNotFoundError) as caught:
                await sender.send("nobody", "x")
            assert (caught.value.hub_code, caught.value.transient) == (404001, False)
            await sender.send("dev-1", "x")  # the refusal has cost the link nothing
        assert back_end.queued().body == b"x"

    @requirement("send:disabled-device")
    async def test_disabled_device(self, back_end: BackEnd) -> None:
        back_end.hub.disable_device("dev-1")
        async with back_end.sender() as sender:
            with pytest.raises(DeviceNotFoundError) as caught:
                await sender.send("dev-1", "x")
        assert caught.value.hub_code == 404001

    @requirement("send:queue-full")
    async def test_queue_full(self, back_end: BackEnd) -> None:
        for _ in range(50):
            back_end.send()
        async with back_end.sender() as sender:
            with pytest.raises(DeviceQueueFullError) as caught:
                await sender.send("dev-1", "x")
            assert (caught.value.hub_code, caught.value.depth) == (403004, 50)
            await sender.send("dev-2", "x")
        assert len(back_end.waiting()) == 50

    @requirement("send:lost")
    async def test_lost(self, back_end: BackEnd) -> None:
        async with back_end.sender() as sender:
            await sender.send("dev-1", "x")
            await back_end.hub.disconnect_all()
            with pytest.raises((ConnectionLostError, OutcomeUnknownError)):
                await sender.send("dev-1", "x")
            with pytest.raises(LinkError) as caught:
                await sender.send("dev-1", "x")
            assert caught.value.transient
        assert len(back_end.waiting()) == 1

    @requirement("send:resumes")
    async def test_resumes(self, back_end: BackEnd) -> None:
        names = [f"message-{number}" for number in range(10)]
        async with back_end.sender(retry=SOON) as sender:
            for name in names:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(sender.send, "dev-1", "x", message_id=name, resend_unknown=True))
                    await back_end.hub.disconnect_all()
        queued = [message.message_id for message in back_end.hub.queue("dev-1")]
        assert list(dict.fromkeys(queued)) == names

    @requirement("send:cancel")
    async def test_cancel(self, back_end: BackEnd) -> None:
        names: list[str] = []
        async with back_end.sender() as sender:
            for number in count(1):
                names.append(f"message-{number}")
                if not await cancelled_at(number, lambda: sender.send("dev-1", "x", message_id=names[-1])):
                    break
                await sender.send("dev-2", "x")  # the link goes on
        queued = [message.message_id for message in back_end.hub.queue("dev-1")]
        assert queued[-1] == names[-1]
        assert len(queued) == len(set(queued))
        assert set(queued) <= set(names)

    @requirement("send:misuse")
    async def test_misuse(self, back_end: BackEnd) -> None:
        sender = back_end.sender()
        with pytest.raises(ClosedError, match="async with"):
            await sender.send("dev-1", "x")
        async with sender:
            with pytest.raises(ClosedError, match="once"):
                await sender.__aenter__()
        with pytest.raises(ClosedError, match="closed"):
            await sender.send("dev-1", "x")
        assert not back_end.waiting()
