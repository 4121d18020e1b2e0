"""azure-iot-device: ``on_message_received``. It acknowledges by itself, after the handler was told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from azure.iot.device.aio import IoTHubDeviceClient  # type: ignore[import-not-found,import-untyped,unused-ignore]

from bench.clients._settings import Settings, measure_idle, read_settings


async def main(settings: Settings) -> None:
    ca_pem = await asyncio.to_thread(Path(settings.ca_file).read_text)
    clients = []

    def on_message(_message: object) -> None:
        """Do nothing: the library has read the message."""

    async def connect(device_id: str = "dev-1") -> None:
        client = IoTHubDeviceClient.create_from_connection_string(
            settings.connection_string(device_id, port=False), server_verification_cert=ca_pem
        )
        clients.append(client)
        await client.connect()
        client.on_message_received = on_message

    if settings.idle:
        await measure_idle(settings, connect)
    else:
        await connect()
        await asyncio.Event().wait()


asyncio.run(main(read_settings()))
