from __future__ import annotations

import dataclasses
import gzip
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from c2dkit._errors import InvalidInputError, InvalidMessageError, PayloadError
from c2dkit._payloads import MAX_DECOMPRESSED_BYTES, EncodedPayload, PayloadDecoder, encode_payload

JSON = "application/json"
TEXT = "text/plain"


class Reboot(BaseModel):
    delay: float = Field(alias="delayInSeconds")
    at: datetime | None = None


@dataclasses.dataclass
class Move:
    x: int
    y: int


class Paint(TypedDict):
    colour: str


class Opaque:
    """Knows nothing of pydantic."""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)
encodings = st.sampled_from([None, "utf-8", "UTF-8", "utf8", "utf-16", "utf-32", "gzip", "deflate"])


@pytest.mark.parametrize("payload", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes_go_out_as_they_are_and_nothing_is_said_of_them(payload: object) -> None:
    assert encode_payload(payload, None, None) == EncodedPayload(b"\x00\xff", None, None)


def test_what_the_caller_says_of_bytes_is_passed_on() -> None:
    packed = gzip.compress(b"{}")
    assert encode_payload(packed, JSON, "gzip") == EncodedPayload(packed, JSON, "gzip")
    assert encode_payload(b"x", "application/x-mine", "mine") == EncodedPayload(b"x", "application/x-mine", "mine")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("Grüße", EncodedPayload("Grüße".encode(), TEXT, "utf-8")),
        ("", EncodedPayload(b"", TEXT, "utf-8")),
        (None, EncodedPayload(b"null", JSON, "utf-8")),
        (True, EncodedPayload(b"true", JSON, "utf-8")),
        ({"a": [1, 2.5, "é"]}, EncodedPayload('{"a":[1,2.5,"é"]}'.encode(), JSON, "utf-8")),
        (Move(1, 2), EncodedPayload(b'{"x":1,"y":2}', JSON, "utf-8")),
        (Paint(colour="red"), EncodedPayload(b'{"colour":"red"}', JSON, "utf-8")),
        (Reboot(delayInSeconds=5), EncodedPayload(b'{"delayInSeconds":5.0,"at":null}', JSON, "utf-8")),
        ({"text": "NaN and Infinity"}, EncodedPayload(b'{"text":"NaN and Infinity"}', JSON, "utf-8")),
    ],
)
def test_the_defaults_for_text_and_json(payload: object, expected: EncodedPayload) -> None:
    assert encode_payload(payload, None, None) == expected


@pytest.mark.parametrize(
    ("content_type", "content_encoding", "body"),
    [
        (None, "utf-16", "é".encode("utf-16")),
        (None, "UTF-32", "é".encode("utf-32")),
        (None, "utf8", "é".encode()),
        ("text/plain; charset=utf-16", None, "é".encode("utf-16")),
        ('text/plain;charset="UTF-8"', None, "é".encode()),
        (None, "gzip", gzip.compress("é".encode(), mtime=0)),
        ("text/plain;charset=utf-16", "gzip", gzip.compress("é".encode("utf-16"), mtime=0)),
        (None, "deflate", zlib.compress("é".encode())),
    ],
)
def test_the_callers_encoding_is_honoured(content_type: str | None, content_encoding: str | None, body: bytes) -> None:
    encoded = encode_payload("é", content_type, content_encoding)
    assert encoded.body == body
    assert PayloadDecoder(str).decode(*encoded) == "é"
    assert content_type is None or encoded.content_type == content_type
    assert content_encoding is None or encoded.content_encoding == content_encoding


def test_text_that_is_json_already_is_not_quoted_again() -> None:
    assert encode_payload('{"a":1}', JSON, None).body == b'{"a":1}'


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("payload", "encoding", "field"),
    [
        (object(), None, "payload"),
        ({"a": object()}, None, "payload"),
        (float("nan"), None, "payload"),
        ([{"a": float("inf")}], None, "payload"),
        (LOOP, None, "payload"),
        ("\ud800", None, "payload"),
        (["\ud800"], None, "payload"),
        ("text", "ebcdic", "content_encoding"),
        ({}, "br", "content_encoding"),
        ("text", "", "content_encoding"),
    ],
)
def test_what_cannot_be_encoded_is_refused(payload: object, encoding: str | None, field: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        encode_payload(payload, None, encoding)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field} ")


@given(text=st.text(st.characters(codec="utf-8")), encoding=encodings)
def test_text_comes_back(text: str, encoding: str | None) -> None:
    encoded = encode_payload(text, None, encoding)
    assert PayloadDecoder(str).decode(*encoded) == text
    assert PayloadDecoder(None).decode(*encoded) == text


@given(value=json_values.filter(lambda value: not isinstance(value, str)), encoding=encodings)
def test_json_comes_back(value: object, encoding: str | None) -> None:
    encoded = encode_payload(value, None, encoding)
    assert PayloadDecoder(None).decode(*encoded) == value
    assert PayloadDecoder(TypeAdapter(object)).decode(*encoded) == value


@given(body=st.binary(), encoding=encodings)
def test_bytes_come_back(body: bytes, encoding: str | None) -> None:
    encoded = encode_payload(body, JSON, encoding)
    assert PayloadDecoder(bytes).decode(*encoded) == body


def test_the_type_says_what_comes_back() -> None:
    body = b'{"delayInSeconds": 5, "at": "2026-01-31T12:00:00Z"}'
    expected = Reboot(delayInSeconds=5, at=datetime(2026, 1, 31, 12, tzinfo=UTC))
    assert PayloadDecoder(Reboot).decode(body, JSON, "utf-8") == expected
    assert PayloadDecoder(Reboot).decode(body, None, None) == expected
    assert PayloadDecoder(str).decode(body, JSON, "utf-8") == body.decode()
    assert PayloadDecoder(bytes).decode(body, JSON, "gzip") == body
    assert PayloadDecoder(Move).decode(b'{"x":1,"y":2}', JSON, None) == Move(1, 2)
    assert PayloadDecoder(Paint).decode(b'{"colour":"red"}', JSON, None) == {"colour": "red"}
    assert PayloadDecoder(TypeAdapter(list[int])).decode(b"[1, 2]", JSON, None) == [1, 2]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, b'{"a":1}'),
        ("application/octet-stream", b'{"a":1}'),
        ("", b'{"a":1}'),
        (JSON, {"a": 1}),
        ("Application/JSON ; charset=utf-8", {"a": 1}),
        ("application/vnd.acme+json", {"a": 1}),
        ("text/json", {"a": 1}),
        (TEXT, '{"a":1}'),
        ("TEXT/html", '{"a":1}'),
    ],
)
def test_without_a_type_the_content_type_says_it(content_type: str | None, expected: object) -> None:
    assert PayloadDecoder(None).decode(b'{"a":1}', content_type, None) == expected


def test_an_empty_content_encoding_says_nothing() -> None:
    assert PayloadDecoder(str).decode("é".encode("utf-16"), "text/plain;charset=utf-16", "") == "é"


BOMB = gzip.compress(b" " * (MAX_DECOMPRESSED_BYTES + 1))
DECODERS: dict[str, PayloadDecoder[Any]] = {
    "none": PayloadDecoder(None),
    "str": PayloadDecoder(str),
    "model": PayloadDecoder(Reboot),
}


@pytest.mark.parametrize(
    ("decoder", "body", "content_type", "content_encoding", "expected"),
    [
        ("none", b"{", JSON, None, "the body is not JSON"),
        ("none", b"", JSON, None, "the body is not JSON"),
        ("none", b"NaN", JSON, None, "the body is not JSON"),
        ("none", b"[" * 60_000, JSON, None, "the body is not JSON: recursion"),
        ("none", b"1" * 60_000, JSON, None, "the body is not JSON"),
        ("none", b'"\xff"', JSON, None, "the body is not JSON"),
        ("none", b"x", JSON, "utf-16", "not text in utf-16"),
        ("none", b"\xff", TEXT, None, "not text in utf-8: invalid start byte at byte 0"),
        ("str", b"\xff", None, None, "not text in utf-8"),
        ("str", b"x", None, "ebcdic", "the content encoding is not one that c2dkit can read"),
        ("str", b"x", "text/plain;charset=ebcdic", None, "the content encoding is not one"),
        ("str", gzip.compress(b"x", mtime=0), "text/plain;charset=ebcdic", "gzip", "the content encoding is not one"),
        ("str", b"not gzip", None, "gzip", "not compressed as its content encoding says"),
        ("str", gzip.compress(b"x", mtime=0)[:-1], None, "gzip", "cut off"),
        ("str", gzip.compress(b"x", mtime=0) + b"y", None, "gzip", "something follows"),
        ("str", BOMB, None, "gzip", "larger than 1048576 bytes when decompressed"),
        ("model", BOMB, None, "gzip", "larger than 1048576 bytes when decompressed"),
        ("model", b"[" * 60_000, None, None, "not what payload_type asks for: Invalid JSON"),
        ("model", b"{}", JSON, None, "payload_type asks for: delayInSeconds: Field required$"),
        ("model", b'{"at":1e99}', JSON, None, r"payload_type asks for: delayInSeconds: Field required \(and 1 more\)"),
    ],
)
def test_a_body_that_is_not_what_it_should_be(
    decoder: str, body: bytes, content_type: str | None, content_encoding: str | None, expected: str
) -> None:
    with pytest.raises(PayloadError, match=expected) as caught:
        DECODERS[decoder].decode(body, content_type, content_encoding)
    error = caught.value
    assert (error.body, error.content_type, error.content_encoding) == (body, content_type, content_encoding)


def test_a_body_may_grow_up_to_the_bound() -> None:
    text = " " * MAX_DECOMPRESSED_BYTES
    assert PayloadDecoder(str).decode(gzip.compress(text.encode()), None, "gzip") == text


def test_the_error_does_not_repeat_the_input() -> None:
    with pytest.raises(PayloadError) as caught:
        PayloadDecoder(Reboot).decode(json.dumps({"delayInSeconds": "private"}).encode(), JSON, None)
    assert "private" not in str(caught.value)


@given(
    body=st.binary(),
    content_type=st.sampled_from([None, JSON, TEXT, "text/plain;charset=utf-16", "x"]),
    encoding=encodings | st.text(max_size=8),
    decoder=st.sampled_from(sorted(DECODERS)),
)
def test_any_body_is_decoded_or_a_payload_error(
    body: bytes, content_type: str | None, encoding: str | None, decoder: str
) -> None:
    carried = body
    try:
        DECODERS[decoder].decode(body, content_type, encoding)
    except PayloadError as error:
        carried = error.body
    assert carried == body


def test_a_type_that_cannot_be_checked_is_refused_at_once() -> None:
    with pytest.raises(
        InvalidInputError, match=r"pydantic cannot check for payload_type=.*Opaque.*: Unable to generate"
    ):
        PayloadDecoder(Opaque)
