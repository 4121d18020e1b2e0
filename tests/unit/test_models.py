from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from c2dkit import _models
from c2dkit._models import NO_PROPERTIES, Ack, FeedbackRecord, FeedbackStatus, Message

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_the_words_are_those_of_the_service() -> None:
    assert list(Ack) == ["none", "positive", "negative", "full"]
    assert list(FeedbackStatus) == ["Success", "Expired", "DeliveryCountExceeded", "Rejected", "Purged"]


def test_a_message_needs_only_a_body() -> None:
    message = Message(b"x")
    unset = set(Message._fields) - {"body", "properties"}
    assert all(getattr(message, field) is None for field in unset)
    assert (message.body, message.properties) == (b"x", {})


def test_the_shared_empty_properties_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        cast("Any", NO_PROPERTIES)["led"] = "green"


def test_records_cannot_be_changed() -> None:
    record = FeedbackRecord(
        original_message_id="m1",
        device_id="d1",
        device_generation_id="1",
        status=FeedbackStatus.SUCCESS,
        description="Success",
        enqueued_at=NOW,
    )
    with pytest.raises(FrozenInstanceError):
        cast("Any", record).device_id = "d2"
    assert record.device_id == "d1"


def test_all_names_exist() -> None:
    public = {name for name, value in vars(_models).items() if getattr(value, "__module__", None) == _models.__name__}
    assert set(_models.__all__) == public | {"AckWord", "NO_PROPERTIES"}
