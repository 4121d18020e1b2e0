"""Faults on a running hub, as clients of each protocol feel them; the hub's clock is moved."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import aiohttp
import anyio
import pytest

from c2dkit import (
    C2dError,
    ClosedError,
    CloudSender,
    DeviceReceiver,
    FeedbackStream,
    InvalidInputError,
    OutcomeUnknownError,
    QuotaExceededError,
    ThrottledError,
)
from c2dkit._protocols import amqp, mqtt
from c2dkit._wire.amqp import FEEDBACK_ADDRESS, SERVICE_ADDRESS, decode_message, device_address
from c2dkit._wire.mqtt import username
from c2dkit.hub import Fault, FaultKind, HubOptions, LocalHub, MessageEvent
from c2dkit.hub import _fault_injection as injection
from c2dkit.hub._options import LOCK_DURATION
from c2dkit.testing.contract._bench import ONCE
from c2dkit.transports import HttpsServiceTransport, PollingInterval
from tests.hub.registry_client import registry
from tests.hub.test_amqp_door import connection as amqp_connection
from tests.hub.test_amqp_door import queue as send
from tests.hub.test_amqp_door import signed_in, token_of
from tests.hub.test_http_door import device, owner, service
from tests.hub.test_mqtt_door import connected
from tests.hub.test_mqtt_door import connection as mqtt_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from c2dkit.hub import InjectedFault
    from tests.hub.test_amqp_door import Client as AmqpClient
    from tests.hub.test_mqtt_door import Client as MqttClient

EventT = TypeVar("EventT")

DEVICE: Final = "dev-1"
EVENTS: Final = f"/devices/{DEVICE}/messages/events"
QUEUE: Final = f"/devices/{DEVICE}/messages/deviceBound"
PREFIX: Final = "AzIoTHub_FaultOperation"


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    async with LocalHub(devices=[DEVICE, "dev-2"], options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub


async def over(injected: InjectedFault) -> int:
    with anyio.fail_after(20):
        return await injected.wait()


async def lost(client: AmqpClient | MqttClient) -> BaseException:
    """Wait for the end of a connection without a goodbye and return how it came."""
    with anyio.fail_after(20):
        try:
            while True:
                await client._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError) as end:
            return end


class Reading(Generic[EventT]):
    """What a client reads while the test goes on."""

    def __init__(self, read: Callable[[], Awaitable[EventT]]) -> None:
        self._read = read
        self.event: EventT | None = None

    async def read(self) -> None:
        self.event = await self._read()


async def end_of_link(client: AmqpClient) -> amqp.LinkDetached:
    detached = await client.next(amqp.LinkDetached, skip=amqp.LinkFlowed)
    assert detached.error is not None
    return detached


async def test_a_drop_comes_in_its_time_and_as_often_as_it_may(hub: LocalHub) -> None:
    async with connected(hub) as first, connected(hub, "dev-2") as other:
        fault = hub.inject(Fault.parse(f"drop device={DEVICE} after=5 times=2"))
        await first.round_trip()
        hub.clock.advance(timedelta(seconds=5))
        assert isinstance(await lost(first), anyio.EndOfStream)
        async with connected(hub, present=True) as second:
            await second.round_trip()  # so long after it came
            hub.clock.advance(timedelta(seconds=5))
            await lost(second)
        assert await over(fault) == 2
        async with connected(hub, present=True) as third:
            hub.clock.advance(timedelta(seconds=60))
            await third.round_trip()
        await other.round_trip()


async def test_connections_that_are_gone_are_not_waited_for(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.DROP, device=DEVICE, after=timedelta(minutes=1), times=2))
    hub.clock.advance(timedelta(minutes=1))
    core = hub._core
    assert core is not None
    for _ in range(5):
        async with connected(hub, clean_session=True) as client:
            await client.round_trip()
        while hub.connection_count:
            await anyio.lowlevel.checkpoint()
    async with connected(hub, clean_session=True) as client:
        assert len(core.faults._awaited) == 1
        hub.clock.advance(timedelta(minutes=1))
        await lost(client)
    assert (fault.count, core.faults._awaited) == (1, {})


async def test_a_fault_for_all_befalls_all_who_are_there_at_once(hub: LocalHub) -> None:
    async with connected(hub) as one, signed_in(hub) as (two, _):
        fault = hub.inject(Fault(FaultKind.DROP))
        await lost(one)
        await lost(two)
        assert await over(fault) == 1
        assert fault.is_over


async def test_a_reset_is_one(hub: LocalHub) -> None:
    async with connected(hub) as client:
        hub.inject(Fault(FaultKind.RESET, device=DEVICE))
        end = await lost(client)
        assert isinstance(end, anyio.BrokenResourceError)
        assert isinstance(end.__cause__, ConnectionResetError)


async def test_a_reset_loses_the_answers_that_are_on_their_way(hub: LocalHub) -> None:
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=hub.ssl_context(), retry=ONCE
    ) as sender:
        with hub.events() as events:
            hub.inject(Fault(FaultKind.DELAY, by=timedelta(seconds=1)))

            async def send() -> None:
                with pytest.raises(OutcomeUnknownError):
                    await sender.send(DEVICE, "hello")

            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(send)
                    while not isinstance(await anext(events), MessageEvent):
                        pass
                    hub.inject(Fault(FaultKind.RESET))
                    hub.clock.advance(timedelta(seconds=1))
        assert hub.queue_depth(DEVICE) == 1


async def test_an_amqp_connection_is_closed_with_a_condition(hub: LocalHub) -> None:
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        fault = hub.inject(Fault(FaultKind.CLOSE, device=DEVICE, condition="amqp:connection:redirect"))
        closed = await client.next(amqp.Closed, skip=(amqp.SessionEnded, amqp.LinkDetached))
        assert closed.error is not None
        assert closed.error.condition == "amqp:connection:redirect"
        assert await over(fault) == 1


async def test_an_amqp_connection_is_closed_in_order(hub: LocalHub) -> None:
    async with signed_in(hub, DEVICE) as (client, _):
        hub.inject(Fault(FaultKind.CLOSE))
        closed = await client.next(amqp.Closed, skip=(amqp.SessionEnded, amqp.LinkDetached))
        assert closed.error is None


async def test_a_close_over_mqtt_is_an_end(hub: LocalHub) -> None:
    async with connected(hub) as client:
        hub.inject(Fault(FaultKind.CLOSE, device=DEVICE))
        await client.closed()


async def test_a_half_open_connection_is_silent_and_loses_nothing(hub: LocalHub) -> None:
    async with connected(hub) as client:
        await client.subscribe()
        send(hub, b"m0")
        unacknowledged = await client.receive()
        fault = hub.inject(Fault(FaultKind.HALF_OPEN, device=DEVICE, duration=timedelta(minutes=2)))
        send(hub, b"m1")
        await client.acknowledge(unacknowledged)
        received = Reading(client.receive)
        async with connected(hub, "dev-2") as other, anyio.create_task_group() as group:
            group.start_soon(received.read)
            await other.round_trip()
            assert (received.event, hub.queue_depth(DEVICE)) == (None, 2)
            hub.clock.advance(timedelta(minutes=2))
        assert received.event is not None
        assert received.event.payload == b"m1"
        await client.round_trip()
        assert (await over(fault), hub.queue_depth(DEVICE)) == (1, 1)


async def test_a_half_open_connection_does_not_keep_the_hub_from_closing() -> None:
    async with LocalHub() as hub, connected(hub) as client:
        hub.inject(Fault(FaultKind.HALF_OPEN, device=DEVICE))
        with anyio.fail_after(4):
            await hub.disconnect_all()
        await lost(client)


async def test_answers_are_late(hub: LocalHub) -> None:
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        fault = hub.inject(Fault(FaultKind.DELAY, device=DEVICE, by=timedelta(seconds=30)))
        send(hub, b"m1")
        received = Reading(lambda: client.next(amqp.TransferReceived))
        async with connected(hub, "dev-2") as other, anyio.create_task_group() as group:
            group.start_soon(received.read)
            await other.round_trip()
            assert received.event is None
            hub.clock.advance(timedelta(seconds=31))
        assert received.event is not None
        assert decode_message(received.event.payload).body == b"m1"
        assert not fault.is_over
        fault.withdraw()
        send(hub, b"m2")
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"m2"


async def test_answers_that_wait_leave_as_soon_as_no_delay_holds_them(hub: LocalHub) -> None:
    async with connected(hub) as client:
        await client.subscribe()
        longer = hub.inject(Fault.parse(f"delay device={DEVICE} by=3600"))
        hub.inject(Fault.parse(f"delay device={DEVICE} by=60"))
        send(hub, b"m1")
        received = Reading(client.receive)
        async with connected(hub, "dev-2") as other, anyio.create_task_group() as group:
            group.start_soon(received.read)
            await other.round_trip()
            longer.withdraw()
            await other.round_trip()
            assert received.event is None
            hub.clock.advance(timedelta(seconds=60))
        assert received.event is not None
        assert received.event.payload == b"m1"


async def test_new_connections_are_refused_before_they_say_who_they_are(hub: LocalHub) -> None:
    async with connected(hub, "dev-2") as before:
        fault = hub.inject(Fault(FaultKind.REFUSE, times=2))
        await before.round_trip()
        for _ in range(2):
            async with mqtt_connection(hub) as client:
                with suppress(anyio.BrokenResourceError):
                    await client.send_bytes(b"\x10")
                await lost(client)
        assert await over(fault) == 2
        async with connected(hub):
            await before.round_trip()


async def test_a_device_is_refused_over_mqtt_without_an_answer(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.REFUSE, device=DEVICE))
    async with connected(hub, "dev-2"), mqtt_connection(hub) as client:
        client.engine.connect(
            client_id=DEVICE,
            username=username("localhost", DEVICE),
            password=token_of(hub, DEVICE).encode(),
        )
        await client.send()
        await client.closed()
    assert await over(fault) == 1


async def test_a_device_is_refused_over_amqp_without_an_answer(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.REFUSE, device=DEVICE))
    async with signed_in(hub, DEVICE) as (client, session):
        session.attach_receiver("l", source=amqp.Source(address=device_address(DEVICE)), target=amqp.Target())
        await client.send()
        await lost(client)
    assert await over(fault) == 1


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.RESET, FaultKind.CLOSE, FaultKind.REFUSE])
async def test_a_request_over_https_gets_no_answer(hub: LocalHub, kind: FaultKind) -> None:
    send(hub, b"m1")
    async with device(hub) as client:
        assert (await client.ask("GET", "/nothing")).status == 404
        fault = hub.inject(Fault(kind, device=DEVICE))
        async with owner(hub) as other:
            assert (await other.ask("GET", f"/devices/{DEVICE}")).status == 200
        with pytest.raises(aiohttp.ClientError):
            await client.ask("POST", EVENTS)
        assert await over(fault) == 1
        assert (await client.receive()).body == b"m1"


async def test_a_message_is_delivered_twice_over_mqtt(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.DUPLICATE, device=DEVICE))
    async with connected(hub) as client:
        await client.subscribe()
        send(hub, b"m1", b"m2")
        first = await client.receive()
        other = await client.receive()
        await client.acknowledge(first)
        again = await client.receive()
        assert (first.dup, again.dup, again.payload) == (False, True, b"m1")
        await client.acknowledge(other)
        await client.acknowledge(again)
        await client.round_trip()
        assert hub.queue_depth(DEVICE) == 0
        assert await over(fault) == 1


async def test_every_message_is_delivered_twice_and_not_for_ever(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.DUPLICATE, duration=timedelta(hours=1)))
    async with connected(hub) as client:
        await client.subscribe(qos=0)  # completed as they are sent
        send(hub, b"m1")
        assert [(await client.receive()).payload for _ in range(2)] == [b"m1", b"m1"]
        await client.round_trip()
        assert (hub.queue_depth(DEVICE), fault.count) == (0, 1)


async def test_a_message_is_delivered_twice_over_amqp_and_counted_once(hub: LocalHub) -> None:
    hub.inject(Fault(FaultKind.DUPLICATE))
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        send(hub, b"m1")
        for _ in range(2):
            event = await client.next(amqp.TransferReceived)
            assert decode_message(event.payload).delivery_count == 0
            assert await client.settle(event, amqp.Accepted()) == amqp.Accepted()
        assert hub.queue_depth(DEVICE) == 0


async def test_a_message_is_delivered_twice_over_https(hub: LocalHub) -> None:
    hub.inject(Fault(FaultKind.DUPLICATE, device=DEVICE))
    send(hub, b"m1")
    async with device(hub) as client:
        for depth in (1, 0):
            answer = await client.receive()
            assert (await client.ask("DELETE", f"{QUEUE}/{answer.lock_token}")).status == 204
            assert hub.queue_depth(DEVICE) == depth


@pytest.mark.parametrize(
    ("transport", "text"),
    [
        *((transport, text) for transport in ("mqtt", "mqtt-ws") for text in ("drop", "reset", "close")),
        *((transport, text) for transport in ("amqp", "amqp-ws") for text in ("drop", "reset", "close", "detach")),
        ("amqp", "end-session"),
    ],
)
async def test_a_receiver_of_c2dkit_learns_of_it_and_may_come_again(hub: LocalHub, transport: str, text: str) -> None:
    string, trust = hub.device_connection_string(DEVICE), hub.ssl_context()
    async with DeviceReceiver.from_connection_string(
        string, transport=transport, ssl_context=trust, retry=ONCE
    ) as receiver:
        fault = hub.inject(Fault.parse(f"{text} device={DEVICE}"))
        with pytest.raises(C2dError) as caught, anyio.fail_after(20):
            await anext(receiver)
        assert caught.value.transient
    assert fault.count == 1


async def test_one_link_is_detached_and_the_others_stay(hub: LocalHub) -> None:
    async with signed_in(hub, DEVICE) as (client, session):
        receiver = await client.receiver(session, device_address(DEVICE))
        await client.sender(session, EVENTS)
        fault = hub.inject(Fault(FaultKind.DETACH, device=DEVICE, link="devicebound"))
        detached = await end_of_link(client)
        assert detached.link is receiver
        assert detached.error is not None
        assert detached.error.condition == "amqp:link:detach-forced"
        assert await over(fault) == 1
        await client.receiver(session, device_address(DEVICE))
        send(hub, b"m1")
        await client.next(amqp.TransferReceived)


async def test_a_link_is_detached_each_time_that_it_comes(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.DETACH, device=DEVICE, times=2, condition="amqp:internal-error"))
    async with signed_in(hub, DEVICE) as (client, session):
        for _ in range(2):
            session.attach_receiver("l", source=amqp.Source(address=device_address(DEVICE)), target=amqp.Target())
            await client.send()
            detached = await client.next(amqp.LinkDetached, skip=amqp.LinkAttached)
            assert detached.error is not None
            assert detached.error.condition == "amqp:internal-error"
        assert await over(fault) == 2
        await client.receiver(session, device_address(DEVICE))


async def test_the_links_of_a_back_end_and_of_cbs(hub: LocalHub) -> None:
    async with signed_in(hub) as (client, session):
        sender = await client.sender(session, SERVICE_ADDRESS)
        feedback = await client.receiver(session, FEEDBACK_ADDRESS)
        hub.inject(Fault(FaultKind.DETACH))
        assert {(await end_of_link(client)).link for _ in range(2)} == {sender, feedback}
        hub.inject(Fault(FaultKind.DETACH, link="cbs-answers"))
        assert isinstance((await end_of_link(client)).link, amqp.ReceiverLink)
        hub.inject(Fault(FaultKind.DETACH, link="cbs-requests"))
        assert isinstance((await end_of_link(client)).link, amqp.SenderLink)


async def test_a_session_ends_and_gives_back_what_was_held(hub: LocalHub) -> None:
    send(hub, b"m1")
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        await client.next(amqp.TransferReceived)
        fault = hub.inject(Fault(FaultKind.END_SESSION, device=DEVICE))
        ended = await client.next(amqp.SessionEnded, skip=amqp.LinkDetached)
        assert ended.session is session
        assert ended.error is not None
        assert ended.error.condition == "amqp:internal-error"
        assert await over(fault) == 1
        async with device(hub) as poller:
            answer = await poller.receive()
            assert (await poller.ask("POST", f"{QUEUE}/{answer.lock_token}/abandon")).status == 204
        client._tokens = None
        await client.receiver(await client.begin(), device_address(DEVICE))  # the token goes on counting
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"m1"


async def test_links_and_sessions_are_for_amqp_alone(hub: LocalHub) -> None:
    faults = [hub.inject(Fault(kind, device=DEVICE)) for kind in (FaultKind.DETACH, FaultKind.END_SESSION)]
    async with connected(hub) as client, device(hub) as poller:
        await client.round_trip()
        assert (await poller.ask("POST", EVENTS)).status == 204
        await client.round_trip()
    assert [fault.count for fault in faults] == [0, 0]


async def test_sends_are_throttled_for_a_while(hub: LocalHub) -> None:
    trust = hub.ssl_context()
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=trust, retry=ONCE
    ) as sender:
        await sender.send(DEVICE, "before")
        hub.inject(Fault(FaultKind.THROTTLE, device=DEVICE, duration=timedelta(minutes=1)))
        with pytest.raises(ThrottledError) as throttled:
            await sender.send(DEVICE, "x")
        assert (throttled.value.hub_code, throttled.value.transient) == (429001, True)
        await sender.send("dev-2", "another's")
        hub.clock.advance(timedelta(minutes=1))
        await sender.send(DEVICE, "after")
        quota = hub.inject(Fault(FaultKind.QUOTA))
        with pytest.raises(QuotaExceededError):
            await sender.send(DEVICE, "x")
        assert await over(quota) == 1


async def test_throttled_over_https(hub: LocalHub) -> None:
    async with device(hub) as client, service(hub) as back_end, owner(hub) as administrator:
        assert (await client.ask("GET", QUEUE)).status == 204
        hub.inject(Fault(FaultKind.THROTTLE, times=3))
        answers = [
            await client.ask("GET", QUEUE),
            await client.ask("POST", EVENTS),
            await administrator.ask("GET", "/devices"),
        ]
        assert [(answer.status, answer.error) for answer in answers] == [(429, "ThrottlingException")] * 3
        assert (await back_end.ask("GET", "/messages/serviceBound/feedback")).status == 204
        assert (await client.ask("GET", QUEUE)).status == 204


async def test_a_token_is_rejected_on_every_protocol(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.REJECT_TOKEN, device=DEVICE, times=4))
    async with amqp_connection(hub) as client:
        session = await client.begin()
        answer = await client.put_token(session, token_of(hub, DEVICE))
        assert answer.status_code == 401
    plain = amqp.plain(f"{DEVICE}@sas.localhost", token_of(hub, DEVICE))
    async with amqp_connection(hub, plain) as client:
        await client.send()
        assert (await client.next(amqp.SaslFailed)).code == amqp.SASL_AUTH
    async with device(hub) as poller:
        answer_ = await poller.ask("GET", QUEUE)
        assert (answer_.status, answer_.error) == (401, "IotHubUnauthorized")
    async with mqtt_connection(hub) as mqtt_client:
        mqtt_client.engine.connect(
            client_id=DEVICE, username=username("localhost", DEVICE), password=token_of(hub, DEVICE).encode()
        )
        await mqtt_client.send()
        assert await mqtt_client.next(mqtt.ConnackReceived) == mqtt.ConnackReceived(False, 5)
    assert await over(fault) == 4
    async with connected(hub):
        pass


async def test_a_token_is_rejected_once_where_a_request_has_a_body(hub: LocalHub) -> None:
    document = {"deviceId": "dev-3"}
    async with registry(hub, "iothubowner") as administrator:
        fault = hub.inject(Fault(FaultKind.REJECT_TOKEN, times=1))
        answer = await administrator.ask("PUT", "/devices/dev-3", document)
        assert (answer.status, answer.error) == (401, "IotHubUnauthorized")
        assert await over(fault) == 1
        assert (await administrator.ask("PUT", "/devices/dev-3", document)).status == 200


async def test_a_fault_that_rejects_every_token_can_be_withdrawn_from_outside(hub: LocalHub) -> None:
    fault = hub.inject(Fault.parse("reject-token for=3600"))
    async with owner(hub) as administrator:
        assert (await administrator.ask("GET", "/devices")).status == 401
        assert (await administrator.ask("DELETE", "/$c2dkit/faults")).status == 204
        assert fault.is_over
        assert (await administrator.ask("GET", "/devices")).status == 200


async def test_a_fault_can_be_withdrawn(hub: LocalHub) -> None:
    fault = hub.inject(Fault(FaultKind.DROP, device=DEVICE, after=timedelta(minutes=1)))
    begun = hub.inject(Fault(FaultKind.THROTTLE, duration=timedelta(days=1)))
    async with device(hub) as client:
        fault.withdraw()
        begun.withdraw()
        begun.withdraw()
        assert await over(fault) == 0
        hub.clock.advance(timedelta(minutes=2))
        assert (await client.ask("GET", QUEUE)).status == 204


async def test_faults_need_a_hub_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = LocalHub()
    with pytest.raises(ClosedError):
        hub.inject(Fault(FaultKind.DROP))
    monkeypatch.setattr(injection, "MAX_FAULTS", 1)
    async with hub:
        fault = hub.inject(Fault(FaultKind.DROP, device="dev-1"))
        with pytest.raises(InvalidInputError, match="at most 1 faults"):
            hub.inject(Fault(FaultKind.DROP))
    assert fault.is_over


async def command(client: MqttClient, operation: str, **more: str) -> None:
    """Send telemetry with the command of an SDK's test."""
    properties = {"Type": operation, "CloseReason": "%20boom%20", **more}
    bag = "&".join(f"{PREFIX}{name}={value}" for name, value in properties.items())
    client.engine.publish(f"devices/{DEVICE}/messages/events/{bag}", b"")
    await client.send()


async def test_an_sdk_cuts_its_own_mqtt_connection(hub: LocalHub) -> None:
    async with connected(hub) as client, connected(hub, "dev-2") as other:
        await command(client, "KillTcp", DelayInSecs="2")
        await client.next(mqtt.PubackReceived)
        hub.clock.advance(timedelta(seconds=2))
        assert isinstance(await lost(client), anyio.EndOfStream)
        await other.round_trip()


async def test_a_refused_event_ends_an_mqtt_connection(hub: LocalHub) -> None:
    async with connected(hub) as client:
        await command(client, "InvokeThrottling", DurationInSecs="20")
        await client.next(mqtt.PubackReceived)
        await command(client, "KillTcp")
        await client.closed()


@pytest.mark.parametrize(
    ("operation", "condition"),
    [
        ("InvokeThrottling", "com.microsoft:device-container-throttled"),
        ("InvokeMaxMessageQuota", "com.microsoft:quota-exceeded"),
        ("InvokeAuthError", "amqp:unauthorized-access"),
    ],
)
async def test_an_sdk_has_its_own_amqp_messages_refused(hub: LocalHub, operation: str, condition: str) -> None:
    properties = {f"{PREFIX}Type": operation, f"{PREFIX}DurationInSecs": 5}
    payload = amqp.encode_message(amqp.AmqpMessage(application_properties=properties, data=b""))
    async with signed_in(hub, DEVICE) as (client, session):
        sender = await client.sender(session, EVENTS)
        assert await outcome(client, sender, payload) == amqp.Accepted()
        rejected = await outcome(client, sender, payload)
        assert isinstance(rejected, amqp.Rejected)
        assert rejected.error is not None
        assert rejected.error.condition == condition
        hub.clock.advance(timedelta(seconds=5))
        assert await outcome(client, sender, amqp.encode_message(amqp.AmqpMessage(data=b""))) == amqp.Accepted()


async def outcome(client: AmqpClient, sender: amqp.SenderLink, payload: bytes) -> object:
    sender.send(payload, tag=b"1")
    await client.send()
    return (await client.next(amqp.DeliveryUpdated)).state


async def test_an_sdk_cuts_its_own_link(hub: LocalHub) -> None:
    payload = amqp.encode_message(
        amqp.AmqpMessage(application_properties={f"{PREFIX}Type": "KillAmqpC2DLink"}, data=b"")
    )
    async with signed_in(hub, DEVICE) as (client, session):
        receiver = await client.receiver(session, device_address(DEVICE))
        sender = await client.sender(session, EVENTS)
        assert await outcome(client, sender, payload) == amqp.Accepted()
        assert (await end_of_link(client)).link is receiver


def headers(operation: str) -> Mapping[str, str]:
    return {f"iothub-app-{PREFIX}Type": operation}


async def test_an_sdk_commands_over_https(hub: LocalHub) -> None:
    async with device(hub) as client:
        assert (await client.ask("POST", EVENTS, headers=headers("InvokeThrottling"))).status == 204
        assert (await client.ask("POST", EVENTS)).status == 429


@pytest.mark.parametrize("operation", ["KillAmqpTwinLinkReq", "Explode"])
async def test_a_command_that_the_hub_does_not_have_is_telemetry(hub: LocalHub, operation: str) -> None:
    async with device(hub) as client:
        for _ in range(2):
            assert (await client.ask("POST", EVENTS, headers=headers(operation))).status == 204


async def test_commands_are_bounded(hub: LocalHub) -> None:
    async with device(hub) as client:
        for _ in range(20):
            assert (await client.ask("POST", EVENTS, headers=headers("KillAmqpSession"))).status == 204
    core = hub._core
    assert core is not None
    assert core.faults.count_of(DEVICE) == 16


async def test_commands_can_be_left_unheeded() -> None:
    async with LocalHub(options=HubOptions(sdk_fault_commands=False)) as hub, device(hub) as client:
        for _ in range(2):
            assert (await client.ask("POST", EVENTS, headers=headers("InvokeThrottling"))).status == 204


async def test_feedback_goes_on_where_a_batch_could_not_be_completed(hub: LocalHub) -> None:
    transport = partial(HttpsServiceTransport, polling=PollingInterval.every(timedelta(milliseconds=1)))
    trust, back_end = hub.ssl_context(), hub.service_connection_string
    async with (
        CloudSender.from_connection_string(back_end, ssl_context=trust) as sender,
        FeedbackStream.from_connection_string(back_end, transport=transport, ssl_context=trust) as feedback,
    ):
        seen: list[str] = []

        async def read() -> None:
            seen.append((await anext(feedback)).original_message_id)

        with anyio.fail_after(20):
            await sender.send(DEVICE, "first", message_id="first", ack="negative")
            await sender.purge(DEVICE)
            await read()
            refusal = hub.inject(Fault(FaultKind.REJECT_TOKEN, times=1))
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await refusal.wait()
                hub.clock.advance(LOCK_DURATION)  # the batch that was not completed comes again
        assert seen == ["first", "first"]
