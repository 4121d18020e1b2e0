"""Qpid Proton's protocol engine, driven from asyncio; TLS is Python's own, as for c2dkit."""

from __future__ import annotations

import asyncio
import ssl

import anyio
from proton import Collector, Connection, Delivery, Event, Message, Transport  # type: ignore[import-not-found,import-untyped,unused-ignore]

from bench.clients._settings import Settings, measure_idle, read_settings


class Receiver:
    """One connection, one session, one receive link."""

    def __init__(self, stream: anyio.abc.ByteStream, device_id: str, credit: int) -> None:
        self._stream = stream
        self._collector = Collector()
        self._connection = Connection()
        self._connection.collect(self._collector)
        self._transport = Transport()
        self._transport.bind(self._connection)
        self._message = Message()
        self._connection.open()
        session = self._connection.session()
        session.open()
        self._link = session.receiver("device")
        self._link.source.address = f"/devices/{device_id}/messages/devicebound"
        self._link.open()
        self._credit = credit
        self._link.flow(credit)

    async def run(self, attached: asyncio.Event) -> None:
        """Receive, decode and accept without end."""
        while True:
            self._handle_events(attached)
            while (pending := self._transport.pending()) > 0:
                await self._stream.send(self._transport.peek(pending))
                self._transport.pop(pending)
            self._push(await self._stream.receive(65536), attached)

    def _push(self, data: bytes, attached: asyncio.Event) -> None:
        while data:
            room = self._transport.capacity()
            self._transport.push(data[:room])
            data = data[room:]
            if data:
                self._handle_events(attached)

    def _handle_events(self, attached: asyncio.Event) -> None:
        while (event := self._collector.peek()) is not None:
            if event.type == Event.DELIVERY:
                self._accept(event.delivery)
            elif event.type == Event.LINK_REMOTE_OPEN:
                attached.set()
            self._collector.pop()
        if self._link.credit < self._credit // 2:
            self._link.flow(self._credit - self._link.credit)

    def _accept(self, delivery: Delivery) -> None:
        if not delivery.readable or delivery.partial:
            return
        self._message.clear()
        self._message.decode(self._link.recv(delivery.pending))
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()


async def main(settings: Settings) -> None:
    context = ssl.create_default_context(cafile=settings.ca_file)
    tasks = []

    async def connect(device_id: str) -> None:
        stream = await anyio.connect_tcp(
            settings.host, settings.port, ssl_context=context, tls_hostname=settings.host, tls_standard_compatible=False
        )
        attached = asyncio.Event()
        tasks.append(asyncio.create_task(Receiver(stream, device_id, settings.credit).run(attached)))
        await attached.wait()

    if settings.idle:
        await measure_idle(settings, connect)
    else:
        await connect("dev-1")
        await tasks[0]


asyncio.run(main(read_settings()))
