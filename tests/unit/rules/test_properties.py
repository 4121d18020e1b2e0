from __future__ import annotations

import pytest

from c2dkit._models import Message
from c2dkit._rules.properties import RESERVED_NAMES, SYSTEM_PROPERTIES

NOT_SYSTEM_PROPERTIES = {"body", "properties"}


def test_every_system_property_of_a_message_has_one_row() -> None:
    fields = [row.field for row in SYSTEM_PROPERTIES]
    assert len(fields) == len(set(fields))
    assert set(fields) == set(Message._fields) - NOT_SYSTEM_PROPERTIES | {"lock_token"}


@pytest.mark.parametrize("spelling", ["name", "amqp", "mqtt", "https"])
def test_no_two_rows_are_spelled_alike(spelling: str) -> None:
    spellings = [getattr(row, spelling) for row in SYSTEM_PROPERTIES if getattr(row, spelling) is not None]
    assert len(spellings) == len(set(spellings))


def test_mqtt_carries_nothing_that_the_hub_sets() -> None:
    assert [row.name for row in SYSTEM_PROPERTIES if (row.mqtt is None) != (row.set_by == "hub")] == []


def test_the_order_on_mqtt_is_the_one_that_was_captured() -> None:
    captured = ["$.mid", "$.to", "$.ct", "$.ce", "iothub-ack"]
    assert [row.mqtt for row in SYSTEM_PROPERTIES if row.mqtt in captured] == captured


def test_https_spells_content_headers_without_a_hyphen() -> None:
    https = {row.field: row.https for row in SYSTEM_PROPERTIES}
    assert (https["content_type"], https["content_encoding"]) == ("ContentType", "ContentEncoding")


def test_every_row_names_its_source() -> None:
    assert [row.name for row in SYSTEM_PROPERTIES if not row.source.startswith("[")] == []


def test_reserved_names() -> None:
    assert {"iothub-ack", "iothub-messageid", "iothub-enqueuedtime", "x-opt-sequence-number"} <= RESERVED_NAMES
    assert RESERVED_NAMES.isdisjoint({"to", "content-type", "message-id", "ContentType", "ETag"})
    assert {name.lower() for name in RESERVED_NAMES} == RESERVED_NAMES
