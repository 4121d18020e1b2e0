"""How azure-iot-hub wants a message: a device id, a body, and one dictionary for every kind of property."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from c2dkit._errors import InvalidMessageError
from c2dkit._wire import amqp as wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit._models import Message

__all__ = ["Parcel", "pack"]

ACK: Final = "iothub-ack"
SYSTEM_KEYS: Final = frozenset({"contentType", "contentEncoding", "correlationId", "expiryTimeUtc", "messageId"})
"""The keys that ``send_c2d_message`` takes out of the dictionary, as system properties."""


class Parcel(NamedTuple):
    """The arguments of ``send_c2d_message``."""

    device_id: str
    message: bytes
    properties: Mapping[str, object]


def pack(message: Message) -> Parcel:
    """Return what to call ``send_c2d_message`` with; ``message.to`` is set.

    Raises:
        InvalidMessageError: The message has something that this library cannot send.
    """
    _check(message)
    expires_at = message.expires_at
    system: dict[str, object] = {
        "messageId": message.message_id,
        "correlationId": message.correlation_id,
        "contentType": message.content_type,
        "contentEncoding": message.content_encoding,
        "expiryTimeUtc": None if expires_at is None else round(expires_at.timestamp() * 1000),
        ACK: None if message.ack is None else message.ack.value,
    }
    given = {key: value for key, value in system.items() if value is not None}
    return Parcel(_device_id(message), message.body, {**message.properties, **given})


def _device_id(message: Message) -> str:
    device_id = wire.device_of(message.to or "")
    assert device_id is not None  # noqa: S101 - the sender has set it
    # That library puts the id into the address as it is, and the hub reads an address percent-encoded.
    return quote(device_id, safe=wire.PLAIN_IN_PATH)


def _check(message: Message) -> None:
    if message.user_id is not None:
        raise InvalidMessageError(
            "azure-iot-hub cannot send a user_id", field="user_id", limit="none", actual=message.user_id
        )
    taken = SYSTEM_KEYS & message.properties.keys()
    if taken:
        raise InvalidMessageError(
            f"azure-iot-hub would send the property {min(taken)!r} as a system property",
            field="properties",
            limit=f"none of {', '.join(sorted(SYSTEM_KEYS))}",
            actual=min(taken),
        )
