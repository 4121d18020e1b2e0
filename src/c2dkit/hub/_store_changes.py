"""What a change in a hub means for the rows of its database. Pure: whoever is told writes the statements down at once.

What belongs together is told in one turn of the event loop, so that it comes into one transaction: that a message has
ended and the record of it, or a batch and that its records wait no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit.hub._changes import (
    BatchEnded,
    BatchLocked,
    BatchMade,
    BatchPutBack,
    DeviceRemoved,
    DeviceSaved,
    MessageEnded,
    MessageEnqueued,
    MessageLocked,
    MessagePutBack,
    RecordMade,
)
from c2dkit.hub._store_rows import (
    encode_batch,
    encode_device,
    encode_duration,
    encode_filters,
    encode_message,
    encode_policy,
    encode_record,
)
from c2dkit.hub._store_schema import Statement, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import timedelta
    from typing import Any

    from c2dkit._models import FeedbackRecord
    from c2dkit.hub._changes import Change
    from c2dkit.hub._identities import Policy
    from c2dkit.hub._queue import Entry

__all__ = [
    "AUTHORITY_CERTIFICATE",
    "AUTHORITY_KEY",
    "CLOCK_OFFSET",
    "FEEDBACK",
    "LAST_BATCH_AT",
    "authority_trusted",
    "clock_moved",
    "hub_born",
    "policy_saved",
    "session_saved",
    "statements_of",
]

FEEDBACK: Final = ""
"""The name of the queue that holds the batches; no device has an empty id."""

AUTHORITY_CERTIFICATE: Final = "authority_certificate"
AUTHORITY_KEY: Final = "authority_key"
CLOCK_OFFSET: Final = "clock_offset"
LAST_BATCH_AT: Final = "last_batch_at"


def statements_of(change: Change) -> Iterator[Statement]:
    """Return what has to be written of a change in the state."""
    match change:
        case DeviceSaved(device):
            yield put("device", device.device_id, encode_device(device))
        case DeviceRemoved(device_id):
            yield from _device_removed(device_id)
        case MessageEnqueued(device_id, entry):
            yield from _put_entry(device_id, entry, *encode_message(entry.item))
        case MessageLocked(device_id, entry):
            yield from _locked(device_id, entry)
        case MessagePutBack(device_id, entry):
            yield _delivered(device_id, entry)
        case MessageEnded(device_id, entry):
            yield from _ended(device_id, entry)
        case RecordMade(record):
            yield put("record", record.device_id, encode_record(record))
        case BatchMade(entry):
            yield from _batch_made(entry)
        case BatchLocked(entry):
            yield from _locked(FEEDBACK, entry)
        case BatchPutBack(entry):
            yield _delivered(FEEDBACK, entry)
        case BatchEnded(entry):
            yield from _ended(FEEDBACK, entry)


def policy_saved(policy: Policy) -> Statement:
    """Return what has to be written of a policy that is new or has other keys."""
    return put("policy", policy.name, encode_policy(policy))


def authority_trusted(pem: bytes) -> Statement:
    """Return what has to be written of a certificate authority that is trusted from now on."""
    return put("authority", pem)


def clock_moved(offset: timedelta) -> Statement:
    """Return what has to be written of a hub's clock."""
    return put("hub", CLOCK_OFFSET, encode_duration(offset))


def session_saved(device_id: str, filters: Mapping[str, int] | None) -> Statement:
    """Return what has to be written of a device's MQTT session; None where it is over."""
    if filters is None:
        return Statement("DELETE FROM session WHERE device_id = ?", (device_id,))
    return put("session", device_id, encode_filters(filters))


def hub_born(policies: Iterable[Policy], authority: tuple[bytes, bytes], offset: timedelta) -> Iterator[Statement]:
    """Return what has to be written of a hub that is new."""
    certificate, key = authority
    yield put("hub", AUTHORITY_CERTIFICATE, certificate.decode("ascii"))
    yield put("hub", AUTHORITY_KEY, key.decode("ascii"))
    yield clock_moved(offset)
    yield from map(policy_saved, policies)


def _device_removed(device_id: str) -> Iterator[Statement]:
    yield Statement("DELETE FROM device WHERE device_id = ?", (device_id,))
    yield Statement("DELETE FROM record WHERE device_id = ?", (device_id,))
    yield Statement("DELETE FROM queue WHERE name = ?", (device_id,))
    yield Statement("DELETE FROM entry WHERE queue = ?", (device_id,))
    yield Statement("DELETE FROM delivery WHERE queue = ?", (device_id,))


def _put_entry(queue: str, entry: Entry[Any], fields: str, body: bytes) -> Iterator[Statement]:
    times = (entry.enqueued_at.isoformat(), entry.expires_at.isoformat())
    yield put("queue", queue, entry.sequence_number)
    yield put("entry", queue, entry.sequence_number, *times, fields, body)


def _locked(queue: str, entry: Entry[Any]) -> Iterator[Statement]:
    if not entry.redelivered:
        yield _delivered(queue, entry)


def _delivered(queue: str, entry: Entry[Any]) -> Statement:
    return put("delivery", queue, entry.sequence_number, entry.delivery_count)


def _ended(queue: str, entry: Entry[Any]) -> Iterator[Statement]:
    key = (queue, entry.sequence_number)
    yield Statement("DELETE FROM entry WHERE queue = ? AND sequence_number = ?", key)
    yield Statement("DELETE FROM delivery WHERE queue = ? AND sequence_number = ?", key)


def _batch_made(entry: Entry[tuple[FeedbackRecord, ...]]) -> Iterator[Statement]:
    yield Statement("DELETE FROM record")
    yield put("hub", LAST_BATCH_AT, entry.enqueued_at.isoformat())
    yield from _put_entry(FEEDBACK, entry, "", encode_batch(entry.item))
