"""Hubs that sign a client in as they should and then misbehave: malformed, too much, too little, out of order.

Each ends in a clear error, or does no harm: within a bounded time, and in bounded memory.
"""

from __future__ import annotations

import tracemalloc
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    C2dError,
    CloudSender,
    ConnectError,
    ConnectionLostError,
    ConnectionState,
    DeviceCredential,
    DeviceReceiver,
    LinkError,
    MessageLockLostError,
    OutcomeUnknownError,
    PeerProtocolError,
    RetryPolicy,
    ServiceCredential,
)
from c2dkit._models import Message
from c2dkit._protocols import amqp, mqtt
from c2dkit._wire import cbs
from c2dkit._wire.amqp import encode_message
from c2dkit._wire.mqtt import encode_topic
from c2dkit.hub._clock import HubClock
from c2dkit.testing.contract._bench import until
from c2dkit.transports import (
    AmqpDeviceTransport,
    AmqpServiceTransport,
    HttpsDeviceTransport,
    MqttDeviceTransport,
    _amqp_client,
    _https_client,
    _mqtt,
    _waiting,
)

from .conftest import serving

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

    from anyio.abc import ByteStream

KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
NONE = RetryPolicy.none()
MEBIBYTE = 1_048_576
FLOOD = 24 * MEBIBYTE
"""How much a peer sends that floods."""
BOUND = 6 * MEBIBYTE
"""How much memory that may take at any moment, the peer's own included."""


@pytest.fixture(autouse=True)
async def in_time(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(_amqp_client, "IDLE_SECONDS", 1.0)
    monkeypatch.setattr(_amqp_client, "OUTCOME_SECONDS", 0.3)
    monkeypatch.setattr(_mqtt, "KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(_waiting, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(_https_client, "REQUEST_SECONDS", 1.0)
    with anyio.fail_after(40):
        yield


@pytest.fixture
def memory() -> Iterator[Callable[[], None]]:
    """Return what checks how much memory has been used at most since the last check."""
    tracemalloc.start()

    def check() -> None:
        _, most = tracemalloc.get_traced_memory()
        assert most < BOUND, f"{most} bytes"
        tracemalloc.reset_peak()

    yield check
    tracemalloc.stop()


def device(port: int) -> DeviceCredential:
    return DeviceCredential(host_name="localhost", port=port, device_id="dev-1", shared_access_key=KEY)


def service(port: int) -> ServiceCredential:
    return ServiceCredential(host_name="localhost", port=port, shared_access_key_name="service", shared_access_key=KEY)


def frame(performative: amqp.Performative, payload: bytes = b"") -> bytes:
    return amqp.encode_frame(0, performative, payload)


MESSAGE = encode_message(Message(b"hello", message_id="m-1", to="/devices/dev-1/messages/devicebound"))


class AmqpHub:
    """Signs whoever comes in, then does what the test says with the link that the client is there for.

    Attributes:
        link: That link.
        answers: Where the hub answers tokens.
        answer: Whether it does.
    """

    answers: amqp.SenderLink

    def __init__(self, stream: ByteStream, *, answer: bool = True, credit: int = 10) -> None:
        self.stream = stream
        self.answer = answer
        self.credit = credit
        self.engine = amqp.Connection(container_id="hub", server=True, sasl=amqp.SaslServer(("MSSBCBS",)))
        self.link: amqp.SenderLink | amqp.ReceiverLink | None = None
        self._ready = False

    async def sign_in(self) -> None:
        while not self._ready:
            await self.step()

    async def step(self) -> list[amqp.Event]:
        events: list[amqp.Event] = [*self.engine.receive_data(await self.stream.receive())]
        for event in events:
            match event:
                case amqp.SaslInitReceived():
                    events += self.engine.sasl_outcome(amqp.SASL_OK)
                case amqp.Opened():
                    self.engine.open()
                case amqp.LinkRequested(link=link):
                    self._accept(link)
                case amqp.TransferReceived() if self.answer and not self._ready:
                    self._answer(event)
                case amqp.LinkFlowed(link=link) if link is self.link:
                    self._ready = True
                case _:
                    pass
        await self.flush()
        return events

    def _accept(self, link: amqp.SenderLink | amqp.ReceiverLink) -> None:
        assert isinstance(link.source, amqp.Source)
        assert isinstance(link.target, amqp.Target)
        link.accept(source=link.source, target=link.target)
        is_cbs = link.target.address == "$cbs"
        if not is_cbs:
            self.link = link
        elif isinstance(link, amqp.SenderLink):
            self.answers = link
        if isinstance(link, amqp.ReceiverLink):
            link.flow(10 if is_cbs else self.credit)
            self._ready = not is_cbs

    def _answer(self, event: amqp.TransferReceived) -> None:
        properties = amqp.decode_message(event.payload).properties
        assert properties is not None
        event.link.settle(event.delivery_id, amqp.Accepted())
        self.answers.send(cbs.encode_answer(cbs.TokenAnswer(properties.message_id, 200, "OK")), tag=b"answer")

    async def flush(self) -> None:
        await self.stream.send(self.engine.data_to_send())

    async def transfers(self, count: int, payload: bytes = MESSAGE) -> None:
        """Send messages on the link, with or without credit; delivery 0 was the answer to the token."""
        assert self.link is not None
        for number in range(1, 1 + count):
            tag = number.to_bytes(16, "big")
            await self.stream.send(frame(amqp.Transfer(self.link.handle, number, tag, 0), payload))

    async def drain(self) -> None:
        while True:
            await self.stream.receive()


@asynccontextmanager
async def amqp_receiver(
    context: ssl.SSLContext, trust: ssl.SSLContext, misbehave: Callable[[AmqpHub], Awaitable[None]]
) -> AsyncGenerator[DeviceReceiver[object]]:
    async def handle(stream: ByteStream) -> None:
        hub = AmqpHub(stream)
        await hub.sign_in()
        await misbehave(hub)
        await hub.drain()

    async with serving(handle, context) as peer:
        transport = AmqpDeviceTransport(device(peer.port), ssl_context=trust)
        async with DeviceReceiver(transport, retry=NONE) as receiver:
            yield receiver


def saying(data: bytes) -> Callable[[AmqpHub], Awaitable[None]]:
    async def misbehave(hub: AmqpHub) -> None:
        await hub.stream.send(data)

    return misbehave


BROKEN_FRAMES = {
    "a frame of 4 GiB": b"\xff" * 8,
    "a frame smaller than its own head": b"\x00\x00\x00\x04\x02\x00\x00\x00",
    "another begin of the session": frame(amqp.Begin(0, 0, 1, 1)),
    "another open": frame(amqp.Open("again")),
    "a link that nobody asked for, on a handle in use": frame(amqp.Attach("x", 0, False)),
    "a link that nobody asked for": frame(amqp.Attach("x", 9, False)),
    "a link that nobody asked for, and a detach of it": frame(amqp.Attach("x", 9, True)) + frame(amqp.Detach(9, True)),
    "a transfer on a handle that is none": frame(amqp.Transfer(200, 1, b"t" * 16, 0)),
    "a delivery out of sequence": frame(amqp.Transfer(2, 7, b"t" * 16, 0), MESSAGE),
    "a range that ends before it begins": frame(amqp.Disposition(True, 5, 4, settled=True)),
    "a message that is none": frame(amqp.Transfer(2, 1, b"t" * 16, 0), b"\xff" * 40),
    "nesting without end": frame(amqp.Transfer(2, 1, b"t" * 16, 0), b"\x00\x53\x77" + b"\xc0\x7f\x01" * 20_000),
}


@pytest.mark.parametrize("data", BROKEN_FRAMES.values(), ids=BROKEN_FRAMES)
async def test_amqp_frames_that_break_a_rule(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, data: bytes
) -> None:
    async with amqp_receiver(server_context, trust, saying(data)) as receiver:
        with pytest.raises(PeerProtocolError):
            await anext(receiver)


@pytest.mark.parametrize("size", [4, 7, 40, 5000])
async def test_amqp_that_stalls_within_a_frame(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, size: int
) -> None:
    whole = frame(amqp.Transfer(2, 1, b"t" * 16, 0), MESSAGE + bytes(8000))
    async with amqp_receiver(server_context, trust, saying(whole[:size])) as receiver:
        with pytest.raises(ConnectionLostError, match="went silent"):
            await anext(receiver)


async def test_amqp_messages_beyond_the_credit(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, memory: Callable[[], None]
) -> None:
    large = encode_message(Message(bytes(60_000), to="/devices/dev-1/messages/devicebound"))

    async def flood(hub: AmqpHub) -> None:
        await hub.transfers(FLOOD // len(large), large)

    async with amqp_receiver(server_context, trust, flood) as receiver:
        status = await receiver.connection.wait_for(ConnectionState.CLOSED)
        assert isinstance(status.cause, PeerProtocolError)
        assert "credit" in str(status.cause)
        with pytest.raises(PeerProtocolError):
            await anext(receiver)
    memory()


async def test_amqp_messages_larger_than_agreed(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, memory: Callable[[], None]
) -> None:
    async def flood(hub: AmqpHub) -> None:
        part = frame(amqp.Transfer(2, 1, b"t" * 16, 0, more=True), bytes(32_000))
        for _ in range(FLOOD // len(part)):
            await hub.stream.send(part)

    async with amqp_receiver(server_context, trust, flood) as receiver:
        with pytest.raises(PeerProtocolError, match="messages of up to"):
            await anext(receiver)
    memory()


HARMLESS = {
    "empty frames": b"\x00\x00\x00\x08\x02\x00\x00\x00" * 4096,
    "flows that ask for an answer": frame(amqp.Flow(1, 2048, 1, 2048, echo=True)) * 1024,
    "settlements of what was never sent": frame(amqp.Disposition(False, 40, 4_000_000, settled=True)) * 1024,
    "outcomes of what was never sent": frame(amqp.Disposition(True, 0, 2_000_000_000, state=amqp.Accepted())) * 1024,
}


@pytest.mark.parametrize("data", HARMLESS.values(), ids=HARMLESS)
async def test_amqp_floods_that_do_no_harm(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, data: bytes, memory: Callable[[], None]
) -> None:
    async def flood(hub: AmqpHub) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.drain)
            for _ in range(MEBIBYTE // len(data) + 1):
                await hub.stream.send(data)
            await hub.transfers(1)
            tasks.cancel_scope.cancel()

    async with amqp_receiver(server_context, trust, flood) as receiver:
        assert (await anext(receiver)).message_id == "m-1"
    memory()


async def test_amqp_answers_to_tokens_are_settled(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    settled: list[amqp.DeliveryUpdated] = []

    async def handle(stream: ByteStream) -> None:
        hub = AmqpHub(stream)
        while True:
            settled.extend([event for event in await hub.step() if isinstance(event, amqp.DeliveryUpdated)])

    async with (
        serving(handle, server_context) as peer,
        DeviceReceiver(AmqpDeviceTransport(device(peer.port), ssl_context=trust), retry=NONE),
    ):
        await until(lambda: bool(settled))
    assert [(update.state, update.settled) for update in settled] == [(amqp.Accepted(), True)]


async def test_amqp_tokens_answered_under_other_ids(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async def handle(stream: ByteStream) -> None:
        hub = AmqpHub(stream, answer=False)
        while True:
            for event in await hub.step():
                if isinstance(event, amqp.TransferReceived):
                    for number in range(10):
                        answer = cbs.encode_answer(cbs.TokenAnswer(f"other-{number}", 200, "OK"))
                        hub.answers.send(answer, tag=bytes([number]))
            await hub.flush()

    async with serving(handle, server_context) as peer:
        with pytest.raises(ConnectError, match="did not answer the token"):
            await DeviceReceiver(AmqpDeviceTransport(device(peer.port), ssl_context=trust), retry=NONE).__aenter__()


async def test_amqp_a_goodbye_together_with_the_answer_to_the_token(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    class Fickle(AmqpHub):
        def _answer(self, event: amqp.TransferReceived) -> None:
            super()._answer(event)
            self.engine.close()

    async def handle(stream: ByteStream) -> None:
        await Fickle(stream).sign_in()

    async with serving(handle, server_context) as peer:
        with pytest.raises(ConnectionLostError):
            await DeviceReceiver(AmqpDeviceTransport(device(peer.port), ssl_context=trust), retry=NONE).__aenter__()


class DeafHub(AmqpHub):
    """Signs in, then ends the link on which it answers tokens, and attaches no other."""

    def __init__(self, stream: ByteStream, *, refuses: bool) -> None:
        super().__init__(stream)
        self.refuses = refuses
        self.cbs: list[amqp.SenderLink | amqp.ReceiverLink] = []

    def _accept(self, link: amqp.SenderLink | amqp.ReceiverLink) -> None:
        if isinstance(link.target, amqp.Target) and link.target.address == "$cbs":
            self.cbs.append(link)
            if isinstance(link, amqp.SenderLink) and len(self.cbs) > 2:
                if self.refuses:
                    link.refuse(amqp.AmqpError("amqp:internal-error", "not now"))
                return
        super()._accept(link)


@pytest.mark.parametrize("refuses", [True, False])
async def test_amqp_links_for_tokens_are_not_collected(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    monkeypatch.setattr(_amqp_client, "IDLE_SECONDS", 45.0)  # this hub sends no empty frames
    monkeypatch.setattr(_waiting, "ANSWER_SECONDS", 1.0)
    hubs: list[DeafHub] = []

    async def handle(stream: ByteStream) -> None:
        hub = DeafHub(stream, refuses=refuses)
        hubs.append(hub)
        await hub.sign_in()
        hub.answers.detach(amqp.AmqpError("amqp:link:detach-forced", "bye"))
        await hub.flush()
        while True:
            await hub.step()

    clock = HubClock()
    async with serving(handle, server_context) as peer:
        transport = AmqpDeviceTransport(device(peer.port), ssl_context=trust, clock=clock)
        async with DeviceReceiver(transport, retry=NONE) as receiver:
            (hub,) = hubs
            await until(lambda: not hub.answers.attached)
            clock.advance(timedelta(minutes=49))
            for links in (4, 6, 8):
                await until(lambda: len(hub.cbs) == links)  # noqa: B023 - awaited here
                await until(lambda: not any(link.attached for link in hub.cbs))
                clock.advance(timedelta(minutes=1))
            assert receiver.connection.state is ConnectionState.CONNECTED


async def test_amqp_settlements_answered_for_others_twice_and_never(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def misbehave(hub: AmqpHub) -> None:
        await hub.transfers(2)
        answered = 0
        while True:
            await hub.stream.receive()
            if not answered:  # the other's, and the first one's twice; the second's is for ever late
                for delivery_id in (77, 1, 1):
                    said = amqp.Disposition(False, delivery_id, settled=True, state=amqp.Accepted())
                    await hub.stream.send(frame(said))
            answered += 1

    async with amqp_receiver(server_context, trust, misbehave) as receiver:
        first, second = await anext(receiver), await anext(receiver)
        await first.complete()
        with pytest.raises(OutcomeUnknownError):
            await second.complete()
        with pytest.raises(ConnectionLostError, match="did not answer a settlement"):
            await anext(receiver)


@pytest.mark.parametrize("condition", ["com.microsoft:message-lock-lost", "amqp:internal-error"])
async def test_amqp_a_settlement_that_is_refused_is_the_last_word(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, condition: str
) -> None:
    async def refuse(hub: AmqpHub) -> None:
        await hub.transfers(1)
        await hub.stream.receive()
        said = amqp.Disposition(False, 1, settled=True, state=amqp.Rejected(amqp.AmqpError(condition, "not now")))
        await hub.stream.send(frame(said))
        await hub.drain()

    async with amqp_receiver(server_context, trust, refuse) as receiver:
        message = await anext(receiver)
        for _ in range(2):  # the second is not for the hub, which would not answer
            with pytest.raises(MessageLockLostError):
                await message.complete()


@pytest.mark.parametrize(("credit", "error"), [(10, OutcomeUnknownError), (0, ConnectionLostError)])
async def test_amqp_sends_that_are_never_answered(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, credit: int, error: type[C2dError]
) -> None:
    async def handle(stream: ByteStream) -> None:
        hub = AmqpHub(stream, credit=credit)
        await hub.sign_in()
        await hub.drain()

    async with serving(handle, server_context) as peer:
        transport = AmqpServiceTransport(service(peer.port), ssl_context=trust)
        async with CloudSender(transport, retry=NONE) as sender:
            with pytest.raises(error):
                await sender.send("dev-1", "x")
            status = await sender.connection.wait_for(ConnectionState.CLOSED)
            assert "did not answer a message within 0.3 s" in str(status.cause)


class MqttHub:
    """Lets whoever comes in and takes the subscription."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.engine = mqtt.MqttServer()

    async def sign_in(self, *, subscription: bool = True) -> int:
        """Return the packet id of SUBSCRIBE, which is answered, or is left to the caller to answer."""
        while True:
            for event in self.engine.receive_data(await self.stream.receive()):
                if isinstance(event, mqtt.ConnectReceived):
                    self.engine.connack(0)
                elif isinstance(event, mqtt.SubscribeReceived):
                    if subscription:
                        self.engine.suback(event.packet_id, [1])
                        await self.stream.send(self.engine.data_to_send())
                    return event.packet_id
            await self.stream.send(self.engine.data_to_send())

    async def drain(self) -> None:
        while True:
            await self.stream.receive()


@asynccontextmanager
async def mqtt_receiver(
    context: ssl.SSLContext, trust: ssl.SSLContext, misbehave: Callable[[MqttHub], Awaitable[None]]
) -> AsyncGenerator[DeviceReceiver[object]]:
    async def handle(stream: ByteStream) -> None:
        hub = MqttHub(stream)
        await hub.sign_in()
        await misbehave(hub)
        await hub.drain()

    async with serving(handle, context) as peer:
        transport = MqttDeviceTransport(device(peer.port), ssl_context=trust)
        async with DeviceReceiver(transport, prefetch=1, retry=NONE) as receiver:
            yield receiver


async def read_all(receiver: DeviceReceiver[object]) -> None:
    async for _ in receiver:
        pass


def publish(packet_id: int, body: bytes = b"hello") -> bytes:
    topic = encode_topic("dev-1", Message(b"", message_id=f"m-{packet_id}")).encode()
    content = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + body
    length, rest = bytearray(), len(content)
    while True:
        rest, digit = divmod(rest, 128)
        length.append(digit | (128 if rest else 0))
        if not rest:
            return b"\x32" + bytes(length) + content


BROKEN_PACKETS = {
    "a packet of 256 MB": b"\x32\xff\xff\xff\x7f",
    "a length without end": b"\x32\xff\xff\xff\xff\xff",
    "a second CONNACK": b"\x20\x02\x00\x00",
    "a packet of a client": b"\xc0\x00",
    "a SUBACK that answers nothing": b"\x90\x03\x00\x63\x01",
    "an UNSUBACK that answers nothing": b"\xb0\x02\x00\x63",
    "the same packet id twice": publish(7) + publish(7),
    "a topic that is nobody's": b"\x30\x05\x00\x03a/b",
    "a topic longer than its packet": b"\x32\x06\x00\xffabcd",
}


@pytest.mark.parametrize("data", BROKEN_PACKETS.values(), ids=BROKEN_PACKETS)
async def test_mqtt_packets_that_break_a_rule(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, data: bytes
) -> None:
    async def misbehave(hub: MqttHub) -> None:
        await hub.stream.send(data)

    async with mqtt_receiver(server_context, trust, misbehave) as receiver:
        status = await receiver.connection.wait_for(ConnectionState.CLOSED)
        assert isinstance(status.cause, PeerProtocolError)


async def test_mqtt_an_acknowledgement_of_another_subscription(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def handle(stream: ByteStream) -> None:
        hub = MqttHub(stream)
        packet_id = await hub.sign_in(subscription=False)
        await stream.send(b"\x90\x03" + (packet_id + 1).to_bytes(2, "big") + b"\x01")
        await hub.drain()

    async with serving(handle, server_context) as peer:
        receiver = DeviceReceiver(MqttDeviceTransport(device(peer.port), ssl_context=trust), retry=NONE)
        with pytest.raises(PeerProtocolError, match="SUBACK"):
            await receiver.__aenter__()


async def test_mqtt_nonsense_together_with_the_acknowledgement_of_the_subscription(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    async def handle(stream: ByteStream) -> None:
        hub = MqttHub(stream)
        hub.engine.suback(await hub.sign_in(subscription=False), [1])
        await stream.send(hub.engine.data_to_send() + BROKEN_PACKETS["a topic that is nobody's"])
        await hub.drain()

    async with serving(handle, server_context) as peer:
        link = await MqttDeviceTransport(device(peer.port), ssl_context=trust).open(prefetch=1)
        assert isinstance(await link.ending.wait(), PeerProtocolError)
        await link.close()


async def test_mqtt_acknowledgements_of_what_was_never_sent(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, memory: Callable[[], None]
) -> None:
    async def flood(hub: MqttHub) -> None:
        for _ in range(16):
            await hub.stream.send(b"\x40\x02\x00\x63" * 4096 + b"\xd0\x00" * 4096)
        await hub.stream.send(publish(1))

    async with mqtt_receiver(server_context, trust, flood) as receiver:
        assert (await anext(receiver)).message_id == "m-1"
    memory()


@pytest.mark.parametrize("size", [1, 3, 30, 5000])
async def test_mqtt_that_stalls_within_a_packet(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, size: int
) -> None:
    async def misbehave(hub: MqttHub) -> None:
        await hub.stream.send(publish(1, bytes(8000))[:size])

    async with mqtt_receiver(server_context, trust, misbehave) as receiver:
        with pytest.raises(ConnectionLostError, match="went silent"):
            await anext(receiver)


async def test_mqtt_messages_that_nobody_reads(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, memory: Callable[[], None]
) -> None:
    """A queue holds 50. What a hub sends beyond that waits in its own memory, however much it is."""
    sent: list[int] = []

    async def flood(hub: MqttHub) -> None:
        for packet_id in range(1, 1 + FLOOD // 60_000):
            await hub.stream.send(publish(packet_id, bytes(60_000)))
            sent.append(packet_id)

    async with mqtt_receiver(server_context, trust, flood) as receiver:
        await until(lambda: len(sent) > 51)
        await anyio.wait_all_tasks_blocked()
        assert len(sent) < FLOOD // 60_000
        for packet_id in range(1, 101):
            assert (await anext(receiver)).message_id == f"m-{packet_id}"
    memory()


async def test_mqtt_more_messages_than_may_be_unacknowledged(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, memory: Callable[[], None]
) -> None:
    async def flood(hub: MqttHub) -> None:
        await hub.stream.send(b"".join(publish(packet_id, b"") for packet_id in range(1, 3000)))

    async with mqtt_receiver(server_context, trust, flood) as receiver:
        with pytest.raises(PeerProtocolError, match="1024 messages without an acknowledgement"):
            await read_all(receiver)
    memory()


OK = b'HTTP/1.1 200 OK\r\nETag: "t"\r\n'
ENDLESS = {
    "headers without end": (b"HTTP/1.1 200 OK\r\n", b"X-%d: %s\r\n" % (1, b"x" * 1000)),
    "large headers without end": (b"HTTP/1.1 200 OK\r\n", b"X: %s\r\n" % (b"x" * 60_000)),
    "one header without end": (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
    "a body without end": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    "a status line without end": (b"HTTP/1.1 200 ", b"x" * 1000),
    "a chunk size without end": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
}
HALF = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 2",
    "half of the headers": b'HTTP/1.1 200 OK\r\nETag: "t"\r\nConte',
    "half of the body": OK + b"Content-Length: 1000\r\n\r\n" + bytes(500),
    "half of a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\nx",
}


@asynccontextmanager
async def https_receiver(
    context: ssl.SSLContext, trust: ssl.SSLContext, answer: Callable[[ByteStream], Awaitable[None]]
) -> AsyncGenerator[DeviceReceiver[object]]:
    async def handle(stream: ByteStream) -> None:
        await stream.receive()
        await answer(stream)
        while True:
            await stream.receive()

    async with serving(handle, context) as peer:
        transport = HttpsDeviceTransport(device(peer.port), ssl_context=trust)
        async with DeviceReceiver(transport, retry=NONE) as receiver:
            yield receiver


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_https_answers_without_end(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, start: bytes, more: bytes, memory: Callable[[], None]
) -> None:
    async def answer(stream: ByteStream) -> None:
        await stream.send(start)
        some = more * (1 + 32_000 // len(more))
        for _ in range(FLOOD // len(some)):
            await stream.send(some)

    async with https_receiver(server_context, trust, answer) as receiver:
        with pytest.raises(LinkError):
            await anext(receiver)
    memory()


async def test_https_answers_that_nobody_asked_for(
    server_context: ssl.SSLContext, trust: ssl.SSLContext, memory: Callable[[], None]
) -> None:
    over = anyio.Event()

    async def answer(stream: ByteStream) -> None:
        try:
            for _ in range(FLOOD // 32_000):
                await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n" * 1200)
        finally:
            over.set()

    async with https_receiver(server_context, trust, answer) as receiver, anyio.create_task_group() as tasks:
        tasks.start_soon(read_all, receiver)
        await over.wait()
        tasks.cancel_scope.cancel()
    memory()


@pytest.mark.parametrize("data", HALF.values(), ids=HALF)
async def test_https_that_stalls(server_context: ssl.SSLContext, trust: ssl.SSLContext, data: bytes) -> None:
    async def answer(stream: ByteStream) -> None:
        await stream.send(data)

    async with https_receiver(server_context, trust, answer) as receiver:
        with pytest.raises(ConnectionLostError):
            await anext(receiver)
