"""AMQP and MQTT through WebSockets, spoken to by aiohttp's client and the clients' engines."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

import aiohttp
import anyio
import pytest

from c2dkit._models import Message
from c2dkit._protocols import amqp, mqtt
from c2dkit._rules.credentials import DeviceCredential
from c2dkit._wire.amqp import decode_message, device_address
from c2dkit._wire.mqtt import subscription, username
from c2dkit.hub import LocalHub
from c2dkit.hub import _websocket as websockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

EventT = TypeVar("EventT")

DEVICE = "dev-1"
PATH = "/$iothub/websocket"


class Engine(Protocol):
    def receive_data(self, data: bytes) -> Sequence[object]: ...
    def data_to_send(self) -> bytes: ...


class Client:
    """An engine over a WebSocket; the test reads for it."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, engine: Engine) -> None:
        self._websocket = websocket
        self._engine = engine
        self._events: list[object] = []

    async def send(self, *, size: int | None = None) -> None:
        """Send what the engine has to say, in one message or in messages of a size."""
        data = self._engine.data_to_send()
        size = size or len(data)
        for start in range(0, len(data), size):
            await self._websocket.send_bytes(data[start : start + size])

    async def next(self, kind: type[EventT], *, skip: type[object] | tuple[type[object], ...] = ()) -> EventT:
        while True:
            while not self._events:
                self._events.extend(self._engine.receive_data(await self._websocket.receive_bytes()))
                if data := self._engine.data_to_send():
                    await self._websocket.send_bytes(data)
            event = self._events.pop(0)
            if isinstance(event, kind):
                return event
            assert isinstance(event, skip), event


def credential(hub: LocalHub) -> DeviceCredential:
    return DeviceCredential.from_connection_string(hub.device_connection_string(DEVICE))


def send(hub: LocalHub, *bodies: bytes) -> None:
    for body in bodies:
        hub._state.send(Message(body, to=f"/devices/{DEVICE}/messages/devicebound"))


@asynccontextmanager
async def session(hub: LocalHub) -> AsyncGenerator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=hub.ssl_context())
    with anyio.fail_after(20):
        async with aiohttp.ClientSession(f"https://localhost:{hub.port}", connector=connector) as each:
            yield each


@asynccontextmanager
async def websocket(
    hub: LocalHub, *protocols: str, path: str = PATH, compress: int = 0
) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
    async with (
        session(hub) as each,
        each.ws_connect(path, protocols=protocols, compress=compress, autoping=False) as opened,
    ):
        yield opened


async def mqtt_client(
    hub: LocalHub, opened: aiohttp.ClientWebSocketResponse, *, password: bytes | None = None, size: int | None = None
) -> tuple[mqtt.MqttClient, Client, mqtt.ConnackReceived]:
    device = credential(hub)
    engine = mqtt.MqttClient()
    client = Client(opened, engine)
    engine.connect(
        client_id=DEVICE,
        username=username(device.host_name, DEVICE),
        password=password or device.token(datetime.now(UTC)).text.encode(),
        clean_session=True,
    )
    await client.send(size=size)
    return engine, client, await client.next(mqtt.ConnackReceived)


async def subscribed(
    hub: LocalHub, opened: aiohttp.ClientWebSocketResponse, *, size: int | None = None
) -> tuple[mqtt.MqttClient, Client]:
    engine, client, answer = await mqtt_client(hub, opened, size=size)
    assert answer.return_code == 0
    engine.subscribe([(subscription(DEVICE), 1)])
    await client.send(size=size)
    await client.next(mqtt.SubackReceived)
    return engine, client


async def is_closed(opened: aiohttp.ClientWebSocketResponse) -> int | None:
    """Return the close code once the hub has closed the WebSocket; data may come before."""
    async for _ in opened:
        pass
    return opened.close_code


async def is_empty(hub: LocalHub) -> None:
    """Wait until no client is connected."""
    with anyio.fail_after(20):
        while hub.connection_count:
            await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize(
    ("path", "protocols", "chosen"),
    [
        (PATH, ["mqtt"], "mqtt"),
        (f"{PATH}/", ["MQTT"], "MQTT"),
        ("/$servicebus/websocket", ["nonsense", "Mqtt"], "Mqtt"),
        ("/$IoTHub/WebSocket?iothub-no-client-cert=true", ["mqtt", "AMQPWSB10"], "mqtt"),
        ("/%24iothub/websocket", ["MQTT"], "MQTT"),
    ],
)
async def test_mqtt_comes_through(path: str, protocols: list[str], chosen: str) -> None:
    async with LocalHub() as hub, websocket(hub, *protocols, path=path) as opened:
        assert opened.protocol == chosen
        engine, client = await subscribed(hub, opened)
        send(hub, b"m1")
        event = await client.next(mqtt.PublishReceived)
        assert (event.payload, event.packet_id is None) == (b"m1", False)
        engine.acknowledge(event.packet_id or 0)
        engine.unsubscribe(["nothing"])
        await client.send()
        await client.next(mqtt.UnsubackReceived)
        assert hub.queue_depth(DEVICE) == 0


async def test_a_packet_may_be_spread_over_messages() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        await opened.send_bytes(b"")
        await subscribed(hub, opened, size=1)


@pytest.mark.parametrize("path", [PATH, "/$servicebus/websocket/"])
@pytest.mark.parametrize("protocol", ["AMQPWSB10", "amqpwsb10"])
async def test_amqp_comes_through(path: str, protocol: str) -> None:
    async with LocalHub() as hub, websocket(hub, protocol, path=path) as opened:
        assert opened.protocol == protocol
        token = credential(hub).token(datetime.now(UTC)).text
        engine = amqp.Connection(container_id="test", sasl=amqp.plain(f"{DEVICE}@sas.localhost", token))
        client = Client(opened, engine)
        engine.open()
        session = engine.begin()
        await client.send()
        await client.next(amqp.SessionBegun, skip=amqp.Opened)
        link = session.attach_receiver("link", source=amqp.Source(address=device_address(DEVICE)), target=amqp.Target())
        await client.send()
        await client.next(amqp.LinkAttached)
        link.flow(10)
        send(hub, b"m1")
        await client.send()
        event = await client.next(amqp.TransferReceived)
        assert decode_message(event.payload).body == b"m1"
        link.settle(event.delivery_id, amqp.Accepted(), settled=False)
        await client.send()
        await client.next(amqp.DeliveryUpdated)
        assert hub.queue_depth(DEVICE) == 0
        engine.close()
        await client.send()
        assert await is_closed(opened) == aiohttp.WSCloseCode.OK


async def test_a_certificate_shown_outside_holds_inside(tmp_path: Path) -> None:
    async with LocalHub(devices=[]) as hub:
        hub.add_device(DEVICE, ca_signed=True)
        pem = tmp_path / "dev-1.pem"
        pem.write_bytes(hub.issue_certificate(DEVICE))
        context = hub.ssl_context()
        context.load_cert_chain(pem)
        connector = aiohttp.TCPConnector(ssl=context)
        with anyio.fail_after(20):
            async with (
                aiohttp.ClientSession(f"https://localhost:{hub.port}", connector=connector) as session,
                session.ws_connect(PATH, protocols=["mqtt"]) as opened,
            ):
                engine = mqtt.MqttClient()
                client = Client(opened, engine)
                engine.connect(client_id=DEVICE, username=username("localhost", DEVICE))
                await client.send()
                assert (await client.next(mqtt.ConnackReceived)).return_code == 0


async def test_compression_is_not_taken_up() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt", compress=15) as opened:
        assert opened.compress == 0
        await subscribed(hub, opened)


async def test_a_ping_is_answered() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        await opened.ping(b"are you there")
        message = await opened.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"are you there")


async def test_text_is_refused() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        await opened.send_str("CONNECT")
        assert await is_closed(opened) == aiohttp.WSCloseCode.UNSUPPORTED_DATA


async def test_a_message_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets, "MAX_MESSAGE_BYTES", 1000)
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        await opened.send_bytes(b"\x10\xff\x7f" + bytes(2000))
        assert await is_closed(opened) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_nonsense_inside_is_closed() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        await opened.send_bytes(b"\x00" * 10)
        assert await is_closed(opened) == aiohttp.WSCloseCode.OK
        await is_empty(hub)


async def test_the_hub_sends_messages_of_a_bounded_size() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        bodies = [bytes([number]) * 60_000 for number in range(5)]
        send(hub, *bodies)
        _, client = await subscribed(hub, opened)
        largest = 0
        receive_bytes = opened.receive_bytes

        async def measure() -> bytes:
            nonlocal largest
            data = await receive_bytes()
            largest = max(largest, len(data))
            return data

        opened.receive_bytes = measure  # type: ignore[method-assign,assignment]
        assert [(await client.next(mqtt.PublishReceived)).payload for _ in bodies] == bodies
        assert largest <= websockets.SEND_BYTES


async def test_a_refusal_arrives_before_the_end() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        _, _, answer = await mqtt_client(hub, opened, password=b"wrong")
        assert answer.return_code == 5
        assert await is_closed(opened) == aiohttp.WSCloseCode.OK


@pytest.mark.parametrize("protocols", [[], ["nonsense"]])
async def test_a_known_subprotocol_must_be_offered(protocols: list[str]) -> None:
    async with LocalHub() as hub:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with websocket(hub, *protocols):
                pass
        assert caught.value.status == 400


async def test_the_address_of_websockets_serves_nothing_else() -> None:
    async with LocalHub() as hub, session(hub) as each:
        async with each.get(PATH, headers={"Sec-WebSocket-Protocol": "mqtt"}) as response:
            assert response.status == 400
        async with each.get("/other/websocket") as response:
            assert response.status == 404


async def test_what_a_lost_connection_held_is_queued_again() -> None:
    async with LocalHub() as hub:
        send(hub, b"m1")
        for _ in range(2):
            async with websocket(hub, "mqtt") as opened:
                _, client = await subscribed(hub, opened)
                assert (await client.next(mqtt.PublishReceived)).payload == b"m1"
                assert hub.connection_count == 1
                await hub.disconnect_all()
                assert hub.connection_count == 0
                assert not hub._state._holders
                assert await is_closed(opened) == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_a_peer_that_closes_is_let_go() -> None:
    async with LocalHub() as hub:
        send(hub, b"m1")
        async with websocket(hub, "mqtt") as opened:
            _, client = await subscribed(hub, opened)
            await client.next(mqtt.PublishReceived)
            await opened.close()
            assert opened.close_code == aiohttp.WSCloseCode.OK
        await is_empty(hub)
        assert not hub._state._holders


async def test_a_peer_counts_until_what_it_held_is_given_back() -> None:
    async with LocalHub() as hub:
        send(hub, b"m1")
        async with websocket(hub, "mqtt") as opened:
            _, client = await subscribed(hub, opened)
            await client.next(mqtt.PublishReceived)
            transport = opened.get_extra_info("socket")
            transport.shutdown(socket.SHUT_RDWR)
            while hub.connection_count:  # noqa: ASYNC110 - turn by turn of the event loop
                await asyncio.sleep(0)
            assert not hub._state._holders


async def test_the_end_of_the_hub_ends_websockets() -> None:
    async with LocalHub() as hub, websocket(hub, "mqtt") as opened:
        await subscribed(hub, opened)
        await hub.__aexit__(None, None, None)
        await is_closed(opened)
