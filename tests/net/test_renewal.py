"""Connections outlive their tokens. One clock moves both ends, but for the tests in which the two clocks differ."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest

from c2dkit import (
    CloudSender,
    ConnectError,
    ConnectionLostError,
    ConnectionState,
    ConnectionStringError,
    DeviceCredential,
    DeviceReceiver,
    EntraCredential,
    FeedbackStream,
    MessageLockLostError,
    RetryPolicy,
    ServiceCredential,
    UnauthorizedError,
)
from c2dkit._models import Ack, Message
from c2dkit.hub import ConnectionEvent, FeedbackBatchEvent, HubOptions, LocalHub, TokenIssuer
from c2dkit.hub._amqp import AmqpVisit
from c2dkit.hub._mqtt import MqttVisit
from c2dkit.testing.contract._bench import until
from c2dkit.transports import (
    AmqpDeviceTransport,
    AmqpServiceTransport,
    HttpsDeviceTransport,
    HttpsServiceTransport,
    MqttDeviceTransport,
    PollingInterval,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from c2dkit.transports import Clock, DeviceTransport, ServiceTransport

ISSUER = TokenIssuer.create()  # making its key takes a while
AT_ONCE = PollingInterval.every(timedelta(milliseconds=1))
NONE = RetryPolicy.none()
SOON = RetryPolicy(first_delay=timedelta(0), max_delay=timedelta(0))
DEVICE = "dev-1"
HALF = timedelta(minutes=50)
"""More than the time after which a token is renewed, and two of them more than a token lives."""
ROUNDS = 13
"""More than the answers for which a client gives credit at first."""


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    options = HubOptions(feedback_interval=timedelta(0))
    async with LocalHub(devices=[DEVICE], options=options, issuers=[ISSUER]) as hub:
        yield hub


@pytest.fixture
async def lenient() -> AsyncIterator[LocalHub]:
    """A hub that bears a token for a while after its end, so that the client is the first to see it."""
    options = HubOptions(feedback_interval=timedelta(0), token_grace=timedelta(minutes=15))
    async with LocalHub(devices=[DEVICE], options=options, issuers=[ISSUER]) as hub:
        yield hub


def device(
    hub: LocalHub, name: str, clock: Clock | None = None, credential: DeviceCredential | None = None
) -> DeviceTransport:
    credential = credential or DeviceCredential.from_connection_string(hub.device_connection_string(DEVICE))
    trust, clock = hub.ssl_context(), clock or hub.clock
    if name == "https":
        return HttpsDeviceTransport(credential, ssl_context=trust, clock=clock, polling=AT_ONCE)
    transport = AmqpDeviceTransport if name.startswith("amqp") else MqttDeviceTransport
    return transport(credential, ssl_context=trust, clock=clock, websocket=name.endswith("-ws"))


def service(
    hub: LocalHub, name: str, credential: ServiceCredential | EntraCredential, clock: Clock | None = None
) -> ServiceTransport:
    trust, clock = hub.ssl_context(), clock or hub.clock
    if name == "https":
        return HttpsServiceTransport(credential, ssl_context=trust, clock=clock, polling=AT_ONCE)
    return AmqpServiceTransport(credential, ssl_context=trust, clock=clock, websocket=name.endswith("-ws"))


def owner(hub: LocalHub) -> ServiceCredential:
    return ServiceCredential.from_connection_string(hub.service_connection_string)


class Given(NamedTuple):
    token: str
    expires_on: int


class Provider:
    """A token credential that lives by the hub's clock, and fails when it is told to."""

    def __init__(self, clock: Clock) -> None:
        self.failing = False
        self.asked = 0
        self._clock = clock

    async def get_token(self, *_: str) -> Given:
        self.asked += 1
        if self.failing:
            raise PermissionError("client_secret=hunter2")
        now = self._clock.now()
        return Given(ISSUER.token(not_before=now), int(now.timestamp()) + 3600)


class Late:
    """A clock that is behind another."""

    def __init__(self, clock: Clock, by: timedelta) -> None:
        self._clock = clock
        self._by = by

    def now(self) -> datetime:
        return self._clock.now() - self._by

    async def until(self, moment: datetime) -> None:
        await self._clock.until(moment + self._by)


def send(hub: LocalHub, message_id: str) -> None:
    """Queue a message, past any back end."""
    hub._state.send(Message(b"x", message_id=message_id, to=f"/devices/{DEVICE}/messages/devicebound", ack=Ack.FULL))


def token_ends(hub: LocalHub) -> Iterator[datetime]:
    """Yield when the tokens end that the hub has been given, by its open connections."""
    assert hub._core is not None
    for visit in hub._core.connections:
        if isinstance(visit, AmqpVisit):
            yield from (grant.expires_at for grant in visit._grants._grants.values())
        elif isinstance(visit, MqttVisit) and visit._grant is not None:
            yield visit._grant.expires_at


async def advance(hub: LocalHub, by: timedelta, *, renewed: bool = True) -> None:
    """Let time pass, and wait until the hub has as many fresh tokens as it had tokens."""
    count, now = len(list(token_ends(hub))), hub.clock.now() + by
    hub.clock.advance(by)
    if renewed:
        await until(lambda: [end > now + HALF / 2 for end in token_ends(hub)] == [True] * count)


async def watch(hub: LocalHub, kind: type[ConnectionEvent] | type[FeedbackBatchEvent], seen: list[str]) -> None:
    with hub.events() as events:
        async for event in events:
            if isinstance(event, kind):
                seen += [event.what]


async def read(feedback: FeedbackStream, seen: list[str]) -> None:
    async for record in feedback:
        seen += [record.original_message_id]


DEVICE_LEGS = ["amqp", "amqp-ws", "mqtt", "mqtt-ws", "https"]
SERVICE_LEGS = ["amqp", "amqp-ws", "https"]


@pytest.mark.parametrize("name", DEVICE_LEGS)
@pytest.mark.parametrize("behind", [timedelta(0), timedelta(minutes=8)])
async def test_a_device_outlives_its_tokens(hub: LocalHub, name: str, behind: timedelta) -> None:
    received: list[str | None] = []
    watched: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, hub, ConnectionEvent, watched)
        await anyio.wait_all_tasks_blocked()
        async with DeviceReceiver(device(hub, name, Late(hub.clock, behind)), retry=NONE) as receiver:
            for number in range(ROUNDS):
                send(hub, f"before-{number}")
                message = await anext(receiver)
                await message.complete()
                await until(lambda: not hub.queue_depth(DEVICE))
                await advance(hub, HALF)
                send(hub, f"after-{number}")
                again = await anext(receiver)
                await again.complete()
                received += [message.message_id, again.message_id]
                await until(lambda: not hub.queue_depth(DEVICE))
        tasks.cancel_scope.cancel()
    assert received == [f"{when}-{number}" for number in range(ROUNDS) for when in ("before", "after")]
    # AMQP puts a token on the same connection, MQTT needs another one, HTTPS has none.
    assert watched.count("connected") == {"amqp": 1, "mqtt": 1 + ROUNDS, "https": 0}[name.removesuffix("-ws")]
    assert "refused" not in watched


@pytest.mark.parametrize("name", SERVICE_LEGS)
@pytest.mark.parametrize("entra", [False, True])
async def test_a_back_end_outlives_its_tokens(hub: LocalHub, name: str, entra: bool) -> None:
    provider = Provider(hub.clock)
    signed = EntraCredential(host_name="localhost", port=hub.port, token_credential=provider)
    transport = service(hub, name, signed if entra else owner(hub))
    records: list[str] = []
    batches: list[str] = []
    async with (
        CloudSender(transport, retry=NONE) as sender,
        FeedbackStream(transport, retry=NONE) as feedback,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(read, feedback, records)
        tasks.start_soon(watch, hub, FeedbackBatchEvent, batches)
        for number in range(ROUNDS):
            message_id = f"m-{number}"
            if name == "https":
                send(hub, message_id)
            else:
                await sender.send(DEVICE, "x", message_id=message_id, ack=Ack.FULL)
            locked = hub._state.receive(DEVICE, holder=object())
            assert locked is not None
            hub._state.complete(DEVICE, locked.lock_token)
            await until(lambda: batches.count("completed") == number + 1)  # noqa: B023 - awaited here
            assert records[number:] == [message_id]
            assert hub.connection_count == 1
            await advance(hub, HALF)
        tasks.cancel_scope.cancel()
    if entra:
        assert provider.asked == (ROUNDS if name == "https" else ROUNDS + 1)


async def test_a_quiet_mqtt_device_shows_that_it_signs_in_anew(hub: LocalHub) -> None:
    receiver = DeviceReceiver(device(hub, "mqtt"), retry=NONE)
    seen: list[object] = []

    async def follow() -> None:
        seen.extend([(status.state, status.tries) async for status in receiver.connection])

    async with anyio.create_task_group() as tasks, receiver:
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        hub.clock.advance(HALF)
        await receiver.connection.wait_for(ConnectionState.RETRYING)
        await receiver.connection.wait_for(ConnectionState.CONNECTED)
    outage = [(ConnectionState.CONNECTED, 0), (ConnectionState.RETRYING, 0), (ConnectionState.CONNECTED, 0)]
    assert seen == [*outage, (ConnectionState.CLOSED, 0)]


async def test_mqtt_waits_until_no_message_is_held(hub: LocalHub) -> None:
    async with DeviceReceiver(device(hub, "mqtt"), retry=NONE) as receiver:
        for message_id in ("one", "two"):
            send(hub, message_id)
        one, two = await anext(receiver), await anext(receiver)
        first = list(token_ends(hub))
        await advance(hub, timedelta(minutes=49), renewed=False)
        await two.complete()  # waits for its turn, behind one
        await anyio.wait_all_tasks_blocked()
        assert list(token_ends(hub)) == first
        await one.complete()
        await until(lambda: hub.queue_depth(DEVICE) == 0 and list(token_ends(hub)) > first)
        send(hub, "three")
        assert (await anext(receiver)).message_id == "three"


async def test_mqtt_does_not_wait_for_ever(hub: LocalHub) -> None:
    async with DeviceReceiver(device(hub, "mqtt"), retry=NONE) as receiver:
        send(hub, "m")
        held = await anext(receiver)
        await advance(hub, timedelta(minutes=55))
        with pytest.raises(MessageLockLostError) as caught:
            await held.complete()
        assert "fresh token" in str(caught.value.__cause__)
        again = await anext(receiver)
        assert again.message_id == "m"
        await again.complete()
        await until(lambda: hub.queue_depth(DEVICE) == 0)


@pytest.mark.parametrize("name", DEVICE_LEGS)
async def test_a_ready_made_token_ends_for_good(lenient: LocalHub, name: str) -> None:
    credential = DeviceCredential.from_connection_string(lenient.device_connection_string(DEVICE))
    ready = DeviceCredential(
        host_name=credential.host_name,
        port=credential.port,
        device_id=DEVICE,
        shared_access_signature=credential.token(lenient.clock.now()).text,
    )
    receiver = DeviceReceiver(device(lenient, name, credential=ready), retry=RetryPolicy(deadline=None))
    async with receiver:
        send(lenient, "m")
        await (await anext(receiver)).complete()
        await advance(lenient, timedelta(minutes=61), renewed=False)
        with pytest.raises(ConnectionStringError, match="expired at"):
            await anext(receiver)
    assert isinstance(receiver.connection.status.cause, ConnectionStringError)


@pytest.mark.parametrize("name", SERVICE_LEGS)
async def test_a_provider_that_fails_is_asked_again_while_the_token_lasts(hub: LocalHub, name: str) -> None:
    provider = Provider(hub.clock)
    credential = EntraCredential(host_name="localhost", port=hub.port, token_credential=provider)
    async with (
        FeedbackStream(service(hub, name, credential), retry=NONE) as feedback,
        anyio.create_task_group() as tasks,
    ):
        records: list[str] = []
        tasks.start_soon(read, feedback, records)
        await until(lambda: provider.asked > 0)
        provider.failing = True
        hub.clock.advance(timedelta(minutes=49))
        for _ in range(5):
            asked = provider.asked
            await until(lambda: provider.asked > asked)  # noqa: B023 - awaited here
            hub.clock.advance(timedelta(minutes=1))
        provider.failing = False
        asked = provider.asked
        hub.clock.advance(timedelta(minutes=1))
        await until(lambda: provider.asked > asked)
        await advance(hub, timedelta(0))
        hub.clock.advance(timedelta(minutes=30))
        send(hub, "m")
        hub._state.purge(DEVICE)
        await until(lambda: records == ["m"])
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", SERVICE_LEGS)
async def test_a_provider_whose_own_work_is_cancelled_ends_nothing_in_silence(hub: LocalHub, name: str) -> None:
    class Cancelled:
        async def get_token(self, *_: str) -> Given:
            raise asyncio.CancelledError

    credential = EntraCredential(host_name="localhost", port=hub.port, token_credential=Cancelled())
    with pytest.raises(ConnectError, match="it raised CancelledError"):
        async with FeedbackStream(service(hub, name, credential), retry=NONE) as feedback:
            await anext(feedback)


@pytest.mark.parametrize("name", SERVICE_LEGS)
async def test_a_provider_that_goes_on_failing_ends_the_link_with_the_token(lenient: LocalHub, name: str) -> None:
    provider = Provider(lenient.clock)
    credential = EntraCredential(host_name="localhost", port=lenient.port, token_credential=provider)
    feedback = FeedbackStream(service(lenient, name, credential), retry=NONE)
    errors: list[Exception] = []

    async def fail() -> None:
        await until(lambda: provider.asked > 0)
        provider.failing = True
        lenient.clock.advance(timedelta(minutes=61))

    async with feedback, anyio.create_task_group() as tasks:
        tasks.start_soon(fail)
        with pytest.raises((ConnectionLostError, ConnectError), match="it raised PermissionError") as caught:
            await read(feedback, [])
        errors.append(caught.value)
    (error,) = errors
    if name != "https":
        assert "the token ended at" in str(error)
        assert isinstance(error.__cause__, ConnectError)
    assert feedback.connection.status.cause is error


@pytest.mark.parametrize("name", DEVICE_LEGS)
async def test_a_clock_that_is_too_slow_costs_a_connection_and_no_message(hub: LocalHub, name: str) -> None:
    transport = device(hub, name, Late(hub.clock, timedelta(minutes=30)))
    async with DeviceReceiver(transport, retry=SOON) as receiver:
        for number in range(4):
            hub.clock.advance(timedelta(minutes=35))  # the hub's half hour of the token is over, the device's is not
            send(hub, f"{number}")
            message = await anext(receiver)
            assert message.message_id == f"{number}"
            await message.complete()
            await until(lambda: not hub.queue_depth(DEVICE))


async def test_https_says_that_the_clocks_differ(hub: LocalHub) -> None:
    now = datetime.now(UTC)
    transport = device(hub, "https", Late(hub.clock, timedelta(hours=2)))
    async with DeviceReceiver(transport, retry=NONE) as receiver:
        with pytest.raises(UnauthorizedError, match=r"clock is 7\d\d\d s behind the hub's") as caught:
            await anext(receiver)
    assert caught.value.clock_skew is not None
    assert abs(caught.value.clock_skew + timedelta(hours=2)) < datetime.now(UTC) - now + timedelta(seconds=2)


async def test_a_key_that_is_no_longer_good_ends_everything_at_once(hub: LocalHub) -> None:
    for name in ("amqp", "mqtt"):
        receiver = DeviceReceiver(device(hub, name), retry=SOON)
        async with receiver:
            hub.rotate_device_key(DEVICE, "primary")
            with pytest.raises(UnauthorizedError):
                await anext(receiver)
