from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._models import NO_PROPERTIES, Ack, Message
from c2dkit._rules.properties import SYSTEM_PROPERTIES
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import https

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOKEN = "6cce21ed-0a87-4b06-a8b9-4b3ff0a3b7d8"
FULL = Message(
    b"\x00body",
    message_id="m-1",
    correlation_id="c-1",
    user_id="me",
    to="/devices/dev-1/messages/deviceBound",
    content_type="application/json",
    content_encoding="utf-8",
    expires_at=NOON,
    ack=Ack.FULL,
    properties={"led": "green", "empty": ""},
    sequence_number=7,
    enqueued_at=NOON,
    delivery_count=2,
)
HEADERS = {
    "ETag": f'"{TOKEN}"',
    "iothub-messageid": "m-1",
    "iothub-to": "/devices/dev-1/messages/deviceBound",
    "iothub-correlationid": "c-1",
    "iothub-userid": "me",
    "ContentType": "application/json",
    "ContentEncoding": "utf-8",
    "iothub-expiry": "1/31/2026 12:00:00 PM",
    "iothub-ack": "full",
    "iothub-sequencenumber": "7",
    "iothub-enqueuedtime": "1/31/2026 12:00:00 PM",
    "iothub-deliverycount": "2",
    "iothub-app-led": "green",
    "iothub-app-empty": "",
}

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
NAMES = TEXT.filter(bool) | st.text("%0123456789ABCDEFacé /", min_size=1, max_size=12)


def test_a_message_in_headers() -> None:
    assert https.encode_delivery(FULL, TOKEN) == (HEADERS, b"\x00body")
    assert https.decode_delivery(HEADERS, b"\x00body") == (FULL, TOKEN)


def test_every_system_property_with_a_header_is_carried() -> None:
    headers, _ = https.encode_delivery(FULL, TOKEN)
    assert {row.https for row in SYSTEM_PROPERTIES if row.https} <= set(headers)


def test_what_is_not_set_has_no_header() -> None:
    assert https.encode_delivery(Message(b""), TOKEN) == ({"ETag": f'"{TOKEN}"'}, b"")
    message, _ = https.decode_delivery({"etag": TOKEN}, b"")
    assert message == Message(b"")
    assert message.properties is NO_PROPERTIES


def test_header_names_have_no_case_but_property_names_do() -> None:
    headers = {
        "eTAG": TOKEN,
        "IOTHUB-MESSAGEID": "m-1",
        "CONTENTTYPE": "a/b",
        "IoTHub-App-Led": "1",
        "iothub-app-led": "2",
    }
    message, _ = https.decode_delivery(headers, b"")
    assert (message.message_id, message.content_type) == ("m-1", "a/b")
    assert message.properties == {"Led": "1", "led": "2"}


def test_other_headers_are_nothing_of_a_message() -> None:
    headers = {
        "ETag": TOKEN,
        "Content-Type": "text/plain",
        "Content-Encoding": "gzip",
        "iothub-new": "x",
        "Date": "now",
    }
    assert https.decode_delivery(headers, b"")[0] == Message(b"")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plain", "iothub-app-plain"),
        ("!#$%&'*+-.^_`|~", "iothub-app-!#$%&'*+-.^_`|~"),
        ("a b/c=d", "iothub-app-a%20b%2Fc%3Dd"),
        ("é", "iothub-app-%C3%A9"),
        ("100%", "iothub-app-100%"),
        ("%41", "iothub-app-%41"),
        ("%20", "iothub-app-%2520"),
        ("%2f", "iothub-app-%2f"),
    ],
)
def test_a_property_name_that_no_header_can_have_is_escaped(name: str, header: str) -> None:
    headers, _ = https.encode_delivery(Message(b"", properties={name: "x"}), TOKEN)
    assert list(headers) == ["ETag", header]
    assert https.decode_delivery(headers, b"")[0].properties == {name: "x"}


@given(st.dictionaries(NAMES, TEXT, max_size=5))
def test_every_property_comes_back(properties: dict[str, str]) -> None:
    headers, _ = https.encode_delivery(Message(b"", properties=properties), TOKEN)
    assert all(re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) for name in headers)
    assert https.decode_delivery(headers, b"")[0].properties == properties


@given(st.builds(Message, st.binary(max_size=9), TEXT, TEXT, TEXT, TEXT, TEXT, TEXT))
def test_every_text_comes_back(message: Message) -> None:
    assert https.decode_delivery(*https.encode_delivery(message, TOKEN))[0] == message


def test_a_property_without_a_value_becomes_an_empty_one() -> None:
    headers, _ = https.encode_delivery(Message(b"", properties={"key": None}), TOKEN)
    assert https.decode_delivery(headers, b"")[0].properties == {"key": ""}


def test_a_value_that_is_not_utf_8_is_iso_8859_1() -> None:
    value = b"r\xe9sum\xe9".decode("utf-8", "surrogateescape")
    message, _ = https.decode_delivery({"ETag": TOKEN, "iothub-userid": value, "iothub-app-x": value}, b"")
    assert (message.user_id, message.properties) == ("résumé", {"x": "résumé"})


def test_what_cannot_be_read_is_left_out() -> None:
    headers = {
        "ETag": TOKEN,
        "iothub-expiry": "",
        "iothub-enqueuedtime": "soon",
        "iothub-ack": "perhaps",
        "iothub-sequencenumber": "1" * 21,
        "iothub-deliverycount": "-1",
    }
    assert https.decode_delivery(headers, b"")[0] == Message(b"")


@pytest.mark.parametrize("time", ["2026-01-31T12:00:00.0000000Z", "Sat, 31 Jan 2026 12:00:00 GMT"])
def test_a_time_may_have_any_of_the_usual_forms(time: str) -> None:
    assert https.decode_delivery({"ETag": TOKEN, "iothub-expiry": time}, b"")[0].expires_at == NOON


def test_the_number_of_properties_is_bounded() -> None:
    headers = {"ETag": TOKEN} | {f"iothub-app-{number}": "" for number in range(1024)}
    assert len(https.decode_delivery(headers, b"")[0].properties) == 1024
    with pytest.raises(ValueError, match="1024"):
        https.decode_delivery(headers | {"iothub-app-more": ""}, b"")


# --- locks


@pytest.mark.parametrize("etag", [TOKEN, f'"{TOKEN}"', f'W/"{TOKEN}"'])
def test_an_entity_tag_is_a_lock_token_in_quotes(etag: str) -> None:
    assert https.unquote_etag(etag) == TOKEN
    assert https.unquote_etag(https.quote_etag(TOKEN)) == TOKEN


@pytest.mark.parametrize("etag", ["", '""', "W/", "x" * 131, '"a\nb"', '"é"'])
def test_what_is_no_lock_token(etag: str) -> None:
    with pytest.raises(ValueError, match="lock token"):
        https.unquote_etag(etag)
    with pytest.raises(ValueError, match="lock token"):
        https.decode_delivery({"ETag": etag}, b"")


def test_a_message_without_a_lock_is_none() -> None:
    with pytest.raises(ValueError, match="lock token"):
        https.decode_delivery({}, b"")


# --- requests


def test_paths() -> None:
    assert https.device_path("dev-1") == "/devices/dev-1/messages/deviceBound"
    assert https.device_path("a/#?%") == "/devices/a%2F%23%3F%25/messages/deviceBound"
    assert https.purge_path("a#") == "/devices/a%23/commands"
    assert https.registry_path("a#") == "/devices/a%23"


@pytest.mark.parametrize(
    ("settlement", "request_"),
    [
        (Settlement.COMPLETE, ("DELETE", "/q/a%2Fb", "")),
        (Settlement.REJECT, ("DELETE", "/q/a%2Fb", "reject")),
        (Settlement.ABANDON, ("POST", "/q/a%2Fb/abandon", "")),
    ],
)
def test_the_request_for_a_settlement(settlement: Settlement, request_: tuple[str, str, str]) -> None:
    assert https.settlement_request("/q", "a/b", settlement) == request_


# --- documents

DEVICE = b'{"deviceId":"d","generationId":"1","status":"enabled","cloudToDeviceMessageCount":3,"etag":"x","new":[]}'


def test_a_device_of_the_registry() -> None:
    assert https.decode_registration(DEVICE) == ("d", "1", "enabled", 3)


@pytest.mark.parametrize("key", [b"deviceId", b"generationId", b"status", b"cloudToDeviceMessageCount"])
def test_a_device_that_lacks_a_key(key: bytes) -> None:
    with pytest.raises(ValueError, match=key.decode()):
        https.decode_registration(DEVICE.replace(key, b"else"))


def test_a_count_is_an_integer() -> None:
    for count in (b"true", b"3.5", b'"3"'):
        with pytest.raises(ValueError, match="cloudToDeviceMessageCount"):
            https.decode_registration(DEVICE.replace(b"3", count))


def test_the_result_of_a_purge() -> None:
    assert https.decode_purge(b'{"totalMessagesPurged":4,"deviceId":"d","moduleId":null}') == 4


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 5000, b'{"totalMessagesPurged":4}'.ljust(65_537), b"\xff"])
def test_what_is_no_document(body: bytes) -> None:
    with pytest.raises(ValueError):
        https.decode_purge(body)
