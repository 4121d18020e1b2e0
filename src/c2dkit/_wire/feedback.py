"""The body of a feedback message: a JSON array of records, the same over AMQP and HTTPS.

Source: IoT Hub developer guide, "Send cloud-to-device messages", section "Message feedback". Reading is lenient where
the service has been seen to differ from that page: keys in PascalCase and a numeric status (an older version of the
page), no ``statusCode`` at all for a success (a captured body; .NET's own model leaves out the default value).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

from pydantic_core import from_json, to_json

from c2dkit._errors import PayloadError
from c2dkit._models import FeedbackRecord, FeedbackStatus
from c2dkit._wire.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = ["CONTENT_TYPE", "decode_records", "encode_records"]

CONTENT_TYPE: Final = "application/vnd.microsoft.iothub.feedback.json"

MAX_BODY_BYTES: Final = 1_048_576
"""What the hub grants as largest message on such a link."""

MAX_RECORDS: Final = 4096
"""64 records make a full batch; the rest is room."""

STATUS_BY_WORD: Final[Mapping[str, FeedbackStatus]] = {status.lower(): status for status in FeedbackStatus}
STATUS_BY_NUMBER: Final = tuple(FeedbackStatus)
"""The enumeration of the .NET service client counts in the order in which the members stand."""


def encode_records(records: Sequence[FeedbackRecord], *, omit_success_status: bool = False) -> bytes:
    """Write a batch; ``omit_success_status`` leaves out ``statusCode`` where it is ``Success``."""
    return to_json([_encode_record(record, omit_success_status=omit_success_status) for record in records])


def decode_records(body: bytes) -> tuple[FeedbackRecord, ...]:
    """Read a batch; unknown keys are ignored.

    Raises:
        PayloadError: It is not an array of records, one lacks the message id, the device id or the time, or it is
            larger than 1 MiB or 4096 records. The error carries the body.
    """
    try:
        return tuple(map(_decode_record, _array(body)))
    except ValueError as error:
        raise PayloadError(
            f"the feedback message cannot be read: {error}", body=body, content_type=CONTENT_TYPE
        ) from error


def _encode_record(record: FeedbackRecord, *, omit_success_status: bool) -> dict[str, str]:
    document = {
        "originalMessageId": record.original_message_id,
        "description": record.description,
        "deviceGenerationId": record.device_generation_id,
        "deviceId": record.device_id,
        "enqueuedTimeUtc": format_time(record.enqueued_at),
    }
    if not (omit_success_status and record.status is FeedbackStatus.SUCCESS):
        document["statusCode"] = record.status.value
    return document


def _array(body: bytes) -> list[object]:
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"{len(body)} bytes are more than {MAX_BODY_BYTES}")
    documents: object = from_json(body, cache_strings=False)
    if not _is_list(documents):
        raise ValueError("it is not an array")
    if len(documents) > MAX_RECORDS:
        raise ValueError(f"{len(documents)} records are more than {MAX_RECORDS}")
    return documents


def _decode_record(document: object) -> FeedbackRecord:
    if not _is_object(document):
        raise ValueError("a record is not an object")
    values = {key.lower(): value for key, value in document.items()}
    return FeedbackRecord(
        original_message_id=_text(values, "originalMessageId"),
        device_id=_text(values, "deviceId"),
        device_generation_id=_text(values, "deviceGenerationId", ""),
        status=_status(values.get("statuscode")),
        description=_text(values, "description", ""),
        enqueued_at=_time(values),
    )


def _text(values: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = values.get(key.lower())
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f"a record has no {key}")  # noqa: TRY004 - it is the peer's data, not our argument
    return value


def _time(values: Mapping[str, object]) -> datetime:
    return parse_time(_text(values, "enqueuedTimeUtc"))


def _status(value: object) -> FeedbackStatus:
    if value is None:
        return FeedbackStatus.SUCCESS
    if isinstance(value, str) and value.lower() in STATUS_BY_WORD:
        return STATUS_BY_WORD[value.lower()]
    if type(value) is int and 0 <= value < len(STATUS_BY_NUMBER):
        return STATUS_BY_NUMBER[value]
    raise ValueError("a record has an unknown statusCode")


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
