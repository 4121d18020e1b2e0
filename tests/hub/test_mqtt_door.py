"""The MQTT door through a real socket, spoken to by the client's engine."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import anyio
import pytest

from c2dkit._models import Ack, FeedbackStatus, Message
from c2dkit._protocols import mqtt
from c2dkit._rules import sas
from c2dkit._rules.credentials import DeviceCredential
from c2dkit._wire.mqtt import subscription, username
from c2dkit.hub import HubOptions, LocalHub
from c2dkit.hub import _mqtt as door

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import ByteStream

EventT = TypeVar("EventT")

DEVICE = "dev-1"
C2D = subscription(DEVICE)


class Client:
    """The client's engine over a stream; the test reads for it."""

    def __init__(self, stream: ByteStream) -> None:
        self.engine = mqtt.MqttClient()
        self._stream = stream
        self._events: list[object] = []

    async def send(self) -> None:
        await self._stream.send(self.engine.data_to_send())

    async def send_bytes(self, data: bytes) -> None:
        await self._stream.send(data)

    async def next(self, kind: type[EventT]) -> EventT:
        while not self._events:
            self._events.extend(self.engine.receive_data(await self._stream.receive()))
        event = self._events.pop(0)
        assert isinstance(event, kind), event
        return event

    async def closed(self) -> None:
        """Wait for the hub to close; nothing may come before that."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                self._events.extend(self.engine.receive_data(await self._stream.receive()))
        assert not self._events

    async def subscribe(self, topic_filter: str = C2D, qos: int = 1) -> int:
        self.engine.subscribe([(topic_filter, qos)])
        await self.send()
        return (await self.next(mqtt.SubackReceived)).return_codes[0]

    async def receive(self) -> mqtt.PublishReceived:
        return await self.next(mqtt.PublishReceived)

    async def acknowledge(self, event: mqtt.PublishReceived) -> None:
        assert event.packet_id is not None
        self.engine.acknowledge(event.packet_id)
        await self.send()

    async def round_trip(self) -> None:
        """Return once the hub has done all that was sent before."""
        self.engine.unsubscribe(["nothing"])
        await self.send()
        await self.next(mqtt.UnsubackReceived)

    async def drop(self) -> None:
        await anyio.aclose_forcefully(self._stream)


def credential(hub: LocalHub, device_id: str = DEVICE) -> DeviceCredential:
    return DeviceCredential.from_connection_string(hub.device_connection_string(device_id))


@asynccontextmanager
async def connection(hub: LocalHub, context: ssl.SSLContext | None = None) -> AsyncGenerator[Client]:
    context = context or hub.ssl_context()
    stream = await anyio.connect_tcp(
        "localhost", hub.port, ssl_context=context, tls_hostname="localhost", tls_standard_compatible=False
    )
    with anyio.fail_after(20):
        try:
            yield Client(stream)
        finally:
            await anyio.aclose_forcefully(stream)


@asynccontextmanager
async def connected(
    hub: LocalHub, device_id: str = DEVICE, *, clean_session: bool = False, present: bool = False
) -> AsyncGenerator[Client]:
    device = credential(hub, device_id)
    async with connection(hub) as client:
        client.engine.connect(
            client_id=device_id,
            username=username(device.host_name, device_id),
            password=device.token(datetime.now(UTC)).text.encode(),
            clean_session=clean_session,
        )
        await client.send()
        assert await client.next(mqtt.ConnackReceived) == mqtt.ConnackReceived(present, 0)
        yield client


def send(hub: LocalHub, *bodies: bytes, device_id: str = DEVICE, ack: Ack | None = None) -> None:
    """Queue messages; what the AMQP door does when a back end sends them."""
    for body in bodies:
        to = f"/devices/{device_id}/messages/devicebound"
        hub._state.send(Message(body, message_id=body.decode(), to=to, ack=ack))


async def test_a_message_is_delivered_and_completed_by_its_puback() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        assert await client.subscribe() == 1
        send(hub, b"m1")
        event = await client.receive()
        assert event.topic.startswith("devices/dev-1/messages/devicebound/%24.mid=m1&%24.to=%2Fdevices%2Fdev-1")
        assert (event.payload, event.qos, event.dup, event.retain) == (b"m1", 1, False, False)
        assert hub.queue_depth(DEVICE) == 1
        await client.acknowledge(event)
        await client.round_trip()
        assert hub.queue_depth(DEVICE) == 0


async def test_nothing_comes_before_a_subscription() -> None:
    async with LocalHub() as hub:
        send(hub, b"early")
        async with connected(hub) as client:
            await client.round_trip()  # would meet the message if it had been sent
            await client.subscribe()
            assert (await client.receive()).payload == b"early"


async def test_a_hub_may_reject_what_was_sent_before_the_first_subscription() -> None:
    options = HubOptions(mqtt_rejects_early_messages=True, feedback_interval=timedelta(0))
    async with LocalHub(options=options) as hub:
        send(hub, b"early", ack=Ack.FULL)
        async with connected(hub) as client:
            await client.subscribe()
            send(hub, b"later")
            event = await client.receive()
            assert event.payload == b"later"
            await client.acknowledge(event)
            await client.round_trip()
        batch = hub._state.receive_feedback(client)
        assert batch is not None
        (record,) = batch.records
        assert (record.original_message_id, record.status) == ("early", FeedbackStatus.REJECTED)
        send(hub, b"offline")
        async with connected(hub, present=True) as client:  # subscribed in its session before that was sent
            assert (await client.receive()).payload == b"offline"


async def test_pubacks_out_of_order_complete_what_they_name() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        send(hub, b"m1", b"m2")
        first, second = await client.receive(), await client.receive()
        assert second.packet_id is not None
        await client.send_bytes(b"\x40\x02" + second.packet_id.to_bytes(2, "big"))
        await client.round_trip()
        assert hub.queue_depth(DEVICE) == 1
        await client.acknowledge(first)
        await client.round_trip()
        assert hub.queue_depth(DEVICE) == 0


async def test_what_was_not_acknowledged_comes_again_as_a_duplicate_in_the_kept_session() -> None:
    async with LocalHub() as hub:
        async with connected(hub) as client:
            await client.subscribe()
            send(hub, b"m1", b"m2")
            await client.acknowledge(await client.receive())
            await client.receive()
            await client.round_trip()
        async with connected(hub, present=True) as client:  # without subscribing again
            event = await client.receive()
            assert (event.payload, event.dup) == (b"m2", True)


async def test_a_puback_right_before_disconnect_counts() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        send(hub, b"m1", b"m2")
        event = await client.receive()
        await client.receive()
        assert event.packet_id is not None
        client.engine.acknowledge(event.packet_id)
        client.engine.disconnect()
        await client.send()
        await client.closed()
        assert hub.queue_depth(DEVICE) == 1


async def test_a_clean_session_forgets_the_subscription() -> None:
    async with LocalHub() as hub:
        async with connected(hub) as client:
            await client.subscribe()
        send(hub, b"m1")
        async with connected(hub, clean_session=True) as client:
            await client.round_trip()
        async with connected(hub, present=False) as client:
            await client.round_trip()


async def test_a_subscription_of_qos_0_completes_as_it_sends() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        assert await client.subscribe(qos=0) == 0
        send(hub, b"m1")
        event = await client.receive()
        assert (event.qos, event.packet_id) == (0, None)
        assert hub.queue_depth(DEVICE) == 0


@pytest.mark.parametrize(
    ("topic_filter", "granted"),
    [
        ("devices/dev-1/messages/devicebound/#", 1),
        ("devices/dev-1/messages/#", 1),
        ("devices/+/messages/devicebound/+", 1),
        ("#", 1),
        ("$iothub/twin/res/#", 1),
        ("$iothub/methods/POST/#", 1),
        ("devices/dev-2/messages/devicebound/#", 0x80),
        ("devices/dev-1/messages/events/#", 0x80),
        ("devices/DEV-1/messages/devicebound/#", 0x80),
    ],
)
async def test_filters_are_granted_by_the_rules_of_mqtt(topic_filter: str, granted: int) -> None:
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub, connected(hub) as client:
        assert await client.subscribe(topic_filter) == granted


async def test_a_subscription_of_qos_2_is_granted_as_qos_1() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        topic_filter = C2D.encode()
        body = b"\x00\x07" + len(topic_filter).to_bytes(2, "big") + topic_filter + b"\x02"
        client.engine.subscribe([(C2D, 1)])
        client.engine.data_to_send()  # the client's engine has no QoS 2; its request is sent by hand instead
        await client.send_bytes(b"\x82" + bytes([len(body)]) + body.replace(b"\x00\x07", b"\x00\x01", 1))
        assert (await client.next(mqtt.SubackReceived)).return_codes == (1,)


async def test_a_sixth_subscription_is_refused() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        filters = [C2D, "#", "devices/#", "+/dev-1/#", "devices/+/#", "devices/dev-1/#"]
        client.engine.subscribe([(topic_filter, 1) for topic_filter in filters])
        await client.send()
        assert (await client.next(mqtt.SubackReceived)).return_codes == (1, 1, 1, 1, 1, 0x80)


async def test_unsubscribe_ends_delivery() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        client.engine.unsubscribe([C2D])
        await client.send()
        await client.next(mqtt.UnsubackReceived)
        send(hub, b"m1")
        await client.round_trip()


@pytest.mark.parametrize("case", ["client-id", "module", "no-user", "binary"])
async def test_every_refusal_is_return_code_5(case: str) -> None:
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub, connection(hub) as client:
        device = credential(hub)
        user: str | None = username(device.host_name, DEVICE)
        client_id, password = DEVICE, device.token(datetime.now(UTC)).text.encode()
        match case:
            case "client-id":
                client_id = "dev-2"
            case "module":
                user, client_id = f"{device.host_name}/dev-1/mod/?api-version=2021-04-12", "dev-1/mod"
            case "no-user":
                user, password = None, b""
            case _:
                password = b"\xff\xfe"
        client.engine.connect(client_id=client_id, username=user, password=password if user else None)
        await client.send()
        assert await client.next(mqtt.ConnackReceived) == mqtt.ConnackReceived(session_present=False, return_code=5)


async def test_a_refused_client_that_stays_is_dropped() -> None:
    async with LocalHub() as hub, connection(hub) as client:
        client.engine.connect(client_id=DEVICE, username=None, password=None)
        await client.send()
        await client.next(mqtt.ConnackReceived)
        await client.closed()


async def test_a_new_connection_of_the_device_drops_the_old_one() -> None:
    async with LocalHub() as hub, connected(hub) as old:
        await old.subscribe()
        send(hub, b"m1")
        await old.receive()
        async with connected(hub, present=True) as new:
            event = await new.receive()
            assert (event.payload, event.dup) == (b"m1", True)
            await old.closed()
            await new.acknowledge(event)
            await new.round_trip()
            assert hub.queue_depth(DEVICE) == 0


async def test_telemetry_is_acknowledged_and_dropped() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        client.engine.publish("devices/dev-1/messages/events/", b"21.5")
        await client.send()
        await client.next(mqtt.PubackReceived)


async def test_qos_2_ends_the_connection() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.send_bytes(b"\x34\x07\x00\x01a\x00\x01hi")
        await client.closed()


async def test_the_connection_ends_when_its_token_does() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        hub.clock.advance(timedelta(minutes=59))
        await client.round_trip()
        hub.clock.advance(timedelta(minutes=1))
        await client.closed()


async def test_a_disabled_device_is_cut_off_when_something_comes_for_it() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        hub._state.device(DEVICE).enabled = False
        assert hub._core is not None
        hub._core.receivers.ready(DEVICE)
        await client.closed()


async def test_a_message_that_no_topic_can_hold_is_dead_lettered() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        to = "/devices/dev-1/messages/devicebound"
        hub._state.send(Message(b"", to=to, properties={"p": "%" * 60_000}))
        send(hub, b"next")
        assert (await client.receive()).payload == b"next"
        assert hub.queue_depth(DEVICE) == 1


async def test_a_puback_for_an_expired_message_is_no_error() -> None:
    async with LocalHub(options=HubOptions(default_ttl=timedelta(minutes=5))) as hub, connected(hub) as client:
        await client.subscribe()
        send(hub, b"m1")
        event = await client.receive()
        hub.clock.advance(timedelta(minutes=6))
        await client.acknowledge(event)
        await client.round_trip()
        assert hub.queue_depth(DEVICE) == 0


async def test_the_grace_lets_a_connection_outlive_its_token() -> None:
    async with LocalHub(options=HubOptions(token_grace=timedelta(minutes=5))) as hub, connected(hub) as client:
        hub.clock.advance(timedelta(minutes=64))
        await client.round_trip()
        hub.clock.advance(timedelta(minutes=1))
        await client.closed()


async def test_more_than_one_message_waits_for_its_puback_but_no_more_than_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "MAX_UNACKNOWLEDGED", 2)
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        send(hub, b"m1", b"m2", b"m3")
        first = await client.receive()
        await client.receive()
        await client.round_trip()  # would meet m3
        await client.acknowledge(first)
        assert (await client.receive()).payload == b"m3"


@pytest.mark.parametrize("password", [None, b""])
@pytest.mark.parametrize(("device_id", "answer"), [("dev-x", 0), (DEVICE, 5)])
async def test_a_certificate_stands_in_the_place_of_a_password(
    tmp_path: Path, password: bytes | None, device_id: str, answer: int
) -> None:
    async with LocalHub() as hub:
        hub.add_device("dev-x", ca_signed=True)
        file = tmp_path / "dev-x.pem"
        file.write_bytes(hub.issue_certificate("dev-x"))
        context = hub.ssl_context()
        context.load_cert_chain(file)
        async with connection(hub, context) as client:
            client.engine.connect(client_id=device_id, username=username("localhost", device_id), password=password)
            await client.send()
            assert (await client.next(mqtt.ConnackReceived)).return_code == answer


async def test_a_device_that_is_disabled_is_dropped_and_keeps_its_messages() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        await client.subscribe()
        send(hub, b"m1")
        await client.receive()
        hub.disable_device(DEVICE)
        await client.closed()
        assert hub.queue_depth(DEVICE) == 1


async def test_nothing_is_kept_of_a_connection_that_is_over() -> None:
    async with LocalHub() as hub:
        async with connected(hub) as client:
            await client.subscribe()
        await hub.disconnect_all()
        assert hub._core is not None
        assert not hub._core.receivers._devices


async def test_a_token_without_an_end_to_speak_of_may_be_outlived() -> None:
    async with LocalHub(options=HubOptions(token_grace=timedelta(minutes=5))) as hub, connection(hub) as client:
        key = hub._state.device(DEVICE).primary_key
        last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        token = sas.sign(f"localhost/devices/{DEVICE}", key, last).text
        client.engine.connect(client_id=DEVICE, username=username("localhost", DEVICE), password=token.encode())
        await client.send()
        assert await client.next(mqtt.ConnackReceived) == mqtt.ConnackReceived(False, 0)
