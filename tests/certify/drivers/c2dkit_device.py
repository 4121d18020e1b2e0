"""The reference device, on c2dkit's own receiver, over the transport that the first argument names."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio

from c2dkit import C2dError, DeviceCredential, DeviceReceiver, RetryPolicy
from c2dkit.transports import AmqpDeviceTransport, HttpsDeviceTransport, MqttDeviceTransport, PollingInterval
from tests.certify.drivers._reference import Reference, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from c2dkit import ReceivedMessage
    from c2dkit.transports import DeviceTransport
    from tests.certify.drivers._lines import Fields

TRANSPORTS: Mapping[str, Callable[..., DeviceTransport]] = {
    "AMQP": AmqpDeviceTransport,
    "AMQP-WS": partial(AmqpDeviceTransport, websocket=True),
    "MQTT": MqttDeviceTransport,
    "MQTT-WS": partial(MqttDeviceTransport, websocket=True),
    "HTTPS": partial(HttpsDeviceTransport, polling=PollingInterval.every(timedelta(milliseconds=10))),
}
PREFETCH = 50
TEXT_FIELDS = ("message_id", "correlation_id", "user_id", "to", "content_type", "content_encoding", "ack")


class ReferenceDevice(Reference):
    """Devices by the names that the steps give them, and what they hold."""

    def __init__(self, transport: str, ca_file: str | Path) -> None:
        super().__init__(transport, ca_file)
        self._receivers: dict[str, DeviceReceiver[bytes]] = {}
        self._held: list[ReceivedMessage[bytes]] = []

    async def do_connect(self, step: Fields) -> None:
        receiver = DeviceReceiver(self._make(step), payload_type=bytes, prefetch=PREFETCH, retry=RetryPolicy.none())
        self._receivers[step["client"]] = await receiver.__aenter__()

    async def do_refused(self, step: Fields) -> None:
        await self.do_connect(step)
        await anext(self._receivers[step["client"]])  # HTTPS signs in with each request

    async def do_receive(self, step: Fields) -> Fields:
        message = await anext(self._receivers[step["client"]])
        self._held.append(message)
        return {**message_fields(message), "number": len(self._held) - 1}

    async def do_complete(self, step: Fields) -> None:
        await self._message(step).complete()

    async def do_abandon(self, step: Fields) -> None:
        await self._message(step).abandon()

    async def do_reject(self, step: Fields) -> None:
        await self._message(step).reject()

    async def do_lost(self, step: Fields) -> None:
        try:
            await anext(self._receivers[step["client"]])
        except C2dError:
            return

    async def do_close(self, step: Fields) -> None:
        await self._receivers.pop(step["client"]).__aexit__(None, None, None)

    async def do_reset(self, _: Fields) -> None:
        for client in list(self._receivers):
            await self.do_close({"client": client})

    def _message(self, step: Fields) -> ReceivedMessage[bytes]:
        number: int = step["number"]
        return self._held[number]

    def _make(self, step: Fields) -> DeviceTransport:
        context = self.trust()
        if certificate := step.get("certificate"):
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(certificate)
                file.flush()
                context.load_cert_chain(file.name)
        credential = DeviceCredential.from_connection_string(step["connection_string"])
        return TRANSPORTS[self.transport](credential, ssl_context=context)


def message_fields(message: ReceivedMessage[bytes]) -> Fields:
    return {
        "body": base64.b64encode(message.body).decode(),
        **{name: getattr(message, name) for name in TEXT_FIELDS},
        "expires_at": text(message.expires_at),
        "properties": dict(message.properties),
        "sequence_number": message.sequence_number,
        "delivery_count": message.delivery_count,
        "enqueued_at": text(message.enqueued_at),
    }


if __name__ == "__main__":
    anyio.run(ReferenceDevice(sys.argv[1], os.environ["CERTIFY_CA_FILE"]).serve)
