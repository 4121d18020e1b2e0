"""Both roles of the MQTT engine against peers that share no code with it: paho, MQTT.js and mosquitto.

paho-mqtt 1.6.1 has to be importable, C2DKIT_NODE_MODULES has to name a folder whose node_modules holds MQTT.js 4 as
``mqtt4`` and MQTT.js 5 as ``mqtt``, and mosquitto has to be on PATH or in /usr/sbin.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from c2dkit._driver import Driver
from c2dkit._protocols import mqtt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import ByteStream

    from c2dkit._driver import Engine

T = TypeVar("T")
EventT = TypeVar("EventT")

CLIENT_JS = Path(__file__).parent / "mqtt" / "client.js"
LARGE = bytes(100_000)


class Heard(Generic[T]):
    """What came from somewhere, to be awaited one by one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[T] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def put(self, item: T) -> None:
        self._queue.put_nowait(item)

    def put_from_thread(self, item: T) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def next(self) -> T:
        with anyio.fail_after(20):
            return await self._queue.get()

    async def until(self, wanted: Callable[[T], bool]) -> T:
        """Skip everything before what is wanted."""
        with anyio.fail_after(20):
            while not wanted(item := await self._queue.get()):
                pass
            return item


class Peer(Generic[EventT]):
    """c2dkit's end of a connection."""

    def __init__(self, stream: ByteStream, engine: Engine[EventT]) -> None:
        self.events: Heard[EventT] = Heard()
        self.causes: Heard[Exception | None] = Heard()
        self.driver = Driver(stream, engine, handle=self._handle, on_closed=self.causes.put)

    def _handle(self, events: Any) -> None:
        for event in events:
            self.events.put(event)

    async def expect(self, expected: object) -> None:
        assert await self.events.next() == expected

    async def next(self, kind: type[T]) -> T:
        event = await self.events.next()
        assert isinstance(event, kind)
        return event


class Server:
    """c2dkit's server engine on a port of its own, for one client at a time."""

    def __init__(self) -> None:
        self._connections: Heard[tuple[mqtt.MqttServer, Peer[mqtt.ServerEvent]]] = Heard()
        self._peers: list[Peer[mqtt.ServerEvent]] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Server]:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
            serving = asyncio.create_task(listener.serve(self._serve))
            try:
                yield self
            finally:
                for peer in self._peers:
                    await peer.driver.aclose()
                serving.cancel()
                await asyncio.wait([serving])

    async def _serve(self, stream: ByteStream) -> None:
        engine = mqtt.MqttServer()
        peer = Peer(stream, engine)
        peer.driver.start()
        self._peers.append(peer)
        self._connections.put((engine, peer))

    async def accept(self) -> tuple[mqtt.MqttServer, Peer[mqtt.ServerEvent]]:
        return await self._connections.next()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().listening() as server:
        yield server


# paho-mqtt


class Paho:
    """A paho client in its own thread, and what it saw."""

    def __init__(self, client_id: str = "paho", *, clean_session: bool = False) -> None:
        paho = load_paho()
        self.seen: Heard[tuple[object, ...]] = Heard()
        see = self.seen.put_from_thread
        self.client = paho.Client(client_id=client_id, clean_session=clean_session, protocol=paho.MQTTv311)
        self.client.on_connect = lambda _c, _u, flags, code: see(("connect", flags["session present"], code))
        self.client.on_subscribe = lambda _c, _u, mid, granted: see(("subscribe", mid, granted))
        self.client.on_unsubscribe = lambda _c, _u, mid: see(("unsubscribe", mid))
        self.client.on_publish = lambda _c, _u, mid: see(("puback", mid))
        self.client.on_message = lambda _c, _u, m: see(("message", m.topic, m.payload, m.qos, m.retain, m.dup))
        self.client.on_disconnect = lambda _c, _u, code: see(("disconnect", code))
        self.client.on_log = lambda _c, _u, _level, text: see(("log", text))

    async def expect(self, *expected: object) -> None:
        """The next thing seen, apart from what paho logs."""
        assert await self.seen.until(lambda item: item[0] != "log") == expected

    @asynccontextmanager
    async def connecting(self, port: int, *, keepalive: int = 60) -> AsyncIterator[Paho]:
        # connect() writes CONNECT and reads nothing, so it cannot wait for the server, which is on this thread.
        self.client.connect("127.0.0.1", port, keepalive=keepalive)
        self.client.loop_start()
        try:
            yield self
        finally:
            self.client.disconnect()
            await anyio.to_thread.run_sync(self.client.loop_stop)


def load_paho() -> Any:
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError:
        pytest.fail("paho-mqtt is missing: pip install paho-mqtt==1.6.1")


async def test_paho_connects_with_all_that_connect_can_carry(server: Server) -> None:
    stranger = Paho(clean_session=False)
    stranger.client.username_pw_set("hub/paho", "secret")
    stranger.client.will_set("w/paho", b"gone", qos=1, retain=True)
    async with stranger.connecting(server.port, keepalive=100):
        engine, peer = await server.accept()
        will = mqtt.Will("w/paho", b"gone", 1, retain=True)
        await peer.expect(mqtt.ConnectReceived("paho", False, 100, "hub/paho", b"secret", will))
        engine.connack(0, session_present=True)
        peer.driver.wake()
        await stranger.expect("connect", 1, 0)


async def test_paho_with_a_clean_session_is_refused(server: Server) -> None:
    stranger = Paho("", clean_session=True)
    async with stranger.connecting(server.port):
        engine, peer = await server.accept()
        await peer.expect(mqtt.ConnectReceived("", True, 60, None, None, None))
        engine.connack(5)
        peer.driver.finish()
        await stranger.expect("connect", 0, 5)


@asynccontextmanager
async def accepted_paho(server: Server) -> AsyncIterator[tuple[Paho, mqtt.MqttServer, Peer[mqtt.ServerEvent]]]:
    stranger = Paho()
    async with stranger.connecting(server.port, keepalive=3):
        engine, peer = await server.accept()
        await peer.next(mqtt.ConnectReceived)
        engine.connack(0)
        peer.driver.wake()
        await stranger.expect("connect", 0, 0)
        yield stranger, engine, peer


async def test_paho_subscribes_and_unsubscribes(server: Server) -> None:
    async with accepted_paho(server) as (stranger, engine, peer):
        _, packet_id = stranger.client.subscribe([("a/#", 1), ("b/+", 2), ("c", 0)])
        await peer.expect(mqtt.SubscribeReceived(packet_id, (("a/#", 1), ("b/+", 2), ("c", 0))))
        engine.suback(packet_id, [1, 1, 0x80])
        peer.driver.wake()
        await stranger.expect("subscribe", packet_id, (1, 1, 0x80))
        _, packet_id = stranger.client.unsubscribe(["a/#", "c"])
        await peer.expect(mqtt.UnsubscribeReceived(packet_id, ("a/#", "c")))
        engine.unsuback(packet_id)
        peer.driver.wake()
        await stranger.expect("unsubscribe", packet_id)


async def test_paho_gets_messages_and_acknowledges_them(server: Server) -> None:
    async with accepted_paho(server) as (stranger, engine, peer):
        sent = [
            engine.publish("a/é", b"one"),
            engine.publish("a/2", LARGE, dup=True),
            engine.publish("a/3", b"", retain=True),
        ]
        engine.publish("a/0", b"zero", qos=0)
        peer.driver.wake()
        await stranger.expect("message", "a/é", b"one", 1, 0, 0)
        await stranger.expect("message", "a/2", LARGE, 1, 0, 1)
        await stranger.expect("message", "a/3", b"", 1, 1, 0)
        await stranger.expect("message", "a/0", b"zero", 0, 0, 0)
        for packet_id in sent:
            assert packet_id is not None
            await peer.expect(mqtt.PubackReceived(packet_id))


async def test_paho_sees_held_back_pubacks_in_order(server: Server) -> None:
    async with accepted_paho(server) as (stranger, engine, peer):
        sent = [stranger.client.publish("up", payload, qos=1).mid for payload in (b"1", LARGE, b"3")]
        got = [(await peer.next(mqtt.PublishReceived)) for _ in sent]
        assert [event.payload for event in got] == [b"1", LARGE, b"3"]
        for event in (got[2], got[1], got[0]):
            assert event.packet_id is not None
            engine.puback(event.packet_id)
        peer.driver.wake()
        for packet_id in sent:
            await stranger.expect("puback", packet_id)


async def test_paho_publishes_with_qos_2(server: Server) -> None:
    async with accepted_paho(server) as (stranger, _, peer):
        packet_id = stranger.client.publish("up", b"x", qos=2).mid
        await peer.expect(mqtt.PublishReceived("up", b"x", 2, False, False, packet_id))


async def test_paho_pings_and_disconnects(server: Server) -> None:
    async with accepted_paho(server) as (stranger, _, peer):
        await stranger.seen.until(lambda item: item == ("log", "Received PINGRESP"))
        stranger.client.disconnect()
        await peer.expect(mqtt.DisconnectReceived())


async def test_paho_of_mqtt_5_is_refused(server: Server) -> None:
    paho = load_paho()
    stranger = Paho()
    stranger.client = paho.Client(client_id="paho", protocol=paho.MQTTv5)
    async with stranger.connecting(server.port):
        _, peer = await server.accept()
        assert "MQTT-3.1.2-2" in str(await peer.causes.next())


# MQTT.js


class Node:
    """The process of mqtt/client.js, and what it said."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self.seen: Heard[list[object]] = Heard()

    async def listen(self) -> None:
        assert self._process.stdout is not None
        rest = ""
        async for text in TextReceiveStream(self._process.stdout):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self.seen.put(json.loads(line))

    async def expect(self, *expected: object) -> None:
        """The next thing said, apart from pings."""
        assert await self.seen.until(lambda item: item != ["pingresp"]) == list(expected)

    async def end(self) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.aclose()


@asynccontextmanager
async def node_client(package: str, port: int) -> AsyncIterator[Node]:
    command = [program("node"), str(CLIENT_JS), str(node_folder(package)), package, str(port)]
    async with await anyio.open_process(command, stderr=None) as process:
        node = Node(process)
        listening = asyncio.create_task(node.listen())
        try:
            yield node
        finally:
            process.kill()
            await asyncio.wait([listening])


def node_folder(package: str) -> Path:
    folder = os.environ.get("C2DKIT_NODE_MODULES")
    if folder is None:
        pytest.fail("C2DKIT_NODE_MODULES does not name the folder that holds node_modules")
    if not (Path(folder) / "node_modules" / package).is_dir():
        pytest.fail(f"{folder} has no {package}: npm install mqtt4@npm:mqtt@4.3.8 mqtt@5")
    return Path(folder)


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if found is None:
        pytest.fail(f"{name} is missing")
    return found


@pytest.mark.parametrize("package", ["mqtt4", "mqtt"])
async def test_mqtt_js(server: Server, package: str) -> None:
    async with node_client(package, server.port) as stranger:
        engine, peer = await server.accept()
        will = mqtt.Will("w/node", b"gone", 0, retain=True)
        await peer.expect(mqtt.ConnectReceived("node", False, 2, "hub/node", b"secret", will))
        engine.connack(0, session_present=False)
        peer.driver.wake()
        await stranger.expect("connect", False)

        subscribe = await peer.next(mqtt.SubscribeReceived)
        assert subscribe.filters == (("down/#", 1), ("refused", 0))
        engine.suback(subscribe.packet_id, [1, 0])
        peer.driver.wake()
        await stranger.expect("subscribe", [1, 0])

        got = [(await peer.next(mqtt.PublishReceived)) for _ in range(3)]
        assert [event.payload for event in got] == [b"message 1", b"message 2", b"message 3"]
        for event in reversed(got):
            assert event.packet_id is not None
            engine.puback(event.packet_id)
        peer.driver.wake()
        for number in (1, 2, 3):
            await stranger.expect("puback", number)

        sent = [engine.publish("down/1", b"x"), engine.publish("down/2", LARGE, dup=True)]
        engine.publish("down/0", b"", qos=0)
        peer.driver.wake()
        await stranger.expect("message", "down/1", 1, 1, False)
        await stranger.expect("message", "down/2", len(LARGE), 1, True)
        await stranger.expect("message", "down/0", 0, 0, False)
        for packet_id in sent:
            assert packet_id is not None
            await peer.expect(mqtt.PubackReceived(packet_id))

        await stranger.seen.until(lambda item: item == ["pingresp"])
        await stranger.end()
        await peer.expect(mqtt.DisconnectReceived())


@pytest.mark.parametrize("package", ["mqtt4", "mqtt"])
async def test_mqtt_js_is_refused(server: Server, package: str) -> None:
    async with node_client(package, server.port) as stranger:
        engine, peer = await server.accept()
        await peer.next(mqtt.ConnectReceived)
        engine.connack(5)
        peer.driver.wake()
        item = await stranger.seen.next()
        assert item[:2] == ["error", 5]


# mosquitto


class Mosquitto:
    """A broker on a free port of loopback, and what it logged."""

    def __init__(self, process: anyio.abc.Process, port: int) -> None:
        self._process = process
        self.port = port
        self.log: Heard[str] = Heard()

    def stop(self) -> None:
        """Have it stand still, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    async def listen(self) -> None:
        assert self._process.stderr is not None
        rest = ""
        async for text in TextReceiveStream(self._process.stderr):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self.log.put(line)

    async def logs(self, *parts: str) -> str:
        return await self.log.until(lambda line: all(part in line for part in parts))

    @asynccontextmanager
    async def connected(
        self, *, keep_alive: int = 60, clean_session: bool = True
    ) -> AsyncIterator[tuple[mqtt.MqttClient, Peer[mqtt.ClientEvent]]]:
        """Connect a client engine; the connection is dropped at the end, without DISCONNECT."""
        stream = await anyio.connect_tcp("127.0.0.1", self.port)
        engine = mqtt.MqttClient()
        peer = Peer(stream, engine)
        peer.driver.start()
        engine.connect(client_id="dev", keep_alive=keep_alive, clean_session=clean_session)
        peer.driver.wake()
        try:
            yield engine, peer
        finally:
            await peer.driver.aclose()


def free_port() -> int:
    with socket.socket() as probe:  # mosquitto takes 0 for a socket without a port
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(folder: Path, port: int, *, allow_anonymous: bool) -> Path:
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous {str(allow_anonymous).lower()}\n"
        "persistence false\nlog_dest stderr\nlog_type all\n"
    )
    return config


@asynccontextmanager
async def mosquitto(folder: Path, *, allow_anonymous: bool) -> AsyncIterator[Mosquitto]:
    port = free_port()
    config = write_config(folder, port, allow_anonymous=allow_anonymous)
    command = [program("mosquitto"), "-c", str(config)]
    async with await anyio.open_process(command, stdout=subprocess.DEVNULL) as process:
        broker = Mosquitto(process, port)
        listening = asyncio.create_task(broker.listen())
        try:
            await broker.logs("running")
            yield broker
        finally:
            process.kill()
            await asyncio.wait([listening])


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path, allow_anonymous=True) as broker:
        yield broker


ACCEPTED = mqtt.ConnackReceived(session_present=False, return_code=0)


async def test_mosquitto_carries_messages_both_ways(broker: Mosquitto) -> None:
    async with broker.connected() as (engine, peer):
        await peer.expect(ACCEPTED)
        packet_id = engine.subscribe([("a/#", 1), ("b/+", 0)])
        peer.driver.wake()
        await peer.expect(mqtt.SubackReceived(packet_id, (1, 0)))
        await broker.logs("Received SUBSCRIBE from dev")

        published = engine.publish("a/é", LARGE)
        assert published is not None
        peer.driver.wake()
        got = [await peer.events.next(), await peer.events.next()]  # in either order
        assert mqtt.PubackReceived(published) in got
        assert ("a/é", LARGE, 1, False) in [event[:4] for event in got]

        engine.publish("b/x", b"lower", qos=0)
        peer.driver.wake()
        await peer.expect(mqtt.PublishReceived("b/x", b"lower", 0, False, False, None))

        packet_id = engine.unsubscribe(["a/#"])
        peer.driver.wake()
        await peer.expect(mqtt.UnsubackReceived(packet_id))
        engine.disconnect()
        peer.driver.wake()
        await broker.logs("Received DISCONNECT from dev")
        await broker.logs("Client dev disconnected.")


async def test_mosquitto_sees_held_back_pubacks_in_order(broker: Mosquitto) -> None:
    async with broker.connected() as (engine, peer):
        await peer.expect(ACCEPTED)
        engine.subscribe([("a", 1)])
        for payload in (b"1", b"2", b"3"):
            engine.publish("a", payload)
        peer.driver.wake()
        got: list[mqtt.PublishReceived] = []
        while len(got) < 3:
            event = await peer.events.next()
            if isinstance(event, mqtt.PublishReceived):
                got.append(event)
        for event in reversed(got):
            assert event.packet_id is not None
            engine.acknowledge(event.packet_id)
        peer.driver.wake()
        for event in got:
            line = await broker.logs("Received PUBACK from dev")
            assert f"Mid: {event.packet_id}," in line


async def test_mosquitto_redelivers_what_was_not_acknowledged(broker: Mosquitto) -> None:
    async with broker.connected(clean_session=False) as (engine, peer):
        await peer.expect(ACCEPTED)
        engine.subscribe([("a", 1)])
        engine.publish("a", b"kept")
        peer.driver.wake()
        await peer.events.until(lambda event: isinstance(event, mqtt.PublishReceived))
    await broker.logs("Client dev closed its connection.")
    async with broker.connected(clean_session=False) as (engine, peer):
        await peer.expect(mqtt.ConnackReceived(session_present=True, return_code=0))
        again = await peer.next(mqtt.PublishReceived)
        assert (again.payload, again.dup) == (b"kept", True)
        assert again.packet_id is not None
        engine.acknowledge(again.packet_id)
        peer.driver.wake()
        await broker.logs("Received PUBACK from dev", f"Mid: {again.packet_id},")


async def test_mosquitto_answers_pings(broker: Mosquitto) -> None:
    async with broker.connected(keep_alive=1) as (_, peer):
        await peer.expect(ACCEPTED)
        for _ in range(2):  # the second proves that the first was answered in time
            await broker.logs("Received PINGREQ from dev")


async def test_a_mosquitto_that_stops_is_found_out(tmp_path: Path) -> None:
    async with mosquitto(tmp_path, allow_anonymous=True) as broker, broker.connected(keep_alive=2) as (_, peer):
        await peer.expect(ACCEPTED)
        broker.stop()
        assert "no PINGRESP" in str(await peer.causes.next())


async def test_mosquitto_refuses_a_stranger(tmp_path: Path) -> None:
    async with mosquitto(tmp_path, allow_anonymous=False) as broker, broker.connected() as (_, peer):
        await peer.expect(mqtt.ConnackReceived(session_present=False, return_code=5))
        assert await peer.causes.next() is None
