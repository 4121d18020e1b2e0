"""A back end on PyPI's uamqp, over the transport that the first argument names."""

from __future__ import annotations

import base64

from uamqp.constants import MessageBodyType
from uamqp.errors import ClientMessageError
from uamqp.message import Message, MessageProperties

from tests.certify.drivers._lines import Fields, serve
from tests.certify.drivers.sdk._records import Records
from tests.certify.drivers.sdk._uamqp_clients import Clients, device_path, take
from tests.certify.drivers.sdk._uamqp_errors import name_of

SEND = "/messages/devicebound"
FEEDBACK = "/messages/serviceBound/feedback"

back_ends: dict[str, Clients] = {}
records = Records()


def connect(step: Fields) -> None:
    back_ends[step["client"]] = Clients(step)
    back_ends[step["client"]].sender(SEND)


def send(step: Fields) -> None:
    fields = step["message"]
    ack = {"iothub-ack": fields["ack"]} if "ack" in fields else {}
    message = Message(
        base64.b64decode(fields["body"]),
        properties=MessageProperties(
            message_id=fields.get("message_id"),
            correlation_id=fields.get("correlation_id"),
            user_id=fields.get("user_id"),
            to=device_path(step["device_id"]),
            content_type=fields.get("content_type"),
            content_encoding=fields.get("content_encoding"),
            absolute_expiry_time=fields.get("expires_at_ms"),
        ),
        application_properties=fields.get("properties", {}) | ack,
        body_type=MessageBodyType.Data,
    )
    try:
        back_ends[step["client"]].sender(SEND).send_message(message)
    except ClientMessageError as error:
        (why,) = error.info["failed_messages"].values()
        raise why from error


def feedback(step: Fields) -> Fields:
    return records.take(step["device_id"], lambda: batch(step))


def batch(step: Fields) -> bytes:
    receiver = back_ends[step["client"]].receiver(FEEDBACK)
    message = take(receiver)
    message.accept()
    receiver.do_work()
    return b"".join(message.get_data())


def close(step: Fields) -> None:
    back_ends.pop(step["client"]).close()


def reset(_: Fields) -> None:
    for client in list(back_ends):
        close({"client": client})


serve(
    ["uamqp"],
    {
        "connect": connect,
        "refused": connect,
        "send": send,
        "feedback": feedback,
        "close": close,
        "reset": reset,
    },
    name_of=name_of,
)
