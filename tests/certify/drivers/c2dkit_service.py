"""The reference back end, on c2dkit's own sender and feedback stream, over the transport that the first argument names."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from c2dkit import CloudSender, EntraCredential, FeedbackStream, RetryPolicy, ServiceCredential
from c2dkit.transports import AmqpServiceTransport
from tests.certify.drivers._reference import Reference, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from c2dkit import FeedbackRecord
    from tests.certify.drivers._lines import Fields

TRANSPORTS: Mapping[str, Callable[..., AmqpServiceTransport]] = {
    "AMQP": AmqpServiceTransport,
    "AMQP-WS": partial(AmqpServiceTransport, websocket=True),
}


class BackEnd(NamedTuple):
    """One back end, and what ends with it."""

    transport: AmqpServiceTransport
    stack: AsyncExitStack
    sender: CloudSender


class ReferenceService(Reference):
    """Back ends by the names that the steps give them."""

    def __init__(self, transport: str, ca_file: str | Path) -> None:
        super().__init__(transport, ca_file)
        self._back_ends: dict[str, BackEnd] = {}
        self._feedback: dict[str, FeedbackStream] = {}

    async def do_connect(self, step: Fields) -> None:
        transport = TRANSPORTS[self.transport](credential_of(step), ssl_context=self.trust())
        stack = AsyncExitStack()
        sender = await stack.enter_async_context(CloudSender(transport, retry=RetryPolicy.none()))
        self._back_ends[step["client"]] = BackEnd(transport, stack, sender)

    do_refused = do_connect

    async def do_send(self, step: Fields) -> None:
        fields = dict(step["message"])
        fields.pop("expires_at_ms", None)
        body, expires_at = base64.b64decode(fields.pop("body")), fields.pop("expires_at", None)
        moment = None if expires_at is None else datetime.fromisoformat(expires_at).astimezone(UTC)
        sender = self._back_ends[step["client"]].sender
        await sender.send(step["device_id"], body, expires_at=moment, **fields)

    async def do_feedback(self, step: Fields) -> Fields:
        client = step["client"]
        if client not in self._feedback:
            back_end = self._back_ends[client]
            stream = FeedbackStream(back_end.transport, retry=RetryPolicy.none())
            self._feedback[client] = await back_end.stack.enter_async_context(stream)
        while True:
            record = await anext(self._feedback[client])
            if record.device_id == step["device_id"]:
                return record_fields(record)

    async def do_purge(self, step: Fields) -> Fields:
        return {"purged": await self._back_ends[step["client"]].sender.purge(step["device_id"])}

    async def do_close(self, step: Fields) -> None:
        self._feedback.pop(step["client"], None)
        await self._back_ends.pop(step["client"]).stack.aclose()

    async def do_reset(self, _: Fields) -> None:
        for client in list(self._back_ends):
            await self.do_close({"client": client})


class AccessToken(NamedTuple):
    token: str
    expires_on: int


class Entra:
    """Gives the token that the runner has made."""

    def __init__(self, token: Fields) -> None:
        self._token = AccessToken(token["token"], token["expires_at"])

    async def get_token(self, *_: str) -> AccessToken:
        return self._token


def credential_of(step: Fields) -> ServiceCredential | EntraCredential:
    if token := step.get("entra_token"):
        return EntraCredential(host_name=step["host"], port=step["port"], token_credential=Entra(token))
    return ServiceCredential.from_connection_string(step["connection_string"])


def record_fields(record: FeedbackRecord) -> Fields:
    return {
        "original_message_id": record.original_message_id,
        "device_id": record.device_id,
        "generation_id": record.device_generation_id,
        "status": record.status.value,
        "description": record.description,
        "enqueued_at": text(record.enqueued_at),
    }


if __name__ == "__main__":
    anyio.run(ReferenceService(sys.argv[1], os.environ["CERTIFY_CA_FILE"]).serve)
