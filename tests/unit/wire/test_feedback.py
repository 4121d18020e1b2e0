from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._errors import PayloadError
from c2dkit._models import FeedbackRecord, FeedbackStatus
from c2dkit._wire.feedback import CONTENT_TYPE, decode_records, encode_records

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
RECORD = FeedbackRecord(
    original_message_id="My Message ID",
    device_id="d1",
    device_generation_id="635794823643795743",
    status=FeedbackStatus.SUCCESS,
    description="Success",
    enqueued_at=NOON,
)
DOCUMENT: dict[str, object] = {
    "originalMessageId": "My Message ID",
    "deviceId": "d1",
    "deviceGenerationId": "635794823643795743",
    "statusCode": "Success",
    "description": "Success",
    "enqueuedTimeUtc": "2026-01-31T12:00:00.0000000Z",
}

text = st.text(st.characters(codec="utf-8"), max_size=20)
records = st.builds(
    FeedbackRecord,
    original_message_id=text,
    device_id=text,
    device_generation_id=text,
    status=st.sampled_from(FeedbackStatus),
    description=text,
    enqueued_at=st.datetimes(timezones=st.just(UTC)),
)


def body_of(**changes: object) -> bytes:
    """Return a batch of one record that differs from the usual one; None takes a key out."""
    document = {**DOCUMENT, **changes}
    return json.dumps([{key: value for key, value in document.items() if value is not None}]).encode()


def test_the_content_type() -> None:
    assert CONTENT_TYPE == "application/vnd.microsoft.iothub.feedback.json"


def test_a_record_is_written_with_the_documented_keys() -> None:
    assert json.loads(encode_records([RECORD])) == [DOCUMENT]


def test_the_status_of_a_success_can_be_left_out() -> None:
    rejected = FeedbackRecord(
        original_message_id="m2",
        device_id="d1",
        device_generation_id="1",
        status=FeedbackStatus.REJECTED,
        description="Message rejected",
        enqueued_at=NOON,
    )
    body = encode_records([RECORD, rejected], omit_success_status=True)
    first, second = json.loads(body)
    assert "statusCode" not in first
    assert second["statusCode"] == "Rejected"
    assert decode_records(body) == (RECORD, rejected)


def test_a_record_is_read() -> None:
    assert decode_records(body_of()) == (RECORD,)
    assert decode_records(b"[]") == ()


def test_a_record_of_an_older_service_is_read() -> None:
    document = {key[0].upper() + key[1:]: value for key, value in DOCUMENT.items()} | {"StatusCode": 0}
    assert decode_records(json.dumps([document]).encode()) == (RECORD,)


def test_unknown_keys_are_ignored() -> None:
    assert decode_records(body_of(new={"a": [1]}, tags="x")) == (RECORD,)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, FeedbackStatus.SUCCESS),
        ("Expired", FeedbackStatus.EXPIRED),
        ("DELIVERYCOUNTEXCEEDED", FeedbackStatus.DELIVERY_COUNT_EXCEEDED),
        ("purged", FeedbackStatus.PURGED),
        (0, FeedbackStatus.SUCCESS),
        (1, FeedbackStatus.EXPIRED),
        (2, FeedbackStatus.DELIVERY_COUNT_EXCEEDED),
        (3, FeedbackStatus.REJECTED),
        (4, FeedbackStatus.PURGED),
    ],
)
def test_the_status_is_a_word_in_any_case_or_a_number_or_missing(status: object, expected: FeedbackStatus) -> None:
    (record,) = decode_records(body_of(statusCode=status))
    assert record.status is expected


def test_a_null_status_is_a_success() -> None:
    (record,) = decode_records(body_of().replace(b'"statusCode": "Success"', b'"statusCode": null'))
    assert record.status is FeedbackStatus.SUCCESS


def test_description_and_generation_may_be_missing() -> None:
    (record,) = decode_records(body_of(description=None, deviceGenerationId=None))
    assert (record.description, record.device_generation_id) == ("", "")


def test_the_largest_batches() -> None:
    assert decode_records(b"[" + b" " * (1_048_576 - 2) + b"]") == ()
    assert decode_records(b"[" + b",".join([json.dumps(DOCUMENT).encode()] * 4096) + b"]") == (RECORD,) * 4096


BROKEN = {
    "nothing": (b"", "cannot be read"),
    "no JSON": (b"[", "cannot be read"),
    "no UTF-8": (b'["\xff"]', "cannot be read"),
    "an object": (b"{}", "not an array"),
    "an array of numbers": (b"[1]", "not an object"),
    "deep nesting": (b"[" * 100_000, "recursion limit"),
    "deep nesting in a record": (b'[{"a":' + b"[" * 100_000, "recursion limit"),
    "too large": (b"[" + b" " * 1_048_576, "1048577 bytes are more than 1048576"),
    "too many": (b"[" + b"1," * 4096 + b"1]", "4097 records are more than 4096"),
    "no message id": (body_of(originalMessageId=None), "no originalMessageId"),
    "a number as message id": (body_of(originalMessageId=5), "no originalMessageId"),
    "no device id": (body_of(deviceId=None), "no deviceId"),
    "no time": (body_of(enqueuedTimeUtc=None), "no enqueuedTimeUtc"),
    "a wrong time": (body_of(enqueuedTimeUtc="noon"), "not an ISO 8601 time"),
    "an unknown status": (body_of(statusCode="Lost"), "unknown statusCode"),
    "a status out of range": (body_of(statusCode=5), "unknown statusCode"),
    "a negative status": (body_of(statusCode=-1), "unknown statusCode"),
    "a boolean status": (body_of(statusCode=True), "unknown statusCode"),
    "a list as status": (body_of(statusCode=[1]), "unknown statusCode"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_batch(name: str) -> None:
    body, expected = BROKEN[name]
    with pytest.raises(PayloadError, match=expected) as caught:
        decode_records(body)
    assert (caught.value.body, caught.value.content_type) == (body, CONTENT_TYPE)


@given(batch=st.lists(records, max_size=5).map(tuple), omit=st.booleans())
def test_a_batch_comes_back(batch: tuple[FeedbackRecord, ...], omit: bool) -> None:
    assert decode_records(encode_records(batch, omit_success_status=omit)) == batch


@given(
    st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_body_is_read_or_a_payload_error(body: bytes) -> None:
    carried = body
    try:
        decode_records(body)
    except PayloadError as error:
        carried = error.body
    assert carried == body
