from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from c2dkit._errors import C2dError, ConnectError, InvalidInputError, PeerProtocolError, UnauthorizedError
from c2dkit._models import NO_PROPERTIES, Ack, Message
from c2dkit._rules.properties import SYSTEM_PROPERTIES, SystemProperty
from c2dkit._wire import mqtt

PREFIX = "devices/d1/messages/devicebound/"
TO = "/devices/d1/messages/devicebound"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

# The shape of topics captured from the service.
CAPTURED = PREFIX + "%24.mid=42&%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound&iothub-ack=full&led=green"

text = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.none() | st.datetimes(timezones=st.just(UTC))
names = text.filter(lambda name: name not in {"", "iothub-ack"} and not name.startswith("$."))
messages = st.builds(
    Message,
    body=st.binary(max_size=64),
    message_id=st.none() | text,
    correlation_id=st.none() | text,
    user_id=st.none() | text,
    to=text,
    content_type=st.none() | text,
    content_encoding=st.none() | text,
    expires_at=times,
    created_at=times,
    ack=st.none() | st.sampled_from(Ack),
    properties=st.dictionaries(names, st.none() | text, max_size=5),
)


def read(bag: str) -> Message:
    return mqtt.decode_publish(PREFIX + bag, b"")


def test_a_captured_topic_is_read() -> None:
    assert mqtt.decode_publish(CAPTURED, b"body") == Message(
        b"body", message_id="42", to=TO, ack=Ack.FULL, properties={"led": "green"}
    )


def test_a_captured_topic_is_written() -> None:
    message = Message(b"body", message_id="42", to=TO, ack=Ack.FULL, properties={"led": "green"})
    assert mqtt.encode_topic("d1", message) == CAPTURED


def test_every_field_has_its_key_in_the_captured_order() -> None:
    message = Message(
        b"",
        message_id="My Message ID",
        correlation_id="c",
        user_id="hub",
        to="/devices/d1/messages/deviceBound",
        content_type="application/json",
        content_encoding="utf-8",
        expires_at=NOON,
        created_at=NOON,
        ack=Ack.NONE,
        properties={"a=&/%": "+ ~é", "null": None, "empty": ""},
        sequence_number=7,
        enqueued_at=NOON,
        delivery_count=1,
    )
    assert mqtt.encode_topic("d1", message).removeprefix(PREFIX).split("&") == [
        "%24.mid=My%20Message%20ID",
        "%24.to=%2Fdevices%2Fd1%2Fmessages%2FdeviceBound",
        "%24.cid=c",
        "%24.uid=hub",
        "%24.ct=application%2Fjson",
        "%24.ce=utf-8",
        "%24.exp=2026-01-31T12%3A00%3A00.0000000Z",
        "%24.ctime=2026-01-31T12%3A00%3A00.0000000Z",
        "iothub-ack=none",
        "a%3D%26%2F%25=%2B%20~%C3%A9",
        "null",
        "empty=",
    ]


def test_what_the_hub_sets_is_not_carried() -> None:
    message = Message(b"", to=TO, sequence_number=7, enqueued_at=NOON, delivery_count=1)
    assert mqtt.encode_topic("d1", message) == mqtt.encode_topic("d1", Message(b"", to=TO))


def test_the_address_is_always_there() -> None:
    assert mqtt.encode_topic("d1", Message(b"")) == PREFIX + "%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound"
    assert mqtt.decode_publish(mqtt.encode_topic("a%b", Message(b"")), b"").to == "/devices/a%25b/messages/devicebound"


def test_the_device_id_in_the_topic_is_not_encoded() -> None:
    assert mqtt.encode_topic("a:b%(c)", Message(b"", to="x")) == "devices/a:b%(c)/messages/devicebound/%24.to=x"


@given(message=messages)
def test_a_message_comes_back(message: Message) -> None:
    assert mqtt.decode_publish(mqtt.encode_topic("d1", message), message.body) == message


@given(message=messages)
def test_only_unreserved_characters_and_escapes_are_written(message: Message) -> None:
    bag = mqtt.encode_topic("d1", message).removeprefix(PREFIX)
    assert re.fullmatch(r"(?:[A-Za-z0-9\-._~=&]|%[0-9A-F]{2})*", bag)
    assert not bag.endswith("&")
    assert all(pair.count("=") <= 1 for pair in bag.split("&"))


@pytest.mark.parametrize("row", [row for row in SYSTEM_PROPERTIES if row.mqtt is not None and row.type == "string"])
def test_a_key_is_known_with_and_without_its_dollar_encoded(row: SystemProperty) -> None:
    key = row.mqtt or ""
    assert getattr(read(f"{key}=a%20b"), row.field) == "a b"
    assert getattr(read(f"{key.replace('$', '%24')}=a%20b"), row.field) == "a b"


@pytest.mark.parametrize(
    ("bag", "properties"),
    [
        ("", {}),
        ("a", {"a": None}),
        ("a=", {"a": ""}),
        ("a=1+1", {"a": "1+1"}),
        ("a=x%2Bx%20x", {"a": "x+x x"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=b/c", {"a": "b/c"}),
        ("a=1&", {"a": "1"}),
        ("&&a=1", {"a": "1"}),
        ("=1", {}),
        ("a=1&a=2", {"a": "2"}),
        ("a=100%&b=%zz&c=%2", {"a": "100%", "b": "%zz", "c": "%2"}),
        ("a=%ff", {"a": "�"}),
        ("a=%c3%a9", {"a": "é"}),
        ("%24.on=out&%24.schema=s&$.cdid=d&a=1", {"a": "1"}),
        ("iothub-operation=x", {"iothub-operation": "x"}),
    ],
)
def test_odd_bags(bag: str, properties: dict[str, str | None]) -> None:
    assert read(bag) == Message(b"", properties=properties)


def test_an_empty_bag_shares_the_empty_properties() -> None:
    assert read("%24.to=x").properties is NO_PROPERTIES


def test_a_system_property_without_a_value() -> None:
    assert read("%24.mid&%24.cid=") == Message(b"", correlation_id="")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31T12%3A00%3A00.0000000Z", NOON),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T13%3A00%3A00%2B01%3A00", NOON),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_times_are_read_leniently(value: str, expected: datetime | None) -> None:
    message = read(f"%24.exp={value}&%24.ctime={value}")
    assert (message.expires_at, message.created_at) == (expected, expected)


@pytest.mark.parametrize(("word", "expected"), [("none", Ack.NONE), ("full", Ack.FULL), ("always", None), ("", None)])
def test_an_unknown_ack_is_left_out(word: str, expected: Ack | None) -> None:
    assert read(f"iothub-ack={word}") == Message(b"", ack=expected)


@given(st.text() | st.text("%2Ff/acAC39x"))
@example("%252F%%2F%2%2F5%C3%2F%2f")
def test_percent_escapes_are_read_as_the_standard_library_reads_them(value: str) -> None:
    raw = value.replace("&", "")
    assert read(f"a={raw}").properties["a"] == unquote(raw)


@given(st.text())
def test_any_bag_is_read(bag: str) -> None:
    assert read(bag).body == b""


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "devices",
        "devices/d1/messages/devicebound",
        "devices/d1/messages/events/",
        "devices/d1/twin/devicebound/",
        "$iothub/d1/messages/devicebound/",
        "/devices/d1/messages/devicebound/",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="not that of a cloud-to-device message"):
        mqtt.decode_publish(topic, b"")


def test_devicebound_is_read_in_any_case() -> None:
    assert mqtt.decode_publish("devices/d1/messages/deviceBound/a=1", b"").properties == {"a": "1"}


def test_the_most_properties_that_may_be_sent_are_read() -> None:
    message = Message(b"", "m", "c", "u", TO, "ct", "ce", NOON, NOON, Ack.FULL, {str(n): "" for n in range(1024)})
    assert mqtt.decode_publish(mqtt.encode_topic("d1", message), b"") == message


def test_more_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1024 properties"):
        read("&" * 65_000)
    most = 1024 + sum(row.mqtt is not None for row in SYSTEM_PROPERTIES)
    assert read("&" * (most - 1)) == Message(b"")
    with pytest.raises(ValueError, match="more than 1024 properties"):
        read("&" * most)


def test_a_topic_that_mqtt_cannot_carry_is_refused() -> None:
    room = 65_535 - len(mqtt.encode_topic("d1", Message(b"", properties={"a": ""})))
    assert len(mqtt.encode_topic("d1", Message(b"", properties={"a": "x" * room}))) == 65_535
    with pytest.raises(ValueError, match="would have 65536 bytes, more than the 65535 that MQTT carries"):
        mqtt.encode_topic("d1", Message(b"", properties={"a": "x" * (room + 1)}))


def test_the_subscription() -> None:
    assert mqtt.subscription("d1") == "devices/d1/messages/devicebound/#"


@pytest.mark.parametrize("device_id", ["a+b", "a#"])
def test_a_device_id_that_is_a_wildcard_cannot_subscribe(device_id: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot subscribe over MQTT"):
        mqtt.subscription(device_id)


def test_the_user_name() -> None:
    expected = "hub.azure-devices.net/d1/?api-version=2021-04-12&DeviceClientType=c2dkit"
    assert mqtt.username("hub.azure-devices.net", "d1") == expected
    assert mqtt.parse_username(expected) == ("hub.azure-devices.net", "d1")


@pytest.mark.parametrize(
    "name",
    [
        "hub.net/d1/?api-version=2019-10-01&DeviceClientType=azure-iot-device%2F2.14.0%20%28Linux%29",
        "hub.net/d1/?api-version=2020-09-30&model-id=dtmi%3Acom%3Ax%3B1",
        "hub.net/d1/api-version=2016-11-14",
        "hub.net/d1/?api-version=2021-04-12&DeviceClientType=a/b",
        "hub.net/d1/",
        "hub.net/d1",
        "hub.net/d1/?" + "x" * (4096 - len("hub.net/d1/?")),
    ],
)
def test_user_names_of_other_clients(name: str) -> None:
    assert mqtt.parse_username(name) == ("hub.net", "d1")


@pytest.mark.parametrize(
    "name",
    ["", "hub.net", "hub.net/", "/d1/?api-version=1", "hub.net//?a", "hub.net/d1/module/?a", "h/d/?" + "x" * 4092],
)
def test_what_is_no_user_name(name: str) -> None:
    with pytest.raises(ValueError, match="the user name is not"):
        mqtt.parse_username(name)


@pytest.mark.parametrize(
    ("code", "expected", "transient", "word"),
    [
        (1, ConnectError, False, "MQTT 3.1.1"),
        (2, ConnectError, False, "client id"),
        (3, ConnectError, True, "not available"),
        (4, UnauthorizedError, False, "credential"),
        (5, UnauthorizedError, False, "credential"),
        (6, PeerProtocolError, False, "no meaning"),
        (255, PeerProtocolError, False, "no meaning"),
    ],
)
def test_refusals_of_a_connect(code: int, expected: type[C2dError], transient: bool, word: str) -> None:
    error = mqtt.connack_error(code)
    assert word in str(error)
    assert type(error) is expected
    assert error.transient is transient
    assert f"return code {code}" in str(error)
