"""uamqp: its asyncio receive client with CBS and ``Message.accept``."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

from uamqp import ReceiveClientAsync, authentication  # type: ignore[import-not-found,import-untyped,unused-ignore]

from bench.clients._settings import Settings, measure_idle, read_settings


def receive_client(settings: Settings, device_id: str) -> ReceiveClientAsync:
    resource = f"{settings.host}/devices/{device_id}"
    expiry = int(time.time()) + 3600
    auth = authentication.SASTokenAsync(
        resource,
        f"amqps://{settings.host}:{settings.port}",
        f"SharedAccessSignature sr={quote(resource, safe='')}&sig=c2ln&se={expiry}",
        expires_at=expiry,
        port=settings.port,
        verify=settings.ca_file,
    )
    source = f"amqps://{settings.host}:{settings.port}/devices/{device_id}/messages/devicebound"
    return ReceiveClientAsync(source, auth=auth, prefetch=settings.credit or None, auto_complete=False)


async def main(settings: Settings) -> None:
    clients = []

    async def connect(device_id: str) -> None:
        client = receive_client(settings, device_id)
        await client.open_async()
        while not await client.client_ready_async():
            pass
        clients.append(client)

    if settings.idle:
        await measure_idle(settings, connect)
    else:
        await receive_client(settings, "dev-1").receive_messages_async(lambda message: message.accept())


asyncio.run(main(read_settings()))
