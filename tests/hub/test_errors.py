"""Every error of the hub as each protocol tells it, provoked from outside and compared with one table a protocol."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import anyio
import pytest

from c2dkit._models import Message
from c2dkit._protocols import amqp, mqtt
from c2dkit._wire import cbs
from c2dkit._wire.amqp import SERVICE_ADDRESS, device_address, encode_message
from c2dkit._wire.mqtt import username
from c2dkit.hub import Fault, FaultKind, HubOptions, LocalHub
from c2dkit.hub import _amqp_grants as grants
from tests.hub.test_amqp_door import connection as amqp_connection
from tests.hub.test_amqp_door import queue, signed_in, token_of
from tests.hub.test_http_door import client as http_client
from tests.hub.test_http_door import device, device_token, owner, service
from tests.hub.test_mqtt_door import connected
from tests.hub.test_mqtt_door import connection as mqtt_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.hub.test_amqp_door import Client as AmqpClient
    from tests.hub.test_http_door import Answer

DEVICE: Final = "dev-1"
TO: Final = f"/devices/{DEVICE}/messages/devicebound"
EVENTS: Final = f"/devices/{DEVICE}/messages/events"
QUEUE: Final = f"/devices/{DEVICE}/messages/deviceBound"
TRACKING_ID: Final = re.compile("[0-9a-f]{32}")


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    async with LocalHub(devices=[DEVICE, "dev-2"], options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub


class Told(NamedTuple):
    """What AMQP tells: a condition, and a code where the description is a JSON text, as at the end of a link."""

    condition: str
    code: int | None = None


def told(error: amqp.AmqpError | None) -> Told:
    """Read an error of the hub, checking what all of them have."""
    assert error is not None
    assert error.description
    assert error.info is not None
    tracking_id = error.info["com.microsoft:tracking-id"]
    assert isinstance(tracking_id, str)
    assert TRACKING_ID.fullmatch(tracking_id)
    if not error.description.startswith("{"):
        return Told(error.condition)
    description = json.loads(error.description)
    assert set(description) == {"errorCode", "trackingId", "message", "timestampUtc"}
    assert description["trackingId"] == tracking_id
    assert datetime.fromisoformat(description["timestampUtc"]).utcoffset() == timedelta(0)
    return Told(error.condition, description["errorCode"])


async def refused_link(client: AmqpClient, session: amqp.Session, address: str) -> Told:
    session.attach_receiver(uuid4().hex, source=amqp.Source(address=address), target=amqp.Target())
    await client.send()
    return told((await client.next(amqp.LinkDetached, skip=amqp.LinkAttached)).error)


async def ended_link(client: AmqpClient) -> Told:
    return told((await client.next(amqp.LinkDetached, skip=amqp.TransferReceived)).error)


async def bad_address(hub: LocalHub) -> Told:
    async with signed_in(hub, DEVICE) as (client, session):
        return await refused_link(client, session, "/devices/dev-1/twin")


async def no_token(hub: LocalHub) -> Told:
    async with amqp_connection(hub) as client:
        return await refused_link(client, await client.begin(), device_address(DEVICE))


async def token_of_another(hub: LocalHub) -> Told:
    async with signed_in(hub, "dev-2") as (client, session):
        return await refused_link(client, session, device_address(DEVICE))


async def disabled_before(hub: LocalHub) -> Told:
    async with signed_in(hub, DEVICE) as (client, session):
        hub.disable_device(DEVICE)
        return await refused_link(client, session, device_address(DEVICE))


async def too_many_connections(hub: LocalHub) -> Told:
    hub.inject(Fault(FaultKind.THROTTLE, device=DEVICE))
    async with signed_in(hub, DEVICE) as (client, session):
        return await refused_link(client, session, device_address(DEVICE))


async def newer_receiver(hub: LocalHub) -> Told:
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        async with signed_in(hub, DEVICE) as (newer, other):
            await newer.receiver(other, device_address(DEVICE))
            return await ended_link(client)


async def disabled_while_attached(hub: LocalHub) -> Told:
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE), credit=0)
        hub.disable_device(DEVICE)
        return await ended_link(client)


async def deleted_while_attached(hub: LocalHub) -> Told:
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        hub._state.remove_device(DEVICE)
        return await ended_link(client)


async def expired_while_attached(hub: LocalHub) -> Told:
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        hub.clock.advance(timedelta(hours=2))
        return await ended_link(client)


LINKS: Final[dict[Callable[[LocalHub], Awaitable[Told]], Told]] = {
    bad_address: Told("amqp:not-found", 404006),
    no_token: Told("amqp:unauthorized-access", 401003),
    token_of_another: Told("amqp:unauthorized-access", 401003),
    disabled_before: Told("amqp:unauthorized-access", 401003),
    too_many_connections: Told("com.microsoft:device-container-throttled", 503008),
    newer_receiver: Told("amqp:link:stolen", 409002),
    disabled_while_attached: Told("amqp:unauthorized-access", 401003),
    deleted_while_attached: Told("amqp:unauthorized-access", 401003),
    expired_while_attached: Told("amqp:unauthorized-access", 401003),
}


@pytest.mark.parametrize(("provoke", "expected"), LINKS.items(), ids=lambda each: getattr(each, "__name__", ""))
async def test_amqp_links(hub: LocalHub, provoke: Callable[[LocalHub], Awaitable[Told]], expected: Told) -> None:
    assert await provoke(hub) == expected


def message(body: bytes = b"x", *, to: str = TO) -> bytes:
    return encode_message(Message(body, to=to))


def full(hub: LocalHub) -> None:
    queue(hub, *(f"m{number}".encode() for number in range(50)))


def throttled(hub: LocalHub) -> None:
    hub.inject(Fault(FaultKind.THROTTLE))


def used_up(hub: LocalHub) -> None:
    hub.inject(Fault(FaultKind.QUOTA))


def disabled(hub: LocalHub) -> None:
    hub.disable_device(DEVICE)


def nothing(_: LocalHub) -> None:
    pass


SENDS: Final = {
    "unknown device": (nothing, message(to="/devices/dev-9/messages/devicebound"), "amqp:not-found"),
    "disabled device": (disabled, message(), "amqp:not-found"),
    "no device": (nothing, message(to="/somewhere"), "com.microsoft:argument-error"),
    "full queue": (full, message(), "amqp:resource-limit-exceeded"),
    "too large": (nothing, message(bytes(65_537)), "amqp:link:message-size-exceeded"),
    "throttled": (throttled, message(), "com.microsoft:device-container-throttled"),
    "quota": (used_up, message(), "com.microsoft:quota-exceeded"),
}


@pytest.mark.parametrize(("prepare", "payload", "condition"), SENDS.values(), ids=SENDS)
async def test_amqp_sends(hub: LocalHub, prepare: Callable[[LocalHub], None], payload: bytes, condition: str) -> None:
    async with signed_in(hub) as (client, session):
        sender = await client.sender(session, SERVICE_ADDRESS)
        prepare(hub)
        rejected = await outcome(client, sender, payload)
        assert isinstance(rejected, amqp.Rejected)
        assert told(rejected.error) == Told(condition)
        assert hub.queue_depth("dev-2") == 0


async def outcome(client: AmqpClient, sender: amqp.SenderLink, payload: bytes) -> object:
    sender.send(payload, tag=b"1")
    await client.send()
    update = await client.next(amqp.DeliveryUpdated)
    assert update.settled
    return update.state


async def test_amqp_a_payload_that_is_no_message(hub: LocalHub) -> None:
    async with signed_in(hub) as (client, session), signed_in(hub, DEVICE) as (other, others):
        for each, link in (
            (client, await client.sender(session, SERVICE_ADDRESS)),
            (other, await other.sender(others, EVENTS)),
        ):
            rejected = await outcome(each, link, b"\x00\xff")
            assert isinstance(rejected, amqp.Rejected)
            assert rejected.error is not None
            assert rejected.error.condition == "amqp:decode-error"


async def test_amqp_a_lock_that_is_lost(hub: LocalHub) -> None:
    queue(hub, b"m1")
    async with signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE), credit=1, rcv_settle_mode=amqp.SECOND)
        event = await client.next(amqp.TransferReceived)
        hub.clock.advance(timedelta(seconds=61))
        rejected = await client.settle(event, amqp.Accepted())
        assert isinstance(rejected, amqp.Rejected)
        assert told(rejected.error) == Told("com.microsoft:message-lock-lost")


async def test_amqp_a_connection_without_a_token(hub: LocalHub) -> None:
    async with amqp_connection(hub) as client:
        await client.begin()
        hub.clock.advance(timedelta(minutes=2), silence=True)
        closed = await client.next(amqp.Closed, skip=amqp.SessionEnded)
        assert told(closed.error) == Told("amqp:unauthorized-access")


async def test_amqp_put_token(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    good = token_of(hub, DEVICE)
    table = {
        good.replace("sig=", "sig=A"): 401,
        good.replace(f"devices%2F{DEVICE}", "devices%2Fdev-9"): 401,
        "nonsense": 401,
        good: 200,
        token_of(hub, "dev-2"): 403,  # 403005: more than a connection may have
    }
    monkeypatch.setattr(grants, "MAX_GRANTS", 1)
    async with amqp_connection(hub) as client:
        session = await client.begin()
        answers = [await client.put_token(session, token) for token in table]
    assert [answer.status_code for answer in answers] == list(table.values())
    assert all(answer.description for answer in answers)


async def test_amqp_a_request_of_cbs_that_is_none(hub: LocalHub) -> None:
    payload = amqp.encode_message(amqp.AmqpMessage(application_properties={"operation": "delete-token"}, data=b""))
    async with amqp_connection(hub) as client:
        rejected = await outcome(client, await client.sender(await client.begin(), "$cbs"), payload)
        assert isinstance(rejected, amqp.Rejected)
        assert rejected.error is not None
        assert rejected.error.condition == "com.microsoft:argument-error"
        assert cbs.SAS_TOKEN_TYPE not in (rejected.error.description or "")


@pytest.mark.parametrize("user", [f"{DEVICE}@sas.localhost", "service@sas.root.localhost", DEVICE])
async def test_amqp_sasl(hub: LocalHub, user: str) -> None:
    async with amqp_connection(hub, amqp.plain(user, token_of(hub, "dev-2"))) as client:
        await client.send()
        assert (await client.next(amqp.SaslFailed)).code == amqp.SASL_AUTH


def good_token(hub: LocalHub) -> str | None:
    return device_token(hub)


def token_of_dev_2(hub: LocalHub) -> str | None:
    return device_token(hub, "dev-2")


def old_token(hub: LocalHub) -> str | None:
    return device_token(hub, now=datetime.now(UTC) - timedelta(hours=2))


def no_password(_: LocalHub) -> str | None:
    return None


def nonsense(_: LocalHub) -> str | None:
    return "nonsense"


def rejected(hub: LocalHub) -> None:
    hub.inject(Fault(FaultKind.REJECT_TOKEN))


class Connect(NamedTuple):
    """A CONNECT, by what is wrong with it."""

    device_id: str = DEVICE
    user: str = username("localhost", DEVICE)
    password: Callable[[LocalHub], str | None] = good_token
    prepare: Callable[[LocalHub], None] = nothing


CONNECTS: Final = {
    "signature": Connect(password=token_of_dev_2),
    "expired": Connect(password=old_token),
    "nonsense": Connect(password=nonsense),
    "no password": Connect(password=no_password),
    "unknown device": Connect("dev-9", username("localhost", "dev-9")),
    "disabled device": Connect(prepare=disabled),
    "client id": Connect("dev-2"),
    "module": Connect(f"{DEVICE}/m", f"localhost/{DEVICE}/m/?api-version=2021-04-12"),
    "user name": Connect(user="nonsense"),
    "throttled": Connect(prepare=throttled),
    "rejected token": Connect(prepare=rejected),
}


@pytest.mark.parametrize("wrong", CONNECTS.values(), ids=CONNECTS)
async def test_mqtt_connects(hub: LocalHub, wrong: Connect) -> None:
    password = wrong.password(hub)
    wrong.prepare(hub)
    async with mqtt_connection(hub) as client:
        client.engine.connect(
            client_id=wrong.device_id, username=wrong.user, password=None if password is None else password.encode()
        )
        await client.send()
        # 5 for every refusal, whatever the cause; then the hub closes.
        assert await client.next(mqtt.ConnackReceived) == mqtt.ConnackReceived(False, 5)
        await client.closed()


def publish(qos: int, topic: str = "devices/dev-1/messages/events/") -> bytes:
    head = len(topic).to_bytes(2, "big") + topic.encode() + (b"\x00\x07" if qos else b"")
    return bytes([0x30 | qos << 1, len(head)]) + head


def deleted(hub: LocalHub) -> None:
    hub._state.remove_device(DEVICE)


def two_hours_later(hub: LocalHub) -> None:
    hub.clock.advance(timedelta(hours=2))


def silent(hub: LocalHub) -> None:
    hub.clock.advance(timedelta(minutes=2), silence=True)


CLOSES: Final = {
    "QoS 2": (nothing, publish(2)),
    "disabled": (disabled, b""),
    "deleted": (deleted, b""),
    "token expired": (two_hours_later, b""),
    "silent": (silent, b""),
    "throttled": (throttled, publish(1)),
    "quota": (used_up, publish(0)),
    "protocol": (nothing, b"\xf0\x00"),
}


@pytest.mark.parametrize("subscribed", [False, True])
@pytest.mark.parametrize(("prepare", "data"), CLOSES.values(), ids=CLOSES)
async def test_mqtt_closes_without_a_word(
    hub: LocalHub, prepare: Callable[[LocalHub], None], data: bytes, *, subscribed: bool
) -> None:
    async with connected(hub) as client:
        if subscribed:
            await client.subscribe()
        prepare(hub)
        await client.send_bytes(data)
        await client.closed()


async def test_mqtt_a_newer_connection(hub: LocalHub) -> None:
    async with connected(hub) as older, connected(hub, present=True) as newer:
        await older.closed()
        await newer.round_trip()


class Said(NamedTuple):
    """What HTTP tells: a status and the name of the error."""

    status: int
    name: str


async def by_device(hub: LocalHub, method: str, path: str) -> Answer:
    async with device(hub) as client:
        return await client.ask(method, path)


async def by_owner(hub: LocalHub, method: str, path: str) -> Answer:
    async with owner(hub) as client:
        return await client.ask(method, path)


async def by_service(hub: LocalHub, method: str, path: str) -> Answer:
    async with service(hub) as client:
        return await client.ask(method, path)


async def by_nobody(hub: LocalHub, method: str, path: str) -> Answer:
    async with http_client(hub, None) as client:
        return await client.ask(method, path)


async def by_yesterdays_device(hub: LocalHub, method: str, path: str) -> Answer:
    async with http_client(hub, device_token(hub, now=datetime.now(UTC) - timedelta(days=1))) as client:
        return await client.ask(method, path)


UNAUTHORIZED: Final = Said(401, "IotHubUnauthorized")
REQUESTS: Final = {
    "no authorization": (nothing, by_nobody, "GET", QUEUE, UNAUTHORIZED),
    "expired": (nothing, by_yesterdays_device, "GET", QUEUE, UNAUTHORIZED),
    "another device": (nothing, by_device, "GET", QUEUE.replace(DEVICE, "dev-2"), UNAUTHORIZED),
    "another's telemetry": (nothing, by_device, "POST", EVENTS.replace(DEVICE, "dev-2"), UNAUTHORIZED),
    "disabled device": (disabled, by_device, "GET", QUEUE, UNAUTHORIZED),
    "no right": (nothing, by_service, "GET", "/devices", UNAUTHORIZED),
    "a device's key": (nothing, by_device, "GET", "/messages/serviceBound/feedback", UNAUTHORIZED),
    "unknown device": (nothing, by_owner, "GET", "/devices/dev-9", Said(404, "DeviceNotFound")),
    "purge of an unknown device": (
        nothing,
        by_service,
        "DELETE",
        "/devices/dev-9/commands",
        Said(404, "DeviceNotFound"),
    ),
    "unknown address": (nothing, by_owner, "GET", "/nothing", Said(404, "GenericNotFound")),
    "method": (nothing, by_device, "PUT", QUEUE, Said(405, "GenericMethodNotAllowed")),
    "lost lock": (nothing, by_device, "DELETE", f"{QUEUE}/{uuid4()}", Said(412, "DeviceMessageLockLost")),
    "no lock": (nothing, by_device, "POST", f"{QUEUE}/x/abandon", Said(412, "DeviceMessageLockLost")),
    "throttled": (throttled, by_device, "GET", QUEUE, Said(429, "ThrottlingException")),
    "throttled registry": (throttled, by_owner, "GET", "/devices", Said(429, "ThrottlingException")),
    "quota": (used_up, by_device, "POST", EVENTS, Said(403, "IotHubQuotaExceeded")),
    "bad fault": (nothing, by_owner, "POST", "/$c2dkit/faults?fault=explode", Said(400, "ArgumentInvalid")),
    "fault without the right": (nothing, by_service, "POST", "/$c2dkit/faults?fault=drop", UNAUTHORIZED),
    "no clearing without the right": (nothing, by_device, "DELETE", "/$c2dkit/faults", UNAUTHORIZED),
}


@pytest.mark.parametrize(("prepare", "ask", "method", "path", "expected"), REQUESTS.values(), ids=REQUESTS)
async def test_http(
    hub: LocalHub,
    prepare: Callable[[LocalHub], None],
    ask: Callable[[LocalHub, str, str], Awaitable[Answer]],
    method: str,
    path: str,
    expected: Said,
) -> None:
    prepare(hub)
    answer = await ask(hub, method, path)
    assert Said(answer.status, answer.error) == expected
    body = json.loads(answer.body)
    assert set(body) == {"Message", "ExceptionMessage"}
    assert body["Message"].startswith(f"ErrorCode:{expected.name};")
    time = re.fullmatch(r"Tracking ID:[0-9a-f]{32}-G:0-TimeStamp:(.*)", body["ExceptionMessage"])
    assert time is not None
    datetime.strptime(time[1], "%m/%d/%Y %H:%M:%S")  # noqa: DTZ007 - as IoT Hub writes it


async def test_http_a_body_that_is_too_large(hub: LocalHub) -> None:
    async with device(hub) as client:
        answer = await client.ask("POST", EVENTS, body=bytes(65_537))
        assert Said(answer.status, answer.error) == Said(413, "MessageTooLarge")


async def test_the_time_of_an_error_is_the_hubs(hub: LocalHub) -> None:
    hub.clock.advance(timedelta(days=400))
    year = str(hub.clock.now().year)
    answer = await by_nobody(hub, "GET", QUEUE)
    assert year in json.loads(answer.body)["ExceptionMessage"]
    with anyio.fail_after(20):
        assert (await no_token(hub)).code == 401003
