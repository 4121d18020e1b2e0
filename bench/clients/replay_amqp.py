"""The floor for AMQP: read the bytes, accept by range as many frames as they must be, decode nothing."""

from __future__ import annotations

import asyncio
import ssl

import anyio

from bench.clients._settings import Settings, measure_idle, read_settings
from c2dkit._protocols import amqp

HEADER = b"AMQP\x00\x01\x00\x00"
WINDOW = 0x7FFFFFFF


def flow(received: int, credit: int) -> bytes:
    """Return a FLOW that grants the whole credit again."""
    return amqp.encode_frame(
        0,
        amqp.Flow(
            next_incoming_id=received,
            incoming_window=WINDOW,
            next_outgoing_id=0,
            outgoing_window=WINDOW,
            handle=0,
            delivery_count=received,
            link_credit=credit,
        ),
    )


def accepted(first: int, last: int) -> bytes:
    """Return a DISPOSITION of a range of deliveries."""
    return amqp.encode_frame(
        0, amqp.Disposition(role=True, first=first, last=last, settled=True, state=amqp.Accepted())
    )


def handshake(device_id: str) -> bytes:
    """Return everything up to the attach of the device's link; nothing needs an answer first."""
    source = amqp.Source(address=f"/devices/{device_id}/messages/devicebound")
    return HEADER + b"".join(
        amqp.encode_frame(0, performative)
        for performative in (
            amqp.Open(container_id=device_id),
            amqp.Begin(remote_channel=None, next_outgoing_id=0, incoming_window=WINDOW, outgoing_window=WINDOW),
            amqp.Attach(name="device", handle=0, role=True, source=source, target=amqp.Target()),
        )
    )


async def read_attach(stream: anyio.abc.ByteStream) -> None:
    """Read the peer's header, OPEN, BEGIN and ATTACH."""
    data = b""
    frames: list[amqp.Frame] = []
    while len(frames) < 3:
        data += await stream.receive(65536)
        frames = amqp.FrameDecoder(1 << 20).feed(data.removeprefix(HEADER)) if len(data) > len(HEADER) else []


async def flood(stream: anyio.abc.ByteStream, credit: int) -> None:
    await stream.send(flow(0, credit))
    data = await stream.receive(65536)
    size = int.from_bytes(data[:4], "big")
    received = len(data)
    acknowledged = 0
    while True:
        count = received // size
        if count > acknowledged:
            await stream.send(accepted(acknowledged, count - 1) + flow(count, credit))
            acknowledged = count
        received += len(await stream.receive(65536))


async def main(settings: Settings) -> None:
    context = ssl.create_default_context(cafile=settings.ca_file)
    streams = []

    async def connect(device_id: str) -> None:
        stream = await anyio.connect_tcp(
            settings.host, settings.port, ssl_context=context, tls_hostname=settings.host, tls_standard_compatible=False
        )
        streams.append(stream)
        await stream.send(handshake(device_id))
        await read_attach(stream)

    if settings.idle:
        await measure_idle(settings, connect)
    else:
        await connect("dev-1")
        await flood(streams[0], settings.credit)


asyncio.run(main(read_settings()))
