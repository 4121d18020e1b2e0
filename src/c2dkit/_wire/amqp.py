"""How AMQP 1.0 spells a cloud-to-device message, a feedback batch, an address and a settlement.

Source: IoT Hub developer guide, "AMQP support", "Create and read IoT Hub messages" and "Send cloud-to-device
messages".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

from c2dkit._models import NO_PROPERTIES, Ack, Message
from c2dkit._protocols import amqp
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import feedback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from c2dkit._models import FeedbackRecord

__all__ = [
    "CBS_ADDRESS",
    "FEEDBACK_ADDRESS",
    "OUTCOME_OF",
    "SERVICE_ADDRESS",
    "Cbs",
    "DeviceBound",
    "DeviceEvents",
    "Feedback",
    "ServiceBound",
    "decode_feedback",
    "decode_message",
    "device_address",
    "device_of",
    "encode_feedback",
    "encode_message",
    "lock_token",
    "parse_address",
    "settlement_of",
]

CBS_ADDRESS: Final = "$cbs"
SERVICE_ADDRESS: Final = "/messages/devicebound"
FEEDBACK_ADDRESS: Final = "/messages/serviceBound/feedback"

# The service SDKs of Node, Python and .NET all send the wish for feedback as an application property, never as an
# annotation, and the hub passes it on among the application properties.
ACK: Final = "iothub-ack"
SEQUENCE_NUMBER: Final = amqp.Symbol("x-opt-sequence-number")
ENQUEUED_TIME: Final = amqp.Symbol("iothub-enqueuedtime")
DELIVERY_COUNT: Final = amqp.Symbol("iothub-deliverycount")

ACKS: Final[Mapping[object, Ack]] = {ack.value: ack for ack in Ack}
PLAIN_IN_PATH: Final = "-:._*!(),=@;$'"
NO_AMQP_PROPERTIES: Final = amqp.Properties()
LOCK_TOKEN_BYTES: Final = 16

# IoT Hub developer guide, "AMQP support", "Receive cloud-to-device messages (device client)": accepted completes,
# released abandons, rejected dead-letters. No SDK sends modified; that it abandons is inferred.
OUTCOME_OF: Final[Mapping[Settlement, amqp.Outcome]] = {
    Settlement.COMPLETE: amqp.Accepted(),
    Settlement.ABANDON: amqp.Released(),
    Settlement.REJECT: amqp.Rejected(),
}
SETTLEMENT_OF: Final[Mapping[type, Settlement]] = {
    amqp.Accepted: Settlement.COMPLETE,
    amqp.Released: Settlement.ABANDON,
    amqp.Modified: Settlement.ABANDON,
    amqp.Rejected: Settlement.REJECT,
}


def settlement_of(state: object) -> Settlement | None:
    """Return what a delivery state says of a message, or None where it is no outcome."""
    return SETTLEMENT_OF.get(type(state))


def lock_token(tag: bytes) -> str:
    """Return the lock token that a delivery tag is: a GUID in .NET's byte order (seen in the .NET SDK)."""
    # uuid.UUID would take three times as long.
    text = tag.hex()
    if len(tag) != LOCK_TOKEN_BYTES:
        return text
    first = text[6:8] + text[4:6] + text[2:4] + text[:2]
    return f"{first}-{text[10:12]}{text[8:10]}-{text[14:16]}{text[12:14]}-{text[16:20]}-{text[20:]}"


class DeviceBound(NamedTuple):
    """The source of one device's cloud-to-device messages."""

    device_id: str


class DeviceEvents(NamedTuple):
    """The target of one device's telemetry."""

    device_id: str


class ServiceBound(NamedTuple):
    """The target of a back end's cloud-to-device messages."""


class Feedback(NamedTuple):
    """The source of a hub's delivery feedback."""


class Cbs(NamedTuple):
    """The claims-based-security node."""


Address = DeviceBound | DeviceEvents | ServiceBound | Feedback | Cbs


def device_address(device_id: str) -> str:
    """Return the address of a device's queue: the link source, and the ``to`` of a message for it.

    Percent-encoded, as the Node and .NET SDKs do: an id may hold ``%``, ``#`` and ``?``, and a raw one would be read
    as another.
    """
    return f"/devices/{quote(device_id, safe=PLAIN_IN_PATH)}/messages/deviceBound"


def parse_address(text: str) -> Address | None:
    """Read a link address as any SDK writes it, or return None where IoT Hub has no such address.

    The SDKs differ: absolute URIs and paths, mixed and lower case, percent-encoded and raw device ids. So the fixed
    parts are compared without case and the device id, which is case-sensitive, is percent-decoded.
    """
    if text.lower() == CBS_ADDRESS:
        return Cbs()
    path = urlsplit(text).path if text.lower().startswith(("amqps://", "amqp://")) else text
    parts = path.strip("/").split("/")
    fixed = [part.lower() for part in parts]
    if fixed == ["messages", "devicebound"]:
        return ServiceBound()
    if fixed == ["messages", "servicebound", "feedback"]:
        return Feedback()
    if len(parts) == 4 and fixed[0] == "devices" and fixed[2] == "messages":
        if fixed[3] == "devicebound":
            return DeviceBound(unquote(parts[1]))
        if fixed[3] == "events":
            return DeviceEvents(unquote(parts[1]))
    return None


def device_of(to: str) -> str | None:
    """Return the device that a message's ``to`` names, or None."""
    address = parse_address(to)
    return address.device_id if isinstance(address, DeviceBound) else None


def encode_message(message: Message) -> bytes:
    """Spell a message; the hub's own fields travel as annotations where they are set."""
    return amqp.encode_message(
        amqp.AmqpMessage(
            message_annotations=_annotations(message) or None,
            properties=_properties(message),
            application_properties=_application_properties(message) or None,
            data=message.body,
        )
    )


def _properties(message: Message) -> amqp.Properties:
    return amqp.Properties(
        message_id=message.message_id,
        user_id=None if message.user_id is None else message.user_id.encode(),
        to=message.to,
        correlation_id=message.correlation_id,
        content_type=_symbol(message.content_type),
        content_encoding=_symbol(message.content_encoding),
        absolute_expiry_time=_timestamp(message.expires_at),
        creation_time=_timestamp(message.created_at),
    )


def _annotations(message: Message) -> dict[str, object]:
    # The types are those that the .NET SDK insists on: ulong, timestamp, ubyte.
    annotations: dict[str, object] = {}
    if message.sequence_number is not None:
        annotations[SEQUENCE_NUMBER] = amqp.ULong(message.sequence_number)
    if message.enqueued_at is not None:
        annotations[ENQUEUED_TIME] = _timestamp(message.enqueued_at)
    if message.delivery_count is not None:
        annotations[DELIVERY_COUNT] = amqp.UByte(min(message.delivery_count, 255))
    return annotations


def _application_properties(message: Message) -> dict[str, object]:
    properties: dict[str, object] = dict(message.properties)
    if message.ack is not None:
        properties[ACK] = message.ack.value
    return properties


def decode_message(payload: bytes) -> Message:
    """Read a message.

    Ids may be strings, uuids, numbers or bytes on this wire; they become text. Application properties that are no
    strings become their text.

    Raises:
        AmqpProtocolError: The sections cannot be decoded.
    """
    decoded = amqp.decode_message(payload)
    properties = decoded.properties or NO_AMQP_PROPERTIES
    annotations = decoded.message_annotations or {}
    application = decoded.application_properties
    expires_at = properties.absolute_expiry_time
    created_at = properties.creation_time
    enqueued_at = annotations.get(ENQUEUED_TIME)
    return Message(
        decoded.data if decoded.data is not None else _body(decoded),
        _id_text(properties.message_id),
        _id_text(properties.correlation_id),
        None if properties.user_id is None else properties.user_id.decode("utf-8", "replace"),
        properties.to,
        properties.content_type,
        properties.content_encoding,
        None if expires_at is None else _datetime(expires_at),
        None if created_at is None else _datetime(created_at),
        ACKS.get(application.get(ACK)) if application else None,
        _texts(application) if application else NO_PROPERTIES,
        _number(annotations.get(SEQUENCE_NUMBER)),
        _datetime(enqueued_at) if isinstance(enqueued_at, int) else None,
        _number(annotations.get(DELIVERY_COUNT)),
    )


def _body(decoded: amqp.AmqpMessage) -> bytes:
    # IoT Hub's SDKs send data sections. Text and binary values have an obvious meaning; whatever else comes is
    # handed over as it was encoded, so that the message can still be looked at and settled.
    if decoded.sequence is not None:
        return amqp.encode_value(decoded.sequence)
    value = decoded.value
    if isinstance(value, bytes):
        return bytes(value)
    return value.encode() if isinstance(value, str) else amqp.encode_value(value)


def _texts(properties: Mapping[str, object]) -> dict[str, str | None]:
    return {
        name: value if value is None or type(value) is str else _text(value)
        for name, value in properties.items()
        if name != ACK
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _id_text(value: object) -> str | None:
    if value is None or type(value) is str:
        return value
    return str(value) if isinstance(value, UUID) else _text(value)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None


def _symbol(text: str | None) -> amqp.Symbol | None:
    return None if text is None else amqp.Symbol(text)


def _timestamp(moment: datetime | None) -> amqp.Timestamp | None:
    return None if moment is None else amqp.Timestamp(round(moment.timestamp() * 1000))


def _datetime(milliseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise amqp.AmqpProtocolError(f"timestamp {milliseconds} is out of range") from error


def encode_feedback(
    records: Sequence[FeedbackRecord], *, hub_name: str, enqueued_at: datetime, omit_success_status: bool = False
) -> bytes:
    """Spell a feedback batch: a JSON body, the hub's name as user id, the time at which the batch was made."""
    return amqp.encode_message(
        amqp.AmqpMessage(
            message_annotations={ENQUEUED_TIME: _timestamp(enqueued_at)},
            properties=amqp.Properties(user_id=hub_name.encode(), content_type=amqp.Symbol(feedback.CONTENT_TYPE)),
            data=feedback.encode_records(records, omit_success_status=omit_success_status),
        )
    )


def decode_feedback(payload: bytes) -> tuple[FeedbackRecord, ...]:
    """Read a feedback batch.

    Raises:
        AmqpProtocolError: The sections cannot be decoded.
        PayloadError: The body is no feedback.
    """
    return feedback.decode_records(decode_message(payload).body)
