"""What is written can be read back, whatever it is, and a row that has changed is noticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus, Message
from c2dkit.hub import _store_rows as rows_of
from c2dkit.hub._identities import Authentication, Device, Policy, Right
from c2dkit.hub._store_schema import DamagedError, create_tables, put, rows

texts = st.text(st.characters())  # lone surrogates too
maybe = st.none() | texts
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001 - zones are drawn
maybe_moments = st.none() | moments
messages = st.builds(
    Message,
    st.binary(),
    message_id=maybe,
    correlation_id=maybe,
    user_id=maybe,
    to=maybe,
    content_type=maybe,
    content_encoding=maybe,
    expires_at=maybe_moments,
    created_at=maybe_moments,
    ack=st.none() | st.sampled_from(Ack),
    properties=st.dictionaries(texts, maybe),
    sequence_number=st.none() | st.integers(0, 2**63 - 1),
    enqueued_at=maybe_moments,
    delivery_count=st.none() | st.integers(0, 255),
)
records = st.builds(
    FeedbackRecord,
    original_message_id=texts,
    device_id=texts,
    device_generation_id=texts,
    status=st.sampled_from(FeedbackStatus),
    description=texts,
    enqueued_at=moments,
)
plain = st.text()
devices = st.builds(
    Device,
    device_id=plain,
    generation_id=plain,
    primary_key=plain,
    secondary_key=plain,
    authentication=st.sampled_from(Authentication),
    thumbprints=st.lists(plain).map(tuple),
    enabled=st.booleans(),
    status_reason=st.none() | plain,
    status_updated_at=maybe_moments,
    parent_scopes=st.lists(plain).map(tuple),
)
NO_RIGHTS = Policy(name="none", rights=frozenset(), primary_key="p", secondary_key="s")


@given(messages)
def test_a_message(message: Message) -> None:
    back = rows_of.decode_message(*rows_of.encode_message(message))
    assert back == message
    assert list(back.properties) == list(message.properties)


def test_a_message_that_is_nothing_but_a_body() -> None:
    assert rows_of.decode_message(*rows_of.encode_message(Message(b"x"))) == Message(b"x")


@given(records)
def test_a_record(record: FeedbackRecord) -> None:
    assert rows_of.decode_record(rows_of.encode_record(record)) == record


@given(st.lists(records, max_size=4).map(tuple))
def test_a_batch(batch: tuple[FeedbackRecord, ...]) -> None:
    assert rows_of.decode_batch(rows_of.encode_batch(batch)) == batch


@given(devices)
def test_a_device(device: Device) -> None:
    assert rows_of.decode_device(rows_of.encode_device(device)) == device


def test_a_device_of_an_older_file_gets_the_defaults_of_newer_fields() -> None:
    document = '{"device_id": "d", "generation_id": "1", "primary_key": "a", "secondary_key": "b"}'
    device = rows_of.decode_device(document)
    assert device == Device(device_id="d", generation_id="1", primary_key="a", secondary_key="b", etag=device.etag)


@pytest.mark.parametrize(
    "policy", [Policy(name="all", rights=frozenset(Right), primary_key="p", secondary_key="s"), NO_RIGHTS]
)
def test_a_policy(policy: Policy) -> None:
    assert rows_of.decode_policy(rows_of.encode_policy(policy)) == policy
    assert all(isinstance(right, Right) for right in policy.rights)


@given(st.dictionaries(texts, st.integers(0, 2)))
def test_a_session(filters: dict[str, int]) -> None:
    assert rows_of.decode_filters(rows_of.encode_filters(filters)) == filters


@given(st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_a_duration(duration: timedelta) -> None:
    assert rows_of.decode_duration(rows_of.encode_duration(duration)) == duration


@given(st.binary(max_size=20), plain, st.integers(-(2**63), 2**63 - 1))
def test_a_row_comes_back_as_it_was(body: bytes, text: str, number: int) -> None:
    with closing(database()) as connection:
        connection.execute(*put("entry", text, number, "", "", "", body))
        assert list(rows(connection, "entry")) == [(text, number, "", "", "", body)]


@pytest.mark.parametrize("change", ["delivery_count = 2", "sequence_number = 2", "queue = 'e'", "checksum = 0"])
def test_a_row_that_has_changed_is_noticed(change: str) -> None:
    with closing(database()) as connection:
        connection.execute(*put("delivery", "d", 1, 1))
        connection.execute(f"UPDATE delivery SET {change}")
        with pytest.raises(DamagedError, match="'delivery' has a wrong checksum"):
            list(rows(connection, "delivery"))


def test_records_come_back_in_the_order_in_which_they_were_made() -> None:
    with closing(database()) as connection:
        for document in ("c", "a", "b"):
            connection.execute(*put("record", "d", document))
        assert [document for _, document in rows(connection, "record")] == ["c", "a", "b"]


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_tables(connection)
    return connection
