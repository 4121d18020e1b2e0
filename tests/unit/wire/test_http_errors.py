from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit import _errors
from c2dkit._errors import (
    C2dError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    InvalidMessageError,
    MessageLockLostError,
    MessageTooLargeError,
    PeerProtocolError,
    QuotaExceededError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
)
from c2dkit._wire.http_errors import CODES, ERROR_CODE_HEADER, STATUSES, Code, error_from_http, http_from_error

NOW = datetime(2022, 10, 18, 20, 50, 39, tzinfo=UTC)
HEX = "0123456789abcdef0123456789abcdef"
OLD_SHAPE = json.dumps(
    {
        "Message": "ErrorCode:DeviceNotFound;the text; and more",
        "ExceptionMessage": f"Tracking ID:{HEX}-G:0-TimeStamp:10/18/2022 20:50:39",
    }
).encode()
NEW_SHAPE = json.dumps(
    {
        "Message": json.dumps(
            {"errorCode": 404001, "trackingId": f"{HEX}-G:2", "message": "the text", "timestampUtc": "2026-01-31"}
        ),
        "ExceptionMessage": "",
    }
).encode()


@pytest.mark.parametrize(
    ("body", "text", "tracking_id"),
    [
        (OLD_SHAPE, "no luck: the text; and more (DeviceNotFound)", f"{HEX}-G:0"),
        (NEW_SHAPE, "no luck: the text (DeviceNotFound)", f"{HEX}-G:2"),
    ],
)
def test_both_shapes_of_a_body_are_read(body: bytes, text: str, tracking_id: str) -> None:
    error = error_from_http(404, {}, body, doing="no luck")
    assert type(error) is DeviceNotFoundError
    assert (str(error), error.hub_code, error.tracking_id) == (text, 404001, tracking_id)


@pytest.mark.parametrize("name", CODES)
def test_a_code_is_known_by_header_by_name_and_by_number(name: str) -> None:
    code = CODES[name]
    named = json.dumps({"Message": f"ErrorCode:{name};text"}).encode()
    numbered = json.dumps({"message": json.dumps({"errorCode": str(code.hub_code), "message": "text"})}).encode()
    for headers, body in (({"IotHub-ErrorCode": name}, b""), ({}, named), ({}, numbered)):
        error = error_from_http(599, headers, body)
        assert Code(error.hub_code or 0, code.status, type(error), error.transient) == code


def test_the_header_is_right_where_the_two_differ() -> None:
    error = error_from_http(404, {ERROR_CODE_HEADER: "DeviceMessageLockLost"}, OLD_SHAPE)
    assert (type(error), error.hub_code) == (MessageLockLostError, 412002)


@pytest.mark.parametrize(
    ("status", "expected", "transient"),
    [
        (400, ServiceError, False),
        (401, UnauthorizedError, False),
        (403, ServiceError, False),
        (404, DeviceNotFoundError, False),
        (408, ServiceError, True),
        (409, ServiceError, False),
        (412, MessageLockLostError, False),
        (413, MessageTooLargeError, False),
        (418, ServiceError, False),
        (429, ThrottledError, True),
        (500, ServiceError, True),
        (502, ServiceError, True),
        (503, ServiceError, True),
        (504, ServiceError, True),
    ],
)
def test_a_bare_status(status: int, expected: type[C2dError], transient: bool) -> None:
    error = error_from_http(status, {}, b"<html>no</html>")
    assert (type(error), error.transient, error.tracking_id) == (expected, transient, None)


def test_a_bare_403_names_no_code() -> None:
    assert error_from_http(403, {}, b"").hub_code is None


def test_every_status_stands_for_a_code_of_that_status() -> None:
    assert {status: CODES[name].status for status, name in STATUSES.items() if name} == {
        status: status for status, name in STATUSES.items() if name
    }


@pytest.mark.parametrize("status", [100, 200, 302, 304])
def test_a_status_that_is_no_refusal(status: int) -> None:
    assert type(error_from_http(status, {}, OLD_SHAPE)) is PeerProtocolError


def test_a_number_that_nobody_knows_is_kept() -> None:
    body = json.dumps({"Message": json.dumps({"errorCode": 404999, "message": "new"})}).encode()
    error = error_from_http(404, {ERROR_CODE_HEADER: "SomethingNew"}, body)
    assert (type(error), error.hub_code) == (DeviceNotFoundError, 404999)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta(0)),
        ("999999999", timedelta(days=1)),
        ("9999999999", None),
        ("-1", None),
        ("Sat, 31 Jan 2026 12:00:00 GMT", None),
        ("\u0667", None),
    ],
)
def test_retry_after(value: str, expected: timedelta | None) -> None:
    assert error_from_http(429, {"retry-after": value}, b"").retry_after == expected


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"[]",
        b'{"Message": 1, "ExceptionMessage": []}',
        b"[" * 10_000,
        json.dumps({"Message": "{" * 1000}).encode(),
        json.dumps({"Message": '{"errorCode": "40400\u0661", "message": 1, "trackingId": ""}'}).encode(),
        json.dumps({"Message": "ErrorCode:"}).encode(),
    ],
)
def test_a_body_that_makes_no_sense_is_ignored(body: bytes) -> None:
    error = error_from_http(404, {}, body)
    assert (type(error), error.hub_code, error.tracking_id) == (DeviceNotFoundError, 404001, None)


def test_a_text_is_bounded() -> None:
    assert len(str(error_from_http(404, {}, json.dumps({"Message": "x" * 10_000}).encode()))) < 600
    assert "xx" not in str(error_from_http(404, {}, json.dumps({"Message": "x" * 70_000}).encode()))


@given(st.integers(100, 599), st.dictionaries(st.text(), st.text()), st.binary())
def test_any_answer_makes_an_error(status: int, headers: dict[str, str], body: bytes) -> None:
    assert isinstance(error_from_http(status, headers, body), C2dError)


# --- the hub's side

HUB_ERRORS = [
    UnauthorizedError("no"),
    UnauthorizedError("no", hub_code=401002),
    DeviceNotFoundError("no"),
    DeviceQueueFullError("no"),
    MessageLockLostError("no"),
    MessageTooLargeError("no"),
    QuotaExceededError("no"),
    ThrottledError("no", retry_after=timedelta(seconds=1.5)),
    ServiceError("no", hub_code=409001),
    ServiceError("no", hub_code=404000, tracking_id=f"{HEX}-G:1"),
    ServiceError("no", hub_code=500001),
]


@pytest.mark.parametrize("error", HUB_ERRORS, ids=repr)
def test_an_error_comes_back(error: C2dError) -> None:
    status, headers, body = http_from_error(error, NOW)
    read = error_from_http(status, headers, body, doing="refused")
    assert (type(read), read.hub_code, read.tracking_id) == (type(error), error.hub_code, error.tracking_id)
    assert str(read) == f"refused: no ({headers[ERROR_CODE_HEADER]})"
    assert read.retry_after == (None if error.retry_after is None else timedelta(seconds=2))


def test_what_is_sent_is_the_documented_shape() -> None:
    status, headers, body = http_from_error(DeviceNotFoundError("it is gone", tracking_id=HEX), NOW)
    assert (status, headers) == (
        404,
        {"iothub-errorcode": "DeviceNotFound", "Content-Type": "application/json; charset=utf-8"},
    )
    assert json.loads(body) == {
        "Message": "ErrorCode:DeviceNotFound;it is gone",
        "ExceptionMessage": f"Tracking ID:{HEX}-G:0-TimeStamp:10/18/2022 20:50:39",
    }


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InvalidMessageError("no", field="f", limit=1, actual=2), 400, "ArgumentInvalid"),
        (ServiceError("no"), 500, "ServerError"),
        (PeerProtocolError("no"), 500, "ServerError"),
        (ThrottledError("no", hub_code=429999), 429, "ThrottlingException"),
    ],
)
def test_an_error_without_a_code_of_its_own(error: C2dError, status: int, name: str) -> None:
    answered, headers, _ = http_from_error(error, NOW)
    assert (answered, headers[ERROR_CODE_HEADER]) == (status, name)


def test_every_default_code_of_an_error_has_a_row() -> None:
    classes = [value for value in vars(_errors).values() if isinstance(value, type) and issubclass(value, C2dError)]
    codes = {each.default_hub_code for each in classes} - {None}
    assert codes <= {row.hub_code for row in CODES.values()}


def test_a_number_and_the_status_agree() -> None:
    # 403012: a disabled device is a 404 class of c2dkit, and a 403 on the wire.
    assert [name for name, row in CODES.items() if row.hub_code // 1000 != row.status] == []


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATE = {"Date": "Sun, 01 Mar 2026 12:00:00 GMT"}


@pytest.mark.parametrize(("ahead", "side"), [(timedelta(minutes=6), "ahead of"), (timedelta(hours=-3), "behind")])
def test_clocks_that_differ_are_told_of(ahead: timedelta, side: str) -> None:
    error = error_from_http(401, DATE, b"", now=NOON + ahead)
    assert isinstance(error, UnauthorizedError)
    assert error.clock_skew == ahead
    assert f"{abs(ahead).total_seconds():.0f} s {side} the hub's" in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "now"),
    [
        (401, DATE, NOON + timedelta(minutes=5)),
        (401, DATE, None),
        (401, {}, NOON + timedelta(hours=1)),
        (401, {"Date": "yesterday"}, NOON + timedelta(hours=1)),
        (404, DATE, NOON + timedelta(hours=1)),
    ],
)
def test_clocks_are_no_reason_otherwise(status: int, headers: dict[str, str], now: datetime | None) -> None:
    error = error_from_http(status, headers, b"", now=now)
    assert getattr(error, "clock_skew", None) is None
    assert "clock" not in str(error)
