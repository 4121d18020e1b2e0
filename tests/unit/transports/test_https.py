"""The HTTPS transports against a server that answers as each test tells it to, and against the local hub."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
import time
import traceback
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import anyio
import pytest

from c2dkit import (
    ClosedError,
    CloudSender,
    ConnectError,
    ConnectionLostError,
    DeviceCredential,
    DeviceNotFoundError,
    DeviceReceiver,
    FeedbackStream,
    InvalidInputError,
    LinkError,
    MessageLockLostError,
    OutcomeUnknownError,
    PeerProtocolError,
    ServiceCredential,
    ServiceError,
    Settlement,
    ThrottledError,
    UnauthorizedError,
    UnsupportedOperationError,
)
from c2dkit._rules import sas
from c2dkit._rules.entra import EntraCredential
from c2dkit.hub import HubOptions, LocalHub
from c2dkit.transports import (
    AmqpServiceTransport,
    HttpsDeviceTransport,
    HttpsServiceTransport,
    PollingInterval,
    ServiceOperation,
)

from .https_server import CUT, NOTHING, Request, http, message, serving, tunnelling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from c2dkit.transports import DeviceLink

    from .https_server import Server

KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
QUICK = PollingInterval.every(timedelta(milliseconds=1))
QUEUE = "/devices/dev-1/messages/deviceBound"
FEEDBACK = "/messages/serviceBound/feedback"
CHUNKED = b'HTTP/1.1 200 OK\r\nETag: "t"\r\nTransfer-Encoding: chunked\r\n\r\n'
RECORDS = b'[{"originalMessageId":"m-1","deviceId":"dev-1","enqueuedTimeUtc":"2026-01-31T12:00:00Z"}]'


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


def device(server: Server, device_id: str = "dev-1") -> DeviceCredential:
    return DeviceCredential(host_name="localhost", port=server.port, device_id=device_id, shared_access_key=KEY)


def service(server: Server) -> ServiceCredential:
    return ServiceCredential(
        host_name="localhost", port=server.port, shared_access_key_name="service", shared_access_key=KEY
    )


def device_transport(server: Server, polling: PollingInterval = QUICK) -> HttpsDeviceTransport:
    return HttpsDeviceTransport(device(server), ssl_context=server.ssl_context(), polling=polling)


def service_transport(server: Server) -> HttpsServiceTransport:
    return HttpsServiceTransport(service(server), ssl_context=server.ssl_context(), polling=QUICK)


@asynccontextmanager
async def opened(transport: HttpsDeviceTransport) -> AsyncGenerator[DeviceLink]:
    link = await transport.open(prefetch=1)
    try:
        with anyio.fail_after(20):
            yield link
    finally:
        await link.close()


class Held:
    """An answer that waits until it is told to leave."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.asked = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, _: Request) -> bytes:
        self.asked.set()
        await self.release.wait()
        return self._answer


# --- a device


async def test_opening_sends_nothing(server: Server) -> None:
    async with opened(device_transport(server)):
        pass
    assert (server.connections, server.asked()) == (0, [])


async def test_a_receive_is_a_get_with_a_token(server: Server) -> None:
    server.answers = [message()]
    async with opened(device_transport(server)) as link:
        delivery = await link.receive()
        assert (delivery.message.body, delivery.lock_token) == (b"hello", "lock-1")
    request = server.requests[0]
    assert (request.what, request.query) == (f"GET {QUEUE}", {"api-version": "2021-04-12"})
    assert request.headers["accept-encoding"] == "identity"
    token = sas.parse(request.headers["authorization"])
    assert token.resource == "localhost/devices/dev-1"
    assert sas.verify(token, KEY)


async def test_a_device_id_is_percent_encoded(server: Server) -> None:
    device_id = "a%2F#?b"
    server.answers = [message()]
    async with opened(HttpsDeviceTransport(device(server, device_id), ssl_context=server.ssl_context())) as link:
        await link.receive()
    assert server.requests[0].path == f"/devices/{quote(device_id, safe='')}/messages/deviceBound"


@pytest.mark.parametrize(
    ("settlement", "what", "query"),
    [
        (Settlement.COMPLETE, f"DELETE {QUEUE}/lock%2F1", {}),
        (Settlement.REJECT, f"DELETE {QUEUE}/lock%2F1", {"reject": ""}),
        (Settlement.ABANDON, f"POST {QUEUE}/lock%2F1/abandon", {}),
    ],
)
async def test_settling_names_the_lock_without_quotes(
    server: Server, settlement: Settlement, what: str, query: dict[str, str]
) -> None:
    server.answers = [message(lock_token="lock/1")]
    async with opened(device_transport(server)) as link:
        await link.settle(await link.receive(), settlement)
    request = server.requests[1]
    assert (request.what, request.query) == (what, {"api-version": "2021-04-12", **query})
    assert "authorization" in request.headers
    assert len(server.requests) == 2  # what is settled is not given back at the close


async def test_an_empty_queue_is_polled_again_over_the_same_connection(server: Server) -> None:
    server.answers = [NOTHING, NOTHING, message()]
    async with opened(device_transport(server)) as link:
        await link.receive()
        assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_a_device_is_polite_unless_told_otherwise(server: Server) -> None:
    async with opened(HttpsDeviceTransport(device(server), ssl_context=server.ssl_context())) as link:
        with anyio.move_on_after(0.1):
            await link.receive()
    assert server.asked() == [f"GET {QUEUE}"]


async def test_a_message_whose_receive_was_cancelled_is_not_lost(server: Server) -> None:
    held = Held(message(b"kept"))
    server.answers = [held]
    async with opened(device_transport(server)) as link:
        receiving = asyncio.ensure_future(link.receive())
        await held.asked.wait()
        receiving.cancel()
        held.release.set()
        assert (await link.receive()).message.body == b"kept"
    assert server.asked().count(f"GET {QUEUE}") == 1


async def test_what_is_held_at_the_close_is_given_back(server: Server) -> None:
    server.answers = [message(lock_token="one"), message(lock_token="two")]
    async with opened(device_transport(server)) as link:
        first, _ = await link.receive(), await link.receive()
        await link.settle(first, Settlement.COMPLETE)
    assert server.asked()[3:] == [f"POST {QUEUE}/two/abandon"]
    with pytest.raises(ClosedError):
        await link.receive()
    with pytest.raises(MessageLockLostError):
        await link.settle(first, Settlement.COMPLETE)
    assert len(server.requests) == 4


async def test_what_a_poll_under_way_brings_is_given_back_at_the_close(server: Server) -> None:
    held = Held(message(lock_token="late"))
    server.answers = [held]
    link = await device_transport(server).open(prefetch=1)
    receiving = asyncio.ensure_future(link.receive())
    with anyio.fail_after(20):
        await held.asked.wait()
        closing = asyncio.ensure_future(link.close())
        with pytest.raises(ClosedError):
            await receiving
        held.release.set()
        await closing
        await link.close()  # a second one does nothing
    assert server.asked() == [f"GET {QUEUE}", f"POST {QUEUE}/late/abandon"]


async def test_what_is_held_is_given_back_even_when_the_close_is_cancelled(server: Server) -> None:
    server.answers = [message()]
    link = await device_transport(server).open(prefetch=1)
    with anyio.CancelScope() as scope:
        await link.receive()
        scope.cancel()
        await link.close()
    assert server.asked()[1:] == [f"POST {QUEUE}/lock-1/abandon"]


async def test_a_hub_that_does_not_answer_does_not_hold_up_the_close(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c2dkit.transports._https_link.GIVE_BACK_SECONDS", 0.05)
    held = Held(NOTHING)
    server.answers = [message(), held]
    async with opened(device_transport(server)) as link:
        await link.receive()
    assert held.asked.is_set()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (412, "DeviceMessageLockLost", MessageLockLostError),
        (412, None, MessageLockLostError),
        (404, "DeviceMessageLockLost", MessageLockLostError),
        (404, "DeviceNotFound", DeviceNotFoundError),
        (401, None, UnauthorizedError),
        (500, None, ServiceError),
    ],
)
async def test_a_settlement_that_the_hub_refuses(
    server: Server, status: int, code: str | None, expected: type[ServiceError]
) -> None:
    refusal = http(status, {"iothub-errorcode": code} if code else {})
    server.answers = [message(), refusal, refusal]  # a token that was good gives way to a fresh one, once
    async with opened(device_transport(server)) as link:
        delivery = await link.receive()
        with pytest.raises(expected, match="the hub refused to complete the message"):
            await link.settle(delivery, Settlement.COMPLETE)


async def test_a_settlement_that_is_cut_off_is_sent_once_and_its_outcome_unknown(server: Server) -> None:
    server.answers = [message(), CUT]
    async with opened(device_transport(server)) as link:
        delivery = await link.receive()
        with pytest.raises(OutcomeUnknownError):
            await link.settle(delivery, Settlement.COMPLETE)
    # aiohttp would have repeated the DELETE: the connection was one that it had kept.
    assert server.asked().count(f"DELETE {QUEUE}/lock-1") == 1


async def test_a_settlement_that_cannot_be_sent_is_known_not_to_have_happened() -> None:
    async with serving() as server:
        server.answers = [http(200, {"ETag": '"lock-1"', "Connection": "close"}, b"x")]
        link = await device_transport(server).open(prefetch=1)
        delivery = await link.receive()
    with pytest.raises(ConnectError):
        await link.settle(delivery, Settlement.COMPLETE)
    await link.close()


async def test_a_failed_poll_ends_neither_the_link_nor_a_lock(server: Server) -> None:
    server.answers = [
        message(),
        CUT,
        CUT,
        message(lock_token="lock-2"),
    ]  # a GET on a kept connection may be sent a second time
    async with opened(device_transport(server)) as link:
        delivery = await link.receive()
        with pytest.raises(ConnectionLostError):
            await link.receive()
        assert link.ending.error is None
        assert (await link.receive()).lock_token == "lock-2"
        await link.settle(delivery, Settlement.COMPLETE)
        assert server.asked()[-1] == f"DELETE {QUEUE}/lock-1"
    assert isinstance(link.ending.error, ClosedError)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http(401, {"iothub-errorcode": "IotHubUnauthorized"}), UnauthorizedError),
        (http(404), DeviceNotFoundError),
        (http(503), ServiceError),
        (b"SMTP here\r\n\r\n", PeerProtocolError),
        (http(302, {"Location": "https://elsewhere.example/"}), PeerProtocolError),
        (http(200, {}, b"no entity tag"), PeerProtocolError),
        (message(b"x" * 100_000), PeerProtocolError),
        (CHUNKED + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 8, PeerProtocolError),
        (CHUNKED + b"no number\r\n", PeerProtocolError),
        (http(200, {"ETag": '"t"', **{f"iothub-app-{n}": "" for n in range(1200)}}), PeerProtocolError),
        (http(200, {"ETag": '"t"', "iothub-app-x": "x" * 100_000}), PeerProtocolError),
        (b'HTTP/1.1 200 OK\r\nETag: "t"\r\nContent-Length: 9\r\nConnection: close\r\n\r\nfew', ConnectionLostError),
    ],
)
async def test_a_poll_that_fails(server: Server, answer: bytes, expected: type[Exception]) -> None:
    server.answers = [answer]
    async with opened(device_transport(server)) as link:
        with pytest.raises(expected):
            await link.receive()


async def test_the_hub_says_when_to_ask_again(server: Server) -> None:
    server.answers = [http(429, {"Retry-After": "7"})]
    async with opened(device_transport(server)) as link:
        with pytest.raises(ThrottledError) as caught:
            await link.receive()
    assert caught.value.retry_after == timedelta(seconds=7)
    assert caught.value.transient


@pytest.mark.parametrize("answer", [b"SMTP here\r\n\r\n", CUT])
async def test_no_error_shows_the_token(server: Server, answer: bytes) -> None:
    server.answers = [answer] * 2  # aiohttp sends a GET that was cut off twice
    async with opened(device_transport(server)) as link:
        with pytest.raises(LinkError) as caught:
            await link.receive()
    error: BaseException | None = caught.value
    shown = "".join(traceback.format_exception(error))
    while error is not None:
        frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
        shown += repr(error) + str([frame.locals for frame in frames if frame.filename != __file__])
        error = error.__cause__ or error.__context__
    assert "SharedAccessSignature" in server.requests[0].headers["authorization"]
    assert "SharedAccessSignature" not in shown


async def test_a_hub_that_is_not_there() -> None:
    async with serving() as server:
        transport = device_transport(server)
    async with opened(transport) as link:
        with pytest.raises(ConnectError, match="cannot connect to localhost"):
            await link.receive()


async def test_a_certificate_that_is_not_trusted(server: Server) -> None:
    transport = HttpsDeviceTransport(device(server), ssl_context=ssl.create_default_context())
    async with opened(transport) as link:
        with pytest.raises(ConnectError, match=r"certificate .* is not trusted .*SSL_CERT_FILE") as caught:
            await link.receive()
    assert not caught.value.transient
    assert server.asked() == []


async def test_a_device_with_a_certificate_has_no_token(server: Server) -> None:
    credential = DeviceCredential(host_name="localhost", port=server.port, device_id="dev-1", x509=True)
    server.answers = [message()]
    async with opened(HttpsDeviceTransport(credential, ssl_context=server.ssl_context())) as link:
        await link.receive()
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("password", ["s3cret", "wrong"])
async def test_a_proxy_makes_the_connection_and_sees_nothing_else(server: Server, password: str) -> None:
    asked: list[str] = []
    server.answers = [message()]
    async with tunnelling("Basic " + base64.b64encode(b"me:s3cret").decode(), asked) as port:
        proxy = f"http://me:{password}@localhost:{port}"
        transport = HttpsDeviceTransport(device(server), ssl_context=server.ssl_context(), proxy=proxy)
        async with opened(transport) as link:
            if password == "s3cret":
                assert (await link.receive()).message.body == b"hello"
            else:
                with pytest.raises(ConnectError, match="HTTP 407") as caught:
                    await link.receive()
                assert password not in "".join(traceback.format_exception(caught.value))
    assert asked[0] == f"CONNECT localhost:{server.port}"
    assert all("proxy-authorization" not in request.headers for request in server.requests)
    assert len(server.requests) == (2 if password == "s3cret" else 0)


def test_a_proxy_that_is_none_is_refused_at_once() -> None:
    credential = DeviceCredential(host_name="h", device_id="d", shared_access_key=KEY)
    with pytest.raises(InvalidInputError):
        HttpsDeviceTransport(credential, proxy="socks5://h:1")
    with pytest.raises(InvalidInputError):
        HttpsServiceTransport(
            ServiceCredential(host_name="h", shared_access_key_name="p", shared_access_key=KEY), proxy="nonsense"
        )


async def test_what_looks_compressed_stays_as_it_is(server: Server) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    server.answers = [http(200, {"ETag": '"t"', "Content-Encoding": "gzip"}, bomb)]
    async with opened(device_transport(server)) as link:
        assert (await link.receive()).message.body == bomb


async def test_no_more_is_given_back_than_a_queue_can_hold(server: Server) -> None:
    server.answers = [message(lock_token=f"lock-{number}") for number in range(52)]
    async with opened(device_transport(server)) as link:
        for _ in range(52):
            await link.receive()
    given_back = set(server.asked()[52:])
    assert given_back == {f"POST {QUEUE}/lock-{number}/abandon" for number in range(2, 52)}


@pytest.mark.parametrize("answer", [http(412), http(500), CUT])
async def test_what_cannot_be_given_back_does_not_fail_the_close(server: Server, answer: bytes) -> None:
    server.answers = [message(), answer]
    async with opened(device_transport(server)) as link:
        await link.receive()
    assert server.asked()[1:] == [f"POST {QUEUE}/lock-1/abandon"]


# --- a back end


async def test_feedback_is_polled_and_settled(server: Server) -> None:
    batch = http(200, {"ETag": '"batch-1"'}, RECORDS)
    server.answers = [NOTHING, batch, NOTHING, batch]
    async with FeedbackStream(service_transport(server)) as stream:
        with anyio.fail_after(20):
            assert (await anext(stream)).original_message_id == "m-1"
            await anext(stream)
    get = f"GET {FEEDBACK}"
    assert server.asked() == [get, get, f"DELETE {FEEDBACK}/batch-1", get, f"DELETE {FEEDBACK}/batch-1"]


async def test_feedback_that_was_not_handled_is_abandoned(server: Server) -> None:
    records = RECORDS.replace(b"}]", b"},") + RECORDS[1:]
    server.answers = [http(200, {"ETag": '"batch-1"'}, records)]
    async with FeedbackStream(service_transport(server)) as stream:
        with anyio.fail_after(20):
            await anext(stream)  # one of two
    assert server.asked()[1:] == [f"POST {FEEDBACK}/batch-1/abandon"]


class Token(NamedTuple):
    token: str
    expires_on: int


class Issuer:
    """A token credential whose tokens are named by their number."""

    def __init__(self, lifetime: int) -> None:
        self._lifetime = lifetime
        self._made = 0

    async def get_token(self, *_: str) -> Token:
        self._made += 1
        return Token(f"token-{self._made}", int(time.time()) + self._lifetime)


@pytest.mark.parametrize(("lifetime", "tokens"), [(3600, ["token-1", "token-1"]), (0, ["token-1", "token-2"])])
async def test_a_token_is_used_until_its_time_to_renew(server: Server, lifetime: int, tokens: list[str]) -> None:
    credential = EntraCredential(host_name="localhost", port=server.port, token_credential=Issuer(lifetime))
    server.answers = [NOTHING, http(200, {"ETag": '"batch-1"'}, RECORDS)]
    transport = HttpsServiceTransport(credential, ssl_context=server.ssl_context(), polling=QUICK)
    async with FeedbackStream(transport) as stream:
        with anyio.fail_after(20):
            await anext(stream)
        assert [request.headers["authorization"] for request in server.requests] == [
            f"Bearer {each}" for each in tokens
        ]


@pytest.mark.parametrize("answer", [http(200, {"ETag": '"t"'}, b"{}"), http(200, {}, RECORDS)])
async def test_feedback_that_cannot_be_read(server: Server, answer: bytes) -> None:
    server.answers = [answer]
    async with FeedbackStream(service_transport(server)) as stream:
        with anyio.fail_after(20), pytest.raises(PeerProtocolError, match="batch of feedback that cannot be read"):
            await anext(stream)


async def test_purge_and_queue_depth(server: Server) -> None:
    registered = b'{"deviceId":"a#b","generationId":"1","status":"enabled","cloudToDeviceMessageCount":3}'
    server.answers = [
        http(200, {}, b'{"totalMessagesPurged":2,"deviceId":"a#b","moduleId":null}'),
        http(200, {}, registered),
    ]
    sender = CloudSender(service_transport(server))
    with anyio.fail_after(20):
        assert await sender.purge("a#b") == 2
    async with sender:
        with anyio.fail_after(20):
            assert await sender.queue_depth("a#b") == 3
        with pytest.raises(InvalidInputError):
            await sender.purge("")
        with pytest.raises(InvalidInputError):
            await sender.queue_depth("no/id")
    assert server.asked() == ["DELETE /devices/a%23b/commands", "GET /devices/a%23b"]
    for ask in (sender.purge, sender.queue_depth):
        with pytest.raises(ClosedError):
            await ask("dev-1")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"totalMessagesPurged":"2"}', b"x" * 70_000])
async def test_what_a_purge_cannot_have_answered(server: Server, body: bytes) -> None:
    server.answers = [http(200, {}, body)]
    with anyio.fail_after(20), pytest.raises(PeerProtocolError):
        await service_transport(server).purge("dev-1")


@pytest.mark.parametrize("body", [b"", b'{"status":"enabled"}'])
async def test_what_a_registry_cannot_have_answered(server: Server, body: bytes) -> None:
    server.answers = [http(200, {}, body)]
    with anyio.fail_after(20), pytest.raises(PeerProtocolError):
        await service_transport(server).queue_depth("dev-1")


async def test_a_purge_that_is_cut_off_may_have_happened(server: Server) -> None:
    server.answers = [CUT, CUT, CUT]  # a GET may be sent a second time
    with anyio.fail_after(20):
        with pytest.raises(OutcomeUnknownError):
            await service_transport(server).purge("dev-1")
        with pytest.raises(ConnectionLostError):
            await service_transport(server).queue_depth("dev-1")


async def test_it_says_before_connecting_that_it_cannot_send(server: Server) -> None:
    transport = service_transport(server)
    assert ServiceOperation.SEND not in transport.operations
    async with CloudSender(transport) as sender:
        with pytest.raises(
            UnsupportedOperationError, match="https cannot do send; it can do feedback, purge"
        ) as caught:
            await sender.send("dev-1", "hello")
    with pytest.raises(UnsupportedOperationError):
        await transport.open_sender()
    assert (caught.value.operation, caught.value.transport) == (ServiceOperation.SEND, "https")
    assert caught.value.supported == transport.operations
    assert server.connections == 0


async def test_an_operation_that_a_transport_does_not_have_is_never_asked_of_it(server: Server) -> None:
    class Nothing(HttpsServiceTransport):
        name = "nothing"
        operations = frozenset()

    transport = Nothing(service(server), ssl_context=server.ssl_context())
    with pytest.raises(UnsupportedOperationError, match="nothing cannot do feedback; it can do nothing"):
        async with FeedbackStream(transport):
            pass
    async with CloudSender(transport) as sender:
        for ask in (sender.purge, sender.queue_depth):
            with pytest.raises(UnsupportedOperationError):
                await ask("dev-1")
    assert server.connections == 0


# --- with the local hub


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    async with LocalHub(options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub


def receiver(hub: LocalHub) -> DeviceReceiver[object]:
    credential = DeviceCredential.from_connection_string(hub.device_connection_string("dev-1"))
    return DeviceReceiver(HttpsDeviceTransport(credential, ssl_context=hub.ssl_context(), polling=QUICK))


async def test_every_property_comes_through_the_hub(hub: LocalHub) -> None:
    properties = {"awkward &=/#+% key": "awkward &=/#+% välue 😀", "empty": "", "Case": "1", "case": "2"}
    properties |= {f"many-{number}": "x" for number in range(300)}
    service = CloudSender.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context())
    async with service as sender, receiver(hub) as messages:
        await sender.send("dev-1", b"\x00\xff", message_id="My Id", content_type="a/b", properties=properties)
        with anyio.fail_after(20):
            received = await anext(messages)
        assert (received.body, received.message_id, received.content_type) == (b"\x00\xff", "My Id", "a/b")
        assert dict(received.properties) == properties
        assert received.delivery_count == 0
        await received.abandon()
        with anyio.fail_after(20):
            again = await anext(messages)
        assert again.delivery_count == 1
        await again.complete()
    assert hub.queue_depth("dev-1") == 0


async def test_what_is_not_settled_is_delivered_again_at_once(hub: LocalHub) -> None:
    service = CloudSender.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context())
    async with service as sender:
        await sender.send("dev-1", "again")
    with anyio.fail_after(20):
        async with receiver(hub) as messages:
            await anext(messages)
        async with receiver(hub) as messages:
            assert (await anext(messages)).payload == "again"


async def test_a_back_end_over_amqp_purges_over_https(hub: LocalHub) -> None:
    credential = ServiceCredential.from_connection_string(hub.service_connection_string)
    async with CloudSender(AmqpServiceTransport(credential, ssl_context=hub.ssl_context())) as sender:
        with anyio.fail_after(20):
            await sender.send("dev-1", "gone")
            assert await sender.purge("dev-1") == 1
            with pytest.raises(UnauthorizedError, match="RegistryRead"):
                await sender.queue_depth("dev-1")
    assert hub.queue_depth("dev-1") == 0
