"""Feedback as the hub's JSON has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.certify.drivers._lines import Fields

__all__ = ["Records"]


class Records:
    """Records that have been received; ``receive`` waits for the body of one more batch."""

    def __init__(self) -> None:
        self._unread: list[Fields] = []

    def take(self, device_id: str, receive: Callable[[], bytes]) -> Fields:
        """Return the next record of a device."""
        while True:
            for record in self._unread:
                if record["device_id"] == device_id:
                    self._unread.remove(record)
                    return record
            self._unread.extend(map(_fields, json.loads(receive())))


def _fields(record: Fields) -> Fields:
    return {
        "original_message_id": record["originalMessageId"],
        "device_id": record["deviceId"],
        "generation_id": record["deviceGenerationId"],
        "status": record["statusCode"],
        "description": record["description"],
        "enqueued_at": record["enqueuedTimeUtc"],
    }
