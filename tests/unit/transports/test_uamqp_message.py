"""Reading, with a stand-in for uamqp's message; tests/interop has uamqp's own, and the sending."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from c2dkit._models import Ack, Message
from c2dkit._wire.amqp import decode_message
from c2dkit.transports._uamqp_message import wire_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from c2dkit.transports._uamqp_message import UamqpProperties

GUID = UUID(int=7)


@dataclass
class Properties:
    message_id: int | UUID | bytes | None = None
    user_id: bytes | None = None
    to: int | UUID | bytes | None = None
    correlation_id: int | UUID | bytes | None = None
    content_type: bytes | None = None
    content_encoding: bytes | None = None
    absolute_expiry_time: int | None = None
    creation_time: int | None = None


@dataclass
class Received:
    properties: UamqpProperties | None = None
    application_properties: Mapping[object, object] | None = None
    annotations: Mapping[object, object] | None = None
    data: Iterable[bytes] | None = None
    value: object = None
    delivery_tag: bytes | None = None

    def accept(self) -> bool:
        return True

    def reject(self) -> bool:
        return True

    def release(self) -> bool:
        return True


def read(received: Received) -> Message:
    return decode_message(wire_form(received))


def test_every_field() -> None:
    received = Received(
        Properties(b"m", b"u", b"/devices/x", b"c", b"text/plain", b"utf-8", 1_893_456_000_000, 0),
        {b"colour": b"red", b"empty": b"", b"none": None, b"number": 5, b"iothub-ack": b"full"},
        {b"x-opt-sequence-number": 7, b"iothub-enqueuedtime": 1_893_456_000_000, b"iothub-deliverycount": 2},
        [b"a", b"b"],
    )
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert read(received) == Message(
        b"ab", "m", "c", "u", "/devices/x", "text/plain", "utf-8", moment, datetime(1970, 1, 1, tzinfo=UTC), Ack.FULL,
        {"colour": "red", "empty": "", "none": None, "number": "5"}, 7, moment, 2,
    )  # fmt: skip


def test_nothing_but_an_empty_body() -> None:
    assert read(Received(data=[])) == Message(b"")


@pytest.mark.parametrize(("message_id", "text"), [(GUID, str(GUID)), (5, "5"), (b"\xff", "\ufffd")])
def test_an_id_of_any_type_becomes_text(message_id: UUID | int | bytes, text: str) -> None:
    assert read(Received(Properties(message_id), data=[b""])).message_id == text


@pytest.mark.parametrize(("value", "body"), [(b"bytes", b"bytes"), ("text", b"text")])
def test_a_body_that_is_a_value(value: object, body: bytes) -> None:
    assert read(Received(value=value)).body == body
