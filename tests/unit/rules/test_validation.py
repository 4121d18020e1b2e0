from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._errors import InvalidMessageError
from c2dkit._models import Ack, Message
from c2dkit._rules.validation import check_device_id, check_message, message_size, parse_ack

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
NAIVE = datetime(2026, 2, 1)  # noqa: DTZ001 - what must be refused

GOOD: dict[str, Message] = {
    "an empty body": Message(b""),
    "the id of Microsoft's article": Message(b"x", message_id="My Message ID"),
    "the longest message id": Message(b"x", message_id="m" * 128),
    "the shortest correlation id": Message(b"x", correlation_id="c"),
    "the longest correlation id": Message(b"x", correlation_id="é" * 128),
    "a user id": Message(b"x", user_id="hub"),
    "an address": Message(b"x", to="/devices/d1/messages/deviceBound"),
    "content type and encoding": Message(b"x", content_type="application/json;charset=utf-8", content_encoding="gzip"),
    "every ack": Message(b"x", ack=Ack.FULL),
    "the shortest expiry": Message(b"x", expires_at=NOW + timedelta(minutes=1)),
    "the longest expiry": Message(b"x", expires_at=NOW + 2 * DAY),
    "an expiry in another zone": Message(b"x", expires_at=(NOW + DAY).astimezone(timezone(timedelta(hours=9)))),
    "an old creation time": Message(b"x", created_at=NOW - 1000 * DAY),
    "properties": Message(b"x", properties={"led": "green", "naïve": "日本", "empty": "", "null": None, "to": "me"}),
    "many properties": Message(b"x", properties={f"p{number}": "" for number in range(1024)}),
    "exactly 64 KB": Message(b"x" * 65_536),
}

# name: message, field, part of the text, actual value
BAD: dict[str, tuple[Message, str, str, object]] = {
    "text as body": (Message("text"), "body", "bytes", "text"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "an empty message id": (Message(b"", message_id=""), "message_id", "1 to 128", ""),
    "a long message id": (Message(b"", message_id="m" * 129), "message_id", "1 to 128", "m" * 129),
    "a message id beyond ASCII": (Message(b"", message_id="é"), "message_id", "ASCII", "é"),
    "a message id of two lines": (Message(b"", message_id="a\nb"), "message_id", "ASCII", "a\nb"),
    "an empty correlation id": (Message(b"", correlation_id=""), "correlation_id", "1 to 128", ""),
    "a long correlation id": (Message(b"", correlation_id="c" * 129), "correlation_id", "1 to 128", "c" * 129),
    "a correlation id with NUL": (Message(b"", correlation_id="\0"), "correlation_id", "control", "\0"),
    "a user id with a surrogate": (Message(b"", user_id="\ud800"), "user_id", "control", "\ud800"),
    "an address of two lines": (Message(b"", to="a\r\nb"), "to", "control", "a\r\nb"),
    "a content type beyond ASCII": (Message(b"", content_type="é"), "content_type", "ASCII", "é"),
    "an empty content encoding": (Message(b"", content_encoding=""), "content_encoding", "ASCII", ""),
    "a naive expiry": (Message(b"", expires_at=NAIVE), "expires_at", "time zone", NAIVE),
    "a naive creation time": (Message(b"", created_at=NAIVE), "created_at", "time zone", NAIVE),
    "an expiry in the past": (Message(b"", expires_at=NOW - SECOND), "expires_at", "1 minute to 2 days", NOW - SECOND),
    "an expiry too soon": (Message(b"", expires_at=NOW + 59 * SECOND), "expires_at", "1 minute", NOW + 59 * SECOND),
    "an expiry too late": (Message(b"", expires_at=NOW + 2 * DAY + SECOND), "expires_at", "2 days", NOW + 2 * DAY + SECOND),
    "a property without a name": (Message(b"", properties={"": "x"}), "property name", "at least one", ""),
    "a property name with a tab": (Message(b"", properties={"a\tb": "x"}), "property name", "control", "a\tb"),
    "a property value of two lines": (Message(b"", properties={"a": "x\r\ny"}), "properties['a']", "control", "x\r\ny"),
    "ack as a property": (Message(b"", properties={"iothub-ack": "full"}), "property name", "system property", "iothub-ack"),
    "ack as a property in capitals": (Message(b"", properties={"IoTHub-Ack": "x"}), "property name", "system", "IoTHub-Ack"),
    "an MQTT key as a property": (Message(b"", properties={"$.mid": "x"}), "property name", "system property", "$.mid"),
    "any key of that kind": (Message(b"", properties={"$.new": None}), "property name", "system property", "$.new"),
    "too many properties": (Message(b"", properties={str(n): "" for n in range(1025)}), "properties", "1024", 1025),
    "a byte too many": (Message(b"x" * 65_536, properties={"a": None}), "message", "65536 bytes", 65_537),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_is_sent(name: str) -> None:
    check_message(GOOD[name], now=NOW)


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str) -> None:
    message, field, text, actual = BAD[name]
    with pytest.raises(InvalidMessageError) as caught:
        check_message(message, now=NOW)
    assert (caught.value.field, caught.value.actual) == (field, actual)
    assert text in str(caught.value)
    assert text in str(caught.value.limit)


WRONG_TYPES: list[dict[str, Any]] = [
    {"message_id": 5},
    {"correlation_id": 5},
    {"user_id": b"hub"},
    {"content_type": b"text/plain"},
    {"ack": "always"},
    {"properties": {"a": 5}},
    {"properties": {5: "a"}},
]


@pytest.mark.parametrize("fields", WRONG_TYPES, ids=str)
def test_values_of_the_wrong_type_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError):
        check_message(Message(b"", **fields), now=NOW)


@pytest.mark.parametrize(
    ("ahead", "shown"), [(-SECOND, "it is 0:00:01 ago"), (3 * DAY, "it is 3 days, 0:00:00 from now")]
)
def test_a_refused_expiry_is_told_as_a_distance(ahead: timedelta, shown: str) -> None:
    with pytest.raises(InvalidMessageError, match=shown):
        check_message(Message(b"", expires_at=NOW + ahead), now=NOW)


def test_the_error_quotes_only_the_beginning_of_a_long_value() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        check_message(Message(b"", message_id="m" * 60_000), now=NOW)
    assert len(str(caught.value)) < 400
    assert caught.value.actual == "m" * 60_000


def test_the_size_is_body_and_system_values_and_names_and_values_of_properties() -> None:
    assert message_size(Message(b"12345")) == 5
    assert message_size(Message(b"", message_id="123", correlation_id="12", user_id="1", to="1234")) == 10
    assert message_size(Message(b"", content_type="123", content_encoding="12", ack=Ack.FULL)) == 9
    assert message_size(Message(b"", expires_at=NOW, created_at=NOW)) == 16
    assert message_size(Message(b"", properties={"name": "é", "n": None})) == 7


def test_what_the_hub_adds_does_not_count() -> None:
    assert message_size(Message(b"1", sequence_number=7, enqueued_at=NOW, delivery_count=3)) == 1


@given(body=st.binary(max_size=64), properties=st.dictionaries(st.text(min_size=1), st.none() | st.text(), max_size=4))
def test_the_size_is_never_less_than_the_body(body: bytes, properties: dict[str, str | None]) -> None:
    assert message_size(Message(body, properties=properties)) >= len(body) + len(properties)


def test_device_ids() -> None:
    check_device_id("dev-1")
    for wrong in ("", "a b", "a/b", "d" * 129, None, 5):
        with pytest.raises(InvalidMessageError, match="device_id must be") as caught:
            check_device_id(wrong)
        assert (caught.value.field, caught.value.actual) == ("device_id", wrong)


def test_ack_is_given_as_a_member_or_as_a_word() -> None:
    assert parse_ack("full") is Ack.FULL
    assert parse_ack(Ack.NONE) is Ack.NONE


@pytest.mark.parametrize("word", ["Full", "FULL", "", "always", None, 1])
def test_what_is_no_ack(word: object) -> None:
    with pytest.raises(InvalidMessageError, match="none, positive, negative, full") as caught:
        parse_ack(word)
    assert (caught.value.field, caught.value.actual) == ("ack", word)
