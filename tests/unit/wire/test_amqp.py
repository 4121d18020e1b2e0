from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus, Message
from c2dkit._protocols import amqp
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import amqp as wire

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
texts = st.none() | st.text(max_size=20)
symbols = st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
moments = st.none() | st.integers(0, 4_000_000_000_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms))
messages = st.builds(
    Message,
    body=st.binary(max_size=300),
    message_id=texts,
    correlation_id=texts,
    user_id=texts,
    to=texts,
    content_type=symbols,
    content_encoding=symbols,
    expires_at=moments,
    created_at=moments,
    ack=st.none() | st.sampled_from(Ack),
    properties=st.dictionaries(st.text(max_size=8).filter(lambda name: name != "iothub-ack"), texts, max_size=4),
    sequence_number=st.none() | st.integers(0, 2**64 - 1),
    enqueued_at=moments,
    delivery_count=st.none() | st.integers(0, 255),
)


@given(messages)
def test_what_is_written_is_what_is_read(message: Message) -> None:
    assert wire.decode_message(wire.encode_message(message)) == message


def test_a_device_gets_the_types_that_sdks_insist_on() -> None:
    message = Message(
        b"x",
        user_id="me",
        ack=Ack.FULL,
        sequence_number=7,
        enqueued_at=EPOCH + timedelta(seconds=1),
        delivery_count=300,
    )
    decoded = amqp.decode_message(wire.encode_message(message))
    annotations = decoded.message_annotations
    assert annotations is not None
    assert {str(key): (type(value), value) for key, value in annotations.items()} == {
        "x-opt-sequence-number": (amqp.ULong, 7),
        "iothub-enqueuedtime": (amqp.Timestamp, 1000),
        "iothub-deliverycount": (amqp.UByte, 255),
    }
    assert all(isinstance(key, amqp.Symbol) for key in annotations)
    assert decoded.properties is not None
    assert decoded.properties.user_id == b"me"
    assert decoded.application_properties == {"iothub-ack": "full"}
    assert decoded.data == b"x"


def test_foreign_ids_and_property_values_become_text() -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    payload = amqp.encode_message(
        amqp.AmqpMessage(
            properties=amqp.Properties(message_id=uuid, correlation_id=amqp.ULong(5)),
            application_properties={"number": 5, "yes": True, "bytes": b"raw", "none": None, "iothub-ack": "loud"},
            data=b"",
        )
    )
    message = wire.decode_message(payload)
    assert (message.message_id, message.correlation_id) == (str(uuid), "5")
    assert message.properties == {"number": "5", "yes": "true", "bytes": "raw", "none": None}
    assert message.ack is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (amqp.AmqpMessage(value="text", has_value=True), b"text"),
        (amqp.AmqpMessage(value=b"raw", has_value=True), b"raw"),
        (amqp.AmqpMessage(value={"a": 1}, has_value=True), amqp.encode_value({"a": 1})),
        (amqp.AmqpMessage(sequence=[1, 2]), amqp.encode_value([1, 2])),
    ],
)
def test_a_body_that_is_no_data_section_is_handed_over(body: amqp.AmqpMessage, expected: bytes) -> None:
    assert wire.decode_message(amqp.encode_message(body)).body == expected


def test_a_time_that_no_calendar_has_is_a_protocol_error() -> None:
    properties = amqp.Properties(absolute_expiry_time=amqp.Timestamp(2**62))
    payload = amqp.encode_message(amqp.AmqpMessage(properties=properties, data=b""))
    with pytest.raises(amqp.AmqpProtocolError):
        wire.decode_message(payload)


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_the_protocol_error_only(payload: bytes) -> None:
    try:
        wire.decode_message(payload)
    except amqp.AmqpProtocolError as error:
        assert error.condition.startswith("amqp:")  # noqa: PT017 - random bytes may also happen to be a message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/devices/d1/messages/devicebound", wire.DeviceBound("d1")),
        ("/devices/d1/messages/deviceBound", wire.DeviceBound("d1")),
        ("devices/D1/messages/DEVICEBOUND", wire.DeviceBound("D1")),
        ("amqps://hub.example.net/devices/d1/messages/devicebound", wire.DeviceBound("d1")),
        ("amqps://hub.example.net:5671/devices/d%201/messages/deviceBound", wire.DeviceBound("d 1")),
        ("/devices/d1/messages/events", wire.DeviceEvents("d1")),
        ("/devices/d1/messages/events/", wire.DeviceEvents("d1")),
        ("/messages/devicebound", wire.ServiceBound()),
        ("amqps://hub.example.net:5671/messages/deviceBound", wire.ServiceBound()),
        ("/messages/serviceBound/feedback", wire.Feedback()),
        ("amqps://hub.example.net/messages/servicebound/feedback", wire.Feedback()),
        ("$cbs", wire.Cbs()),
        ("", None),
        ("/devices/d1/modules/m1/messages/devicebound", None),
        ("/devices/d1/messages/other", None),
    ],
)
def test_addresses_as_each_sdk_writes_them(text: str, expected: object) -> None:
    assert wire.parse_address(text) == expected


def test_every_c2dkit_address_is_one() -> None:
    for device_id in ("d1", "a%41+#?", "-:.+%_#*?!(),=@;$'"):
        assert wire.device_of(wire.device_address(device_id)) == device_id
    assert wire.device_address("dev-1") == "/devices/dev-1/messages/deviceBound"
    assert wire.device_of(wire.SERVICE_ADDRESS) is None
    assert wire.parse_address(wire.FEEDBACK_ADDRESS) == wire.Feedback()


@given(token=st.uuids())
def test_a_lock_token_is_the_guid_in_a_delivery_tag(token: UUID) -> None:
    assert wire.lock_token(token.bytes_le) == str(token)


def test_a_delivery_tag_that_is_no_guid_is_told_as_it_is() -> None:
    assert [wire.lock_token(tag) for tag in (b"", b"\x01\xff", bytes(17))] == ["", "01ff", "00" * 17]


def test_outcomes_and_settlements() -> None:
    for settlement in Settlement:
        assert wire.settlement_of(wire.OUTCOME_OF[settlement]) is settlement
    assert wire.settlement_of(amqp.Modified()) is Settlement.ABANDON
    assert wire.settlement_of(amqp.Received(0, 0)) is None
    assert wire.settlement_of(None) is None


def test_a_feedback_batch() -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 500000, tzinfo=UTC)
    record = FeedbackRecord(
        original_message_id="My Message ID",
        device_id="d1",
        device_generation_id="635853900000000000",
        status=FeedbackStatus.SUCCESS,
        description="Success",
        enqueued_at=moment,
    )
    payload = wire.encode_feedback([record], hub_name="hub", enqueued_at=moment)
    assert wire.decode_feedback(payload) == (record,)
    decoded = amqp.decode_message(payload)
    assert decoded.properties is not None
    assert decoded.properties.user_id == b"hub"
    assert decoded.properties.content_type == "application/vnd.microsoft.iothub.feedback.json"
    assert decoded.message_annotations == {"iothub-enqueuedtime": round(moment.timestamp() * 1000)}
