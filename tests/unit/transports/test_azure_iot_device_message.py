from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from c2dkit._models import Ack, Message
from c2dkit.transports._azure_iot_device_message import read_message
from c2dkit.transports._azure_iot_device_unread import Unread

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Received:
    """A message as azure-iot-device hands it over."""

    data: bytes = b""
    message_id: str | None = None
    correlation_id: str | None = None
    user_id: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    expiry_time_utc: str | None = None
    ack: str | None = None
    custom_properties: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])


def test_every_field() -> None:
    received = Received(
        b"x", "m", "c", "u", "text/plain", "utf-8", "2030-01-01T00:00:00.0000000Z", "full",
        {"colour": "red", "valueless": None, "$.ctime": "2029-01-01T00:00:00Z", "$.on": "out"},
    )  # fmt: skip
    assert read_message(received) == Message(
        b"x",
        message_id="m",
        correlation_id="c",
        user_id="u",
        content_type="text/plain",
        content_encoding="utf-8",
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        created_at=datetime(2029, 1, 1, tzinfo=UTC),
        ack=Ack.FULL,
        properties={"colour": "red", "valueless": None},
    )


def test_nothing_but_a_body() -> None:
    assert read_message(Received(b"x", custom_properties={"": None})) == Message(b"x")


@pytest.mark.parametrize("text", ["", "tomorrow", "9999-99-99"])
def test_a_time_that_cannot_be_read_is_none(text: str) -> None:
    assert read_message(Received(expiry_time_utc=text)).expires_at is None


def test_an_unknown_wish_for_feedback_is_none() -> None:
    assert read_message(Received(ack="loud")).ack is None


async def test_unread_keeps_the_order_and_outlives_its_listener() -> None:
    unread = Unread()
    unread.on_message(Received(b"1"))
    unread.notify(lambda: None)
    unread.on_message(Received(b"2"))
    unread.notify(None)
    unread.on_message(Received(b"3"))
    assert len(unread) == 3
    assert [unread.take().body for _ in range(3)] == [b"1", b"2", b"3"]
    with pytest.raises(IndexError):
        unread.take()
