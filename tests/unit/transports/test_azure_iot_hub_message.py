from __future__ import annotations

from datetime import UTC, datetime

import pytest

from c2dkit import Ack, InvalidMessageError
from c2dkit._models import Message
from c2dkit._wire.amqp import device_address
from c2dkit.transports._azure_iot_hub_message import SYSTEM_KEYS, pack

TO = device_address("dev-1")


def test_every_field_that_the_library_sends() -> None:
    message = Message(
        b"x",
        message_id="m",
        correlation_id="c",
        to=TO,
        content_type="text/plain",
        content_encoding="utf-8",
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        ack=Ack.FULL,
        properties={"colour": "red", "empty": ""},
    )
    assert pack(message) == (
        "dev-1",
        b"x",
        {
            "colour": "red",
            "empty": "",
            "messageId": "m",
            "correlationId": "c",
            "contentType": "text/plain",
            "contentEncoding": "utf-8",
            "expiryTimeUtc": 1_893_456_000_000,
            "iothub-ack": "full",
        },
    )


def test_what_is_not_set_is_not_sent() -> None:
    assert pack(Message(b"", to=TO)) == ("dev-1", b"", {})


def test_a_device_id_is_escaped_as_in_an_address() -> None:
    assert pack(Message(b"", to=device_address("a%20#?b"))).device_id == "a%2520%23%3Fb"


def test_a_user_id_is_refused() -> None:
    with pytest.raises(InvalidMessageError) as refused:
        pack(Message(b"", to=TO, user_id="me"))
    assert refused.value.field == "user_id"


@pytest.mark.parametrize("name", sorted(SYSTEM_KEYS))
def test_a_property_with_the_name_of_a_system_property_is_refused(name: str) -> None:
    with pytest.raises(InvalidMessageError, match=name) as refused:
        pack(Message(b"", to=TO, properties={name: "x"}))
    assert (refused.value.field, refused.value.actual) == ("properties", name)
