from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

import anyio
import pytest

from c2dkit import (
    Ack,
    ClosedError,
    CloudSender,
    ConnectionLostError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    InvalidMessageError,
    OutcomeUnknownError,
    UnauthorizedError,
)

from .conftest import receiver

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub


class Setting(TypedDict):
    name: str
    value: float


async def test_the_receipt_always_names_the_message(hub: LocalHub, sender: CloudSender) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    own = await sender.send("dev-1", "x", message_id="my id", ack="negative", expires_at=expires_at)
    assert (own.message_id, own.device_id, own.ack, own.expires_at) == ("my id", "dev-1", Ack.NEGATIVE, expires_at)
    made = [(await sender.send("dev-1", "x")).message_id for _ in range(2)]
    assert len(set(made)) == 2
    assert hub.queue_depth("dev-1") == 3


async def test_sends_of_many_tasks_share_the_link(hub: LocalHub, sender: CloudSender) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(45):
            tasks.start_soon(sender.send, "dev-1", f"{number}")
    assert hub.queue_depth("dev-1") == 45


async def test_a_typed_dict_is_sent_as_json(hub: LocalHub, sender: CloudSender) -> None:
    await sender.send("dev-1", Setting(name="rate", value=0.5))
    async with receiver(hub, "amqp") as messages:
        with anyio.fail_after(5):
            message = await anext(messages)
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.payload == {"name": "rate", "value": 0.5}


async def test_an_unknown_device_is_the_hubs_refusal(sender: CloudSender) -> None:
    with pytest.raises(DeviceNotFoundError) as caught:
        await sender.send("nobody", "x")
    assert (caught.value.hub_code, caught.value.transient) == (404001, False)


async def test_the_queue_holds_fifty(hub: LocalHub, sender: CloudSender) -> None:
    for _ in range(50):
        await sender.send("dev-1", "x")
    with pytest.raises(DeviceQueueFullError) as caught:
        await sender.send("dev-1", "x")
    assert caught.value.hub_code == 403004
    assert hub.queue_depth("dev-1") == 50


async def test_the_largest_message_arrives_and_one_byte_more_is_refused(hub: LocalHub, sender: CloudSender) -> None:
    overhead = len("id") + len("/devices/dev-1/messages/deviceBound") + len("none")
    largest = bytes(65536 - overhead)
    await sender.send("dev-1", largest, message_id="id")
    with pytest.raises(InvalidMessageError) as caught:
        await sender.send("dev-1", largest + b"x", message_id="id")
    assert "65536" in str(caught.value)
    assert "65537" in str(caught.value)
    for transport in ("amqp", "mqtt"):
        async with receiver(hub, transport) as messages:
            with anyio.fail_after(5):
                assert (await anext(messages)).body == largest


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("ack", {"ack": "loud"}),
        ("message_id", {"message_id": ""}),
        ("message_id", {"message_id": "x" * 129}),
        ("expires_at", {"expires_at": datetime(2030, 1, 1)}),  # noqa: DTZ001 - a naive datetime is the point
        ("expires_at", {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}),
        ("expires_at", {"expires_in": timedelta(seconds=59)}),
        ("expires_at", {"expires_in": timedelta(days=2, seconds=1)}),
        ("expires_in", {"expires_in": timedelta(hours=1), "expires_at": datetime(2030, 1, 1, tzinfo=UTC)}),
        ("property name", {"properties": {"iothub-ack": "full"}}),
    ],
)
async def test_bad_input_is_refused_before_any_byte_is_sent(
    hub: LocalHub, sender: CloudSender, field: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        await sender.send("dev-1", "x", **arguments)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.limit is not None
    assert hub.queue_depth("dev-1") == 0


async def test_a_bad_device_id_is_refused(sender: CloudSender) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        await sender.send("no such/id", "x")
    assert caught.value.field == "device_id"


async def test_a_device_may_not_send(hub: LocalHub) -> None:
    device = hub.device_connection_string("dev-1").partition("SharedAccessKey=")[2]
    service = hub.service_connection_string.partition("SharedAccessKey=")[0] + "SharedAccessKey=" + device
    with pytest.raises(UnauthorizedError) as caught:
        async with CloudSender.from_connection_string(service, ssl_context=hub.ssl_context()):
            pass
    assert device not in str(caught.value)


async def test_a_send_on_a_lost_connection_says_so(hub: LocalHub, sender: CloudSender) -> None:
    await sender.send("dev-1", "x")
    await hub.disconnect_all()
    with anyio.fail_after(5), pytest.raises((ConnectionLostError, OutcomeUnknownError)):
        await sender.send("dev-1", "x")
    with anyio.fail_after(5), pytest.raises(ConnectionLostError):
        await sender.send("dev-1", "x")


async def test_a_sender_that_is_not_open_says_so(hub: LocalHub) -> None:
    sender = CloudSender.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context())
    with pytest.raises(ClosedError, match="async with"):
        await sender.send("dev-1", "x")
    async with sender:
        pass
    with pytest.raises(ClosedError, match="closed"):
        await sender.send("dev-1", "x")
    assert hub.queue_depth("dev-1") == 0
