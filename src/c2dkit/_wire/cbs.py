"""How a token is put on an AMQP connection: claims-based security, the requests and responses of the ``$cbs`` node.

Source: OASIS "AMQP Claims-based Security" working draft 1; IoT Hub developer guide, "AMQP support", "Connect and
authenticate (service client)".
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from c2dkit._protocols import amqp
from c2dkit._wire.amqp import CBS_ADDRESS

__all__ = [
    "BEARER_TOKEN_TYPE",
    "SAS_TOKEN_TYPE",
    "TOKEN_TYPES",
    "PutToken",
    "TokenAnswer",
    "decode_answer",
    "decode_put_token",
    "encode_answer",
    "encode_put_token",
]

MessageId = int | UUID | bytes | str | None
SAS_TOKEN_TYPE: Final = "servicebus.windows.net:sastoken"  # noqa: S105 - a type's name
BEARER_TOKEN_TYPE: Final = "bearer"  # noqa: S105 - a type's name
"""Of a token of Entra ID, as .NET and Python write it; Node writes the type of a signature."""
TOKEN_TYPES: Final = {"sas": SAS_TOKEN_TYPE, "bearer": BEARER_TOKEN_TYPE}
"""By the kind of a token."""


class PutToken(NamedTuple):
    """A request to put a token.

    Attributes:
        message_id: The requester's id, of whatever AMQP type it chose; the answer must carry it unchanged.
        audience: What the token is for, as the requester writes it. SDKs differ, so nothing may depend on it.
        token: The token's text; one of Entra ID has ``Bearer`` before it.
        token_type: What kind of token it is, as the requester writes it. SDKs differ here too.
    """

    message_id: MessageId
    audience: str
    token: str
    token_type: str = SAS_TOKEN_TYPE

    def __repr__(self) -> str:
        return f"PutToken(message_id={self.message_id!r}, audience={self.audience!r})"


class TokenAnswer(NamedTuple):
    """The answer to a request: an HTTP status code and a text."""

    correlation_id: MessageId
    status_code: int
    description: str


def encode_put_token(request: PutToken) -> bytes:
    """Spell a request; the token is an amqp-value string."""
    return amqp.encode_message(
        amqp.AmqpMessage(
            properties=amqp.Properties(message_id=request.message_id, to=CBS_ADDRESS, reply_to="cbs"),
            application_properties={"operation": "put-token", "type": request.token_type, "name": request.audience},
            value=request.token,
            has_value=True,
        )
    )


def decode_put_token(payload: bytes) -> PutToken:
    """Read a request.

    Raises:
        AmqpProtocolError: It cannot be decoded.
        ValueError: It is not a put-token request with a text for its body.
    """
    message = amqp.decode_message(payload)
    properties = message.application_properties or {}
    token = message.value
    if properties.get("operation") != "put-token" or not isinstance(token, str):
        raise ValueError("not a put-token request")
    message_id = message.properties.message_id if message.properties else None
    return PutToken(message_id, str(properties.get("name")), token, str(properties.get("type")))


def encode_answer(answer: TokenAnswer) -> bytes:
    """Spell an answer so that every SDK takes it.

    uamqp reads the status code only as an AMQP int, Node compares the correlation id with its type, and .NET looks
    the description up without a guard.
    """
    return amqp.encode_message(
        amqp.AmqpMessage(
            properties=amqp.Properties(correlation_id=answer.correlation_id),
            application_properties={
                "status-code": amqp.Int(answer.status_code),
                "status-description": answer.description,
            },
            value=None,
            has_value=True,
        )
    )


def decode_answer(payload: bytes) -> TokenAnswer:
    """Read an answer.

    Raises:
        AmqpProtocolError: It cannot be decoded.
        ValueError: It has no status code.
    """
    message = amqp.decode_message(payload)
    properties = message.application_properties or {}
    status = properties.get("status-code")
    if not isinstance(status, int):
        raise ValueError("the answer to put-token has no status code")  # noqa: TRY004 - the peer's data, not a type
    correlation_id = message.properties.correlation_id if message.properties else None
    return TokenAnswer(correlation_id, int(status), str(properties.get("status-description") or ""))
