"""A device on PyPI's uamqp, over the transport that the first argument names."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from typing import Any

from uamqp import errors
from uamqp.message import Message, MessageProperties

from tests.certify.drivers._lines import Fields, serve
from tests.certify.drivers.sdk._uamqp_clients import PAUSE, Clients, device_path, take
from tests.certify.drivers.sdk._uamqp_errors import name_of

devices: dict[str, Clients] = {}
held: list[Message] = []


def receiver(step: Fields) -> Any:
    clients = devices[step["client"]]
    return clients.receiver(device_path(clients.device_id))


def connect(step: Fields) -> None:
    devices[step["client"]] = Clients(step)
    receiver(step)


def receive(step: Fields) -> Fields:
    message = take(receiver(step))
    held.append(message)
    return fields(message) | {"number": len(held) - 1}


def fields(message: Message) -> Fields:
    properties = message.properties or MessageProperties()
    application = {text(key): text(value) for key, value in (message.application_properties or {}).items()}
    annotations = {text(key): value for key, value in (message.annotations or {}).items()}
    return {
        "body": base64.b64encode(b"".join(message.get_data())).decode(),
        "message_id": text(properties.message_id),
        "correlation_id": text(properties.correlation_id),
        "user_id": text(properties.user_id),
        "to": text(properties.to),
        "content_type": text(properties.content_type),
        "content_encoding": text(properties.content_encoding),
        "ack": application.pop("iothub-ack", None),
        "expires_at": moment(properties.absolute_expiry_time),
        "properties": application,
        "sequence_number": annotations.get("x-opt-sequence-number"),
        "delivery_count": annotations.get("iothub-deliverycount"),
        "enqueued_at": moment(annotations.get("iothub-enqueuedtime")),
    }


def text(value: object) -> str | None:
    """uamqp has bytes for a text."""
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def moment(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def settle(step: Fields) -> None:
    message = held[step["number"]]
    {"complete": message.accept, "abandon": message.release, "reject": message.reject}[step["do"]]()
    receiver(step).do_work()


def lost(step: Fields) -> None:
    """Work until uamqp says that the link or the connection has ended."""
    try:
        while receiver(step).do_work():
            time.sleep(PAUSE)
    except errors.AMQPError:
        return


def renewed(step: Fields) -> None:
    signer = devices[step["client"]].signer
    before = signer.count
    while signer.count == before:
        receiver(step).do_work()
        time.sleep(PAUSE)


def close(step: Fields) -> None:
    devices.pop(step["client"]).close()


def reset(_: Fields) -> None:
    for client in list(devices):
        close({"client": client})


serve(
    ["uamqp"],
    {
        "connect": connect,
        "refused": connect,
        "receive": receive,
        **dict.fromkeys(("complete", "abandon", "reject"), settle),
        "lost": lost,
        "renewed": renewed,
        "close": close,
        "reset": reset,
    },
    name_of=name_of,
)
