"""The floor for MQTT: read the bytes, answer with the PUBACKs that are due by their number, decode nothing."""

from __future__ import annotations

import asyncio
import ssl

import anyio

from bench.clients._settings import Settings, measure_idle, read_settings

LAP = 60_000
PUBACKS = b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in range(1, LAP + 1)) * 2
CONNACK_AND_SUBACK_SIZE = 4 + 5


def handshake(device_id: str) -> bytes:
    """Return a CONNECT (clean session off, keep-alive 60 s) and a SUBSCRIBE with QoS 1."""
    client_id = device_id.encode()
    topic = f"devices/{device_id}/messages/devicebound/#".encode()
    connect = b"\x00\x04MQTT\x04\x00\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id
    subscribe = b"\x00\x01" + len(topic).to_bytes(2, "big") + topic + b"\x01"
    return b"\x10" + bytes([len(connect)]) + connect + b"\x82" + bytes([len(subscribe)]) + subscribe


def packet_size(start: bytes) -> int:
    """Return the size of the first packet, whose length takes two bytes."""
    return 3 + (start[1] & 0x7F) + (start[2] << 7)


async def flood(stream: anyio.abc.ByteStream) -> None:
    await stream.send(handshake("dev-1"))
    data = b""
    while len(data) < CONNACK_AND_SUBACK_SIZE + 3:
        data += await stream.receive(65536)
    size = packet_size(data[CONNACK_AND_SUBACK_SIZE:])
    received = len(data) - CONNACK_AND_SUBACK_SIZE
    acknowledged = 0
    while True:
        due = received // size - acknowledged
        start = acknowledged % LAP * 4
        acknowledged += due
        if due:
            await stream.send(PUBACKS[start : start + due * 4])
        received += len(await stream.receive(65536))


async def main(settings: Settings) -> None:
    context = ssl.create_default_context(cafile=settings.ca_file)
    streams = []

    async def connect(device_id: str) -> None:
        stream = await anyio.connect_tcp(
            settings.host, settings.port, ssl_context=context, tls_hostname=settings.host, tls_standard_compatible=False
        )
        streams.append(stream)
        if settings.idle:
            await stream.send(handshake(device_id))
            await stream.receive(65536)

    if settings.idle:
        await measure_idle(settings, connect)
    else:
        await connect("dev-1")
        await flood(streams[0])


asyncio.run(main(read_settings()))
