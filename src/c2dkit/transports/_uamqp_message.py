"""A message as uamqp has it: read into c2dkit's, and made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from types import ModuleType

    from c2dkit._models import Message

__all__ = ["UamqpMessage", "UamqpProperties", "make_message", "wire_form"]

ACK: Final = "iothub-ack"

MessageId = int | UUID | bytes | None


class UamqpProperties(Protocol):
    """What is read of ``uamqp.message.MessageProperties``; texts are bytes there, except ids that are no texts."""

    message_id: MessageId
    user_id: bytes | None
    to: MessageId
    correlation_id: MessageId
    content_type: bytes | None
    content_encoding: bytes | None
    absolute_expiry_time: int | None
    creation_time: int | None


class UamqpMessage(Protocol):
    """What is used of a received ``uamqp.Message``."""

    properties: UamqpProperties | None
    application_properties: Mapping[object, object] | None
    annotations: Mapping[object, object] | None
    data: Iterable[bytes] | None
    value: object
    delivery_tag: bytes | None

    def accept(self) -> bool:
        """Settle as accepted."""
        ...

    def reject(self) -> bool:
        """Settle as rejected."""
        ...

    def release(self) -> bool:
        """Settle as released."""
        ...


def wire_form(message: UamqpMessage) -> bytes:
    """Return a received message in AMQP's encoding, to be read by the rules of the transport ``amqp``.

    uamqp itself cannot give it: its encoder loses the descriptor of the annotations and refuses a user id.
    """
    annotations: dict[str, object] = {_name(key): value for key, value in (message.annotations or {}).items()}
    application = {_name(key): _text(value) for key, value in (message.application_properties or {}).items()}
    data = message.data
    return amqp.encode_message(
        amqp.AmqpMessage(
            message_annotations=annotations or None,
            properties=None if message.properties is None else _properties(message.properties),
            application_properties=application or None,
            data=None if data is None else b"".join(data),
            value=None if data is not None else message.value,
            has_value=data is None,
        )
    )


def _properties(properties: UamqpProperties) -> amqp.Properties:
    return amqp.Properties(
        message_id=_id(properties.message_id),
        user_id=properties.user_id,
        to=None if properties.to is None else _name(properties.to),
        correlation_id=_id(properties.correlation_id),
        content_type=_symbol(properties.content_type),
        content_encoding=_symbol(properties.content_encoding),
        absolute_expiry_time=_timestamp(properties.absolute_expiry_time),
        creation_time=_timestamp(properties.creation_time),
    )


def _text(value: object) -> object:
    # uamqp has bytes for a text and for binary data alike.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _name(value: object) -> str:
    return str(_text(value))


def _id(value: MessageId) -> int | UUID | str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _symbol(value: bytes | None) -> amqp.Symbol | None:
    return None if value is None else amqp.Symbol(value.decode("ascii", "replace"))


def _timestamp(milliseconds: int | None) -> amqp.Timestamp | None:
    return None if milliseconds is None else amqp.Timestamp(milliseconds)


def make_message(uamqp: ModuleType, message: Message) -> object:
    """Return a ``uamqp.Message`` to send."""
    application: dict[str, str | None] = dict(message.properties)
    if message.ack is not None:
        application[ACK] = message.ack.value
    properties = uamqp.message.MessageProperties(
        message_id=message.message_id,
        user_id=message.user_id,
        to=message.to,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        absolute_expiry_time=_milliseconds(message.expires_at),
        creation_time=_milliseconds(message.created_at),
    )
    return uamqp.Message(
        message.body,
        properties=properties,
        application_properties=application or None,
        body_type=uamqp.constants.MessageBodyType.Data,
    )


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
