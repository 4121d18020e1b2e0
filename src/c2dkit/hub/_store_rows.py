"""How a hub's things become rows, and rows things again.

A document is JSON in ASCII. Times are ISO 8601, to the microsecond.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus, Message
from c2dkit.hub._identities import Device, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "decode_batch",
    "decode_device",
    "decode_duration",
    "decode_filters",
    "decode_message",
    "decode_policy",
    "decode_record",
    "encode_batch",
    "encode_device",
    "encode_duration",
    "encode_filters",
    "encode_message",
    "encode_policy",
    "encode_record",
]

# A field that is added to one of these is written and read with no word here; it needs a default, for older files.
_DEVICE: Final = TypeAdapter(Device)
_POLICY: Final = TypeAdapter(Policy)

_MICROSECOND: Final = timedelta(microseconds=1)
_TIMES: Final = ("expires_at", "created_at", "enqueued_at")


def encode_device(device: Device) -> str:
    """Write a device, with its keys."""
    return _DEVICE.dump_json(device).decode()


def decode_device(document: str) -> Device:
    """Read a device."""
    return _DEVICE.validate_json(document)


def encode_policy(policy: Policy) -> str:
    """Write a policy, with its keys."""
    return _POLICY.dump_json(policy).decode()


def decode_policy(document: str) -> Policy:
    """Read a policy."""
    return _POLICY.validate_json(document)


def encode_message(message: Message) -> tuple[str, bytes]:
    """Write a message: all but its body as a document, and the body as it is."""
    fields = message._asdict()
    body = bytes(fields.pop("body"))
    document = {name: value for name, value in fields.items() if value is not None}
    document["properties"] = dict(message.properties)
    return json.dumps(document, default=datetime.isoformat), body


def decode_message(fields: str, body: bytes) -> Message:
    """Read a message."""
    document: dict[str, Any] = json.loads(fields)
    for name in _TIMES:
        if name in document:
            document[name] = datetime.fromisoformat(document[name])
    if "ack" in document:
        document["ack"] = Ack(document["ack"])
    return Message(body, **document)


def encode_record(record: FeedbackRecord) -> str:
    """Write a record of feedback."""
    return json.dumps(asdict(record), default=datetime.isoformat)


def decode_record(document: str) -> FeedbackRecord:
    """Read a record of feedback."""
    return _record(json.loads(document))


def encode_batch(records: Iterable[FeedbackRecord]) -> bytes:
    """Write a batch of feedback."""
    return json.dumps([asdict(record) for record in records], default=datetime.isoformat).encode()


def decode_batch(body: bytes) -> tuple[FeedbackRecord, ...]:
    """Read a batch of feedback."""
    return tuple(map(_record, json.loads(body)))


def encode_filters(filters: Mapping[str, int]) -> str:
    """Write an MQTT session."""
    return json.dumps(dict(filters))


def decode_filters(document: str) -> Mapping[str, int]:
    """Read an MQTT session."""
    filters: dict[str, int] = json.loads(document)
    return filters


def encode_duration(duration: timedelta) -> str:
    """Write a duration: in microseconds."""
    return str(duration // _MICROSECOND)


def decode_duration(text: str) -> timedelta:
    """Read a duration."""
    return int(text) * _MICROSECOND


def _record(document: dict[str, Any]) -> FeedbackRecord:
    document["status"] = FeedbackStatus(document["status"])
    document["enqueued_at"] = datetime.fromisoformat(document["enqueued_at"])
    return FeedbackRecord(**document)
