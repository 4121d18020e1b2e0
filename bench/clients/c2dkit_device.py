"""c2dkit: the public ``DeviceReceiver``; ``complete()`` in one task or in several that share the receiver."""

from __future__ import annotations

import asyncio
import ssl

from bench.clients._settings import Settings, measure_idle, read_settings
from c2dkit import DeviceReceiver
from c2dkit._receiver import DEFAULT_PREFETCH


async def work(receiver: DeviceReceiver[object]) -> None:
    async for message in receiver:
        await message.complete()


async def main(settings: Settings) -> None:
    context = ssl.create_default_context(cafile=settings.ca_file)
    receivers = []

    async def connect(device_id: str) -> None:
        receiver = DeviceReceiver.from_connection_string(
            settings.connection_string(device_id),
            transport=settings.transport,
            ssl_context=context,
            prefetch=settings.credit or DEFAULT_PREFETCH,
        )
        receivers.append(await receiver.__aenter__())

    if settings.idle:
        await measure_idle(settings, connect)
        return
    await connect("dev-1")
    async with asyncio.TaskGroup() as workers:
        for _ in range(settings.workers):
            workers.create_task(work(receivers[0]))


asyncio.run(main(read_settings()))
