"""How azure-iot-device hands a message over: already parsed from the MQTT topic, less what it ignores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from c2dkit._models import NO_PROPERTIES, Ack, Message
from c2dkit._rules.properties import SYSTEM_PROPERTY_PREFIX
from c2dkit._wire.times import read_time

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ClientMessage", "read_message"]

ACKS: Final[Mapping[str | None, Ack]] = {ack.value: ack for ack in Ack}
CREATION_TIME: Final = "$.ctime"


class ClientMessage(Protocol):
    """What is read of an ``azure.iot.device.Message``."""

    data: bytes
    message_id: str | None
    correlation_id: str | None
    user_id: str | None
    content_type: str | None
    content_encoding: str | None
    expiry_time_utc: str | None
    ack: str | None
    custom_properties: Mapping[str, str | None]


def read_message(message: ClientMessage) -> Message:
    """Read a message. That client drops ``to``; system properties that it does not know it leaves among the custom."""
    custom = message.custom_properties
    return Message(
        message.data,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        user_id=message.user_id,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        expires_at=read_time(message.expiry_time_utc),
        created_at=read_time(custom.get(CREATION_TIME)),
        ack=ACKS.get(message.ack),
        properties={name: value for name, value in custom.items() if _is_own(name)} or NO_PROPERTIES,
    )


def _is_own(name: str) -> bool:
    # An empty bag reads as one property without a name.
    return bool(name) and not name.startswith(SYSTEM_PROPERTY_PREFIX)
