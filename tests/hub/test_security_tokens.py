"""Every door of the hub against every token that must not open it, and what each protocol says then.

A door is one link, endpoint or CONNECT, on one wire. The same helpers with a good token are let in, so they can.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import aiohttp
import anyio
import pytest

from c2dkit._net import open_tls
from c2dkit._protocols import amqp, mqtt
from c2dkit._rules import sas
from c2dkit._websocket import open_websocket
from c2dkit._wire import cbs
from c2dkit._wire.amqp import FEEDBACK_ADDRESS, SERVICE_ADDRESS, device_address
from c2dkit._wire.mqtt import username
from c2dkit.hub import HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from anyio.abc import ByteStream

EventT = TypeVar("EventT")

OTHER_KEY = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
DEVICE_SCOPE = "localhost/devices/dev-1"
LOCK = "00000000-0000-0000-0000-000000000000"


class Door(NamedTuple):
    """What a token has to open.

    Attributes:
        policy: The narrowest policy that may; None for what is the device's.
        wrong_policy: One that has not the right.
        narrow: A resource that does not cover it.
        open: Tries a token and says what came of it: "granted", or the refusal as the protocol has it.
    """

    policy: str | None
    wrong_policy: str
    narrow: str
    open: Callable[[LocalHub, str | None], Awaitable[str]]


def signed(hub: LocalHub, policy: str, resource: str = "localhost") -> str:
    return sas.sign(resource, hub._policies.by_name[policy].primary_key, soon(), policy).text


def signed_by_device(hub: LocalHub, device_id: str, resource: str | None = None) -> str:
    key = hub._state.device(device_id).primary_key
    return sas.sign(resource or f"localhost/devices/{device_id}", key, soon()).text


def soon(hours: float = 1) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def good(hub: LocalHub, door: Door) -> str:
    return signed_by_device(hub, "dev-1") if door.policy is None else signed(hub, door.policy)


def wrong_key(hub: LocalHub, door: Door) -> str:
    return sas.sign(DEVICE_SCOPE if door.policy is None else "localhost", OTHER_KEY, soon(), door.policy).text


def expired(hub: LocalHub, door: Door) -> str:
    if door.policy is None:
        return sas.sign(DEVICE_SCOPE, hub._state.device("dev-1").primary_key, soon(-1)).text
    return sas.sign("localhost", hub._policies.by_name[door.policy].primary_key, soon(-1), door.policy).text


def other_host(hub: LocalHub, door: Door) -> str:
    if door.policy is None:
        return signed_by_device(hub, "dev-1", "elsewhere.example/devices/dev-1")
    return signed(hub, door.policy, "elsewhere.example")


def device_key(hub: LocalHub, door: Door) -> str:
    """Of another device for what is a device's, of any for what is a back end's."""
    return signed_by_device(hub, "dev-2" if door.policy is None else "dev-1")


def wrong_policy(hub: LocalHub, door: Door) -> str:
    return signed(hub, door.wrong_policy)


def narrow_scope(hub: LocalHub, door: Door) -> str:
    return signed(hub, door.policy or "device", door.narrow)


def missing(hub: LocalHub, door: Door) -> None:
    """Nothing at all."""


UNVERIFIED = (wrong_key, expired, other_host)
"""What AMQP refuses as soon as it is put; the rest is refused by the link that it is used for."""
TOKENS = (*UNVERIFIED, device_key, wrong_policy, narrow_scope, missing)


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    async with LocalHub(devices=["dev-1", "dev-2"], options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub


@asynccontextmanager
async def stream_to(hub: LocalHub, subprotocol: str | None) -> AsyncGenerator[ByteStream]:
    with anyio.fail_after(20):
        if subprotocol is None:
            stream = await open_tls("localhost", hub.port, ssl_context=hub.ssl_context())
        else:
            stream = await open_websocket("localhost", hub.port, subprotocol=subprotocol, ssl_context=hub.ssl_context())
        try:
            yield stream
        finally:
            await anyio.aclose_forcefully(stream)


class Talk:
    """A client's engine over a stream."""

    def __init__(self, stream: ByteStream, engine: amqp.Connection | mqtt.MqttClient) -> None:
        self._stream = stream
        self._engine = engine
        self._events: list[object] = []

    async def next(self, *kinds: type[EventT]) -> EventT:
        """Send what is to be said, and return the next event of the kinds."""
        while True:
            if data := self._engine.data_to_send():
                await self._stream.send(data)
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, kinds):
                    return event
            received: Sequence[Any] = self._engine.receive_data(await self._stream.receive())
            self._events.extend(received)


def link(address: str, *, sends: bool, subprotocol: str | None) -> Callable[[LocalHub, str | None], Awaitable[str]]:
    """Put the token, which has an answer of its own, and attach."""

    async def attempt(hub: LocalHub, token: str | None) -> str:
        engine = amqp.Connection(container_id="test", hostname="localhost")
        engine.open()
        async with stream_to(hub, subprotocol) as stream:
            talk, session = Talk(stream, engine), engine.begin()
            put = "" if token is None else f"put {await put_token(talk, session, token)}, "
            return put + await attach(talk, session, address, sends=sends)

    return attempt


async def put_token(talk: Talk, session: amqp.Session, token: str) -> int:
    answers = session.attach_receiver("answers", source=amqp.Source(address="$cbs"), target=amqp.Target())
    requests = session.attach_sender("requests", source=amqp.Source(), target=amqp.Target(address="$cbs"))
    await talk.next(amqp.LinkFlowed)
    answers.flow(1)
    requests.send(cbs.encode_put_token(cbs.PutToken("id", "audience", token, cbs.SAS_TOKEN_TYPE)), tag=b"1")
    answer = cbs.decode_answer((await talk.next(amqp.TransferReceived)).payload)
    assert answer.description
    return answer.status_code


async def attach(talk: Talk, session: amqp.Session, address: str, *, sends: bool) -> str:
    if sends:
        session.attach_sender("link", source=amqp.Source(), target=amqp.Target(address=address))
    else:
        session.attach_receiver("link", source=amqp.Source(address=address), target=amqp.Target())
    event: amqp.LinkAttached | amqp.LinkDetached = await talk.next(amqp.LinkAttached, amqp.LinkDetached)
    if isinstance(event, amqp.LinkAttached):
        return "granted"
    assert event.error is not None
    return event.error.condition


def plain(user: str, address: str, *, sends: bool) -> Callable[[LocalHub, str | None], Awaitable[str]]:
    """Sign in by SASL PLAIN, and attach."""

    async def attempt(hub: LocalHub, token: str | None) -> str:
        engine = amqp.Connection(container_id="test", hostname="localhost", sasl=amqp.plain(user, token or ""))
        engine.open()
        async with stream_to(hub, None) as stream:
            talk = Talk(stream, engine)
            event: amqp.Opened | amqp.SaslFailed = await talk.next(amqp.Opened, amqp.SaslFailed)
            if isinstance(event, amqp.SaslFailed):
                return f"SASL {event.code}"
            return await attach(talk, engine.begin(), address, sends=sends)

    return attempt


def connect(subprotocol: str | None) -> Callable[[LocalHub, str | None], Awaitable[str]]:
    async def attempt(hub: LocalHub, token: str | None) -> str:
        engine = mqtt.MqttClient()
        password = None if token is None else token.encode()
        engine.connect(client_id="dev-1", username=username("localhost", "dev-1"), password=password)
        async with stream_to(hub, subprotocol) as stream:
            code = (await Talk(stream, engine).next(mqtt.ConnackReceived)).return_code
            return "granted" if code == 0 else f"CONNACK {code}"

    return attempt


def ask(method: str, path: str) -> Callable[[LocalHub, str | None], Awaitable[str]]:
    async def attempt(hub: LocalHub, token: str | None) -> str:
        headers = {} if token is None else {"Authorization": token}
        connector = aiohttp.TCPConnector(ssl=hub.ssl_context())
        with anyio.fail_after(20):
            async with (
                aiohttp.ClientSession(f"https://localhost:{hub.port}", connector=connector) as session,
                session.request(method, f"{path}?api-version=2021-04-12", headers=headers) as response,
            ):
                if response.status != 401:
                    return "granted"
                body = json.loads(await response.read())
                assert body["ExceptionMessage"].startswith("Tracking ID:")
                assert body["Message"].startswith("ErrorCode:IotHubUnauthorized;")
                return f"401 {response.headers['iothub-errorcode']}"

    return attempt


QUEUE = "/devices/dev-1/messages/deviceBound"
FEEDBACK = "/messages/serviceBound/feedback"
AMQP = {"amqp": None, "amqp-ws": "AMQPWSB10"}
MQTT = {"mqtt": None, "mqtt-ws": "mqtt"}
OTHER_DEVICE = "localhost/devices/dev-2"
OTHER_ENDPOINT = "localhost/messages/elsewhere"


def of_device(opens: Callable[[LocalHub, str | None], Awaitable[str]]) -> Door:
    return Door(None, "service", OTHER_DEVICE, opens)


def of_service(opens: Callable[[LocalHub, str | None], Awaitable[str]]) -> Door:
    return Door("service", "device", OTHER_ENDPOINT, opens)


LINKS = {
    "device-bound": (device_address("dev-1"), False, of_device),
    "events": ("/devices/dev-1/messages/events", True, of_device),
    "service-bound": (SERVICE_ADDRESS, True, of_service),
    "feedback": (FEEDBACK_ADDRESS, False, of_service),
}
DOORS = {
    **{
        f"{wire} {name}": kind(link(address, sends=sends, subprotocol=subprotocol))
        for wire, subprotocol in AMQP.items()
        for name, (address, sends, kind) in LINKS.items()
    },
    "plain device-bound": of_device(plain("dev-1@sas.localhost", device_address("dev-1"), sends=False)),
    "plain service-bound": of_service(plain("service@sas.root.localhost", SERVICE_ADDRESS, sends=True)),
    **{f"{wire} connect": of_device(connect(subprotocol)) for wire, subprotocol in MQTT.items()},
    "https receive": of_device(ask("GET", QUEUE)),
    "https complete": of_device(ask("DELETE", f"{QUEUE}/{LOCK}")),
    "https abandon": of_device(ask("POST", f"{QUEUE}/{LOCK}/abandon")),
    "https feedback": of_service(ask("GET", FEEDBACK)),
    "https feedback complete": of_service(ask("DELETE", f"{FEEDBACK}/{LOCK}")),
    "https feedback abandon": of_service(ask("POST", f"{FEEDBACK}/{LOCK}/abandon")),
    "https purge": Door("service", "device", OTHER_DEVICE, ask("DELETE", "/devices/dev-1/commands")),
    "https count connected": of_service(ask("GET", "/statistics/service")),
    "https count": Door("registryRead", "service", OTHER_ENDPOINT, ask("GET", "/statistics/devices")),
    "https read": Door("registryRead", "service", OTHER_DEVICE, ask("GET", "/devices/dev-1")),
    "https read all": Door("registryRead", "service", OTHER_DEVICE, ask("GET", "/devices")),
    "https write": Door("registryReadWrite", "registryRead", OTHER_DEVICE, ask("PUT", "/devices/dev-1")),
    "https write many": Door("registryReadWrite", "registryRead", OTHER_DEVICE, ask("POST", "/devices")),
    "https delete": Door("registryReadWrite", "registryRead", OTHER_DEVICE, ask("DELETE", "/devices/dev-1")),
}


def refusal(name: str, token: object) -> set[str]:
    """Return what the protocol of a door answers, as IoT Hub documents it."""
    match name.partition(" ")[0]:
        case "mqtt" | "mqtt-ws":
            return {"CONNACK 5"}
        case "https":
            return {"401 IotHubUnauthorized"}
        case "plain":  # for a policy SASL settles who it is; what it may do is the link's to say
            return {"SASL 1"} if token is not narrow_scope or "device" in name else {"amqp:unauthorized-access"}
        case _ if token is missing:
            return {"amqp:unauthorized-access"}
        case _:
            return {f"put {401 if token in UNVERIFIED else 200}, amqp:unauthorized-access"}


@pytest.mark.parametrize("name", DOORS)
async def test_a_good_token_opens_the_door(hub: LocalHub, name: str) -> None:
    door = DOORS[name]
    assert await door.open(hub, good(hub, door)) in {"granted", "put 200, granted"}


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("name", DOORS)
async def test_no_other_token_does(
    hub: LocalHub, name: str, token: Callable[[LocalHub, Door], str | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "c2dkit")
    door = DOORS[name]
    text = token(hub, door)
    assert await door.open(hub, text) in refusal(name, token)
    assert text is None or text.partition("sig=")[2].partition("&")[0] not in caplog.text
