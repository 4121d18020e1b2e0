"""The HTTP door through a real socket, spoken to by aiohttp's client, and by hand where that would not say it."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote
from uuid import UUID

import aiohttp
import anyio
import pytest
from yarl import URL

from c2dkit._models import Ack, Message
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._wire.feedback import CONTENT_TYPE, decode_records
from c2dkit.hub import HubOptions, LocalHub, TokenIssuer
from c2dkit.hub import _http as door

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from anyio.abc import ByteStream

DEVICE = "dev-1"
QUEUE = f"/devices/{DEVICE}/messages/deviceBound"
FEEDBACK = "/messages/serviceBound/feedback"
NO_OPTIONS = HubOptions(feedback_interval=timedelta(0))


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def lock_token(self) -> str:
        etag = self.headers["ETag"]
        assert etag[0] == etag[-1] == '"'
        return etag[1:-1]

    @property
    def error(self) -> str:
        """The name of the error, which header and body agree on."""
        name = self.headers["iothub-errorcode"]
        assert name in json.loads(self.body)["Message"]
        assert re.match(r"Tracking ID:[0-9a-f]{32}", json.loads(self.body)["ExceptionMessage"])
        return name


class Client:
    """One token; one connection after the other, kept alive as aiohttp does it."""

    def __init__(self, session: aiohttp.ClientSession, token: str | None) -> None:
        self._session = session
        self._headers = {} if token is None else {"Authorization": token}

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        url = URL(f"{path}{'&' if '?' in path else '?'}api-version=2021-04-12", encoded=True)
        told = {**self._headers, **(headers or {})}
        async with self._session.request(method, url, headers=told, data=body) as response:
            return Answer(response.status, response.headers, await response.read())

    async def receive(self) -> Answer:
        answer = await self.ask("GET", QUEUE)
        assert answer.status == 200, answer
        return answer


def device_token(hub: LocalHub, device_id: str = DEVICE, *, now: datetime | None = None) -> str:
    credential = DeviceCredential.from_connection_string(hub.device_connection_string(device_id))
    return credential.token(now or datetime.now(UTC)).text


def service_token(connection_string: str) -> str:
    return ServiceCredential.from_connection_string(connection_string).token(datetime.now(UTC)).text


@asynccontextmanager
async def client(hub: LocalHub, token: str | None, *, context: ssl.SSLContext | None = None) -> AsyncGenerator[Client]:
    connector = aiohttp.TCPConnector(ssl=context or hub.ssl_context())
    with anyio.fail_after(20):
        async with aiohttp.ClientSession(f"https://localhost:{hub.port}", connector=connector) as session:
            yield Client(session, token)


@asynccontextmanager
async def device(hub: LocalHub, device_id: str = DEVICE) -> AsyncGenerator[Client]:
    async with client(hub, device_token(hub, device_id)) as each:
        yield each


@asynccontextmanager
async def service(hub: LocalHub) -> AsyncGenerator[Client]:
    async with client(hub, service_token(hub.service_connection_string)) as each:
        yield each


@asynccontextmanager
async def owner(hub: LocalHub) -> AsyncGenerator[Client]:
    async with client(hub, service_token(hub.owner_connection_string)) as each:
        yield each


@asynccontextmanager
async def connection(hub: LocalHub) -> AsyncGenerator[ByteStream]:
    stream = await anyio.connect_tcp(
        "localhost", hub.port, ssl_context=hub.ssl_context(), tls_hostname="localhost", tls_standard_compatible=False
    )
    with anyio.fail_after(20):
        try:
            yield stream
        finally:
            await anyio.aclose_forcefully(stream)


async def rest(stream: ByteStream) -> bytes:
    """Return all that comes until the hub closes the connection."""
    received = b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            received += await stream.receive()
    return received


def send(hub: LocalHub, *bodies: bytes, device_id: str = DEVICE, ack: Ack | None = None) -> None:
    for body in bodies:
        to = f"/devices/{quote(device_id, safe='')}/messages/devicebound"
        hub._state.send(Message(body, message_id=body.decode(), to=to, ack=ack))


@pytest.mark.parametrize(("method", "path"), [("GET", QUEUE), ("PUT", "/devices/dev-2")])
async def test_a_token_that_is_no_text_is_refused_like_any_other(method: str, path: str) -> None:
    token = b"SharedAccessSignature sr=localhost%2Fdevices%2Fdev-1/\xe9&sig=AAAA&se=9999999999"
    async with LocalHub() as hub, connection(hub) as stream:
        await stream.send(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ".encode() + token + b"\r\n\r\n"
        )
        assert b" 401 " in await stream.receive()


async def test_a_poll_takes_one_message_under_a_lock() -> None:
    async with LocalHub() as hub, device(hub) as client:
        assert (await client.ask("GET", QUEUE)).status == 204
        message = Message(
            b"\x00\xff",
            message_id="m1",
            correlation_id="c1",
            to=QUEUE,
            content_type="application/json",
            content_encoding="utf-8",
            ack=Ack.FULL,
            properties={"led": "green"},
        )
        hub._state.send(message)
        answer = await client.receive()
        assert answer.body == b"\x00\xff"
        wanted = {
            "iothub-messageid": "m1",
            "iothub-correlationid": "c1",
            "iothub-to": QUEUE,
            "iothub-ack": "full",
            "iothub-sequencenumber": "1",
            "iothub-deliverycount": "0",
            "iothub-app-led": "green",
            "ContentType": "application/json",
            "ContentEncoding": "utf-8",
        }
        assert {name: answer.headers.get(name) for name in wanted} == wanted
        assert (await client.ask("GET", QUEUE)).status == 204  # it is locked
        assert hub.queue_depth(DEVICE) == 1
        assert (await client.ask("DELETE", f"{QUEUE}/{answer.lock_token}")).status == 204
        assert hub.queue_depth(DEVICE) == 0


@pytest.mark.parametrize("query", ["?reject", "?reject=", "?reject=true"])
async def test_a_message_is_rejected(query: str) -> None:
    async with LocalHub(options=NO_OPTIONS) as hub, device(hub) as client, service(hub) as back_end:
        send(hub, b"m1", ack=Ack.FULL)
        message = await client.receive()
        assert (await client.ask("DELETE", f"{QUEUE}/{message.lock_token}{query}")).status == 204
        assert hub.queue_depth(DEVICE) == 0
        (record,) = decode_records((await back_end.ask("GET", FEEDBACK)).body)
        assert record.status == "Rejected"


async def test_an_abandoned_message_comes_again_counted() -> None:
    async with LocalHub() as hub, device(hub) as client:
        send(hub, b"m1")
        message = await client.receive()
        assert (await client.ask("POST", f"{QUEUE}/{message.lock_token}/abandon")).status == 204
        again = await client.receive()
        assert (again.body, again.headers["iothub-deliverycount"]) == (b"m1", "1")
        assert again.lock_token != message.lock_token


@pytest.mark.parametrize(
    "path",
    [
        "/devices/dev-1/messages/devicebound",
        "/DEVICES/dev-1/Messages/DeviceBound/",
        "/devices/%64ev-1/messages/deviceBound",
    ],
)
async def test_fixed_parts_of_a_path_have_no_case_and_the_id_is_decoded(path: str) -> None:
    async with LocalHub() as hub, device(hub) as client:
        send(hub, b"m1")
        assert (await client.ask("GET", path)).status == 200


async def test_every_device_id_can_be_addressed() -> None:
    device_id = "a%2Fb#?c+d=e@$'(),*!_.:-"
    path = f"/devices/{quote(device_id, safe='')}/messages/devicebound"
    async with LocalHub(devices=[device_id]) as hub, device(hub, device_id) as client:
        send(hub, b"m1", device_id=device_id)
        answer = await client.ask("GET", path)
        assert answer.body == b"m1"
        assert (await client.ask("DELETE", f"{path}/{answer.lock_token}")).status == 204


async def test_a_lock_outlives_its_connection_and_ends_after_a_minute() -> None:
    async with LocalHub() as hub, device(hub) as client:
        send(hub, b"m1", b"m2")
        first, second = await client.receive(), await client.receive()
        await hub.disconnect_all()
        assert (await client.ask("DELETE", f"{QUEUE}/{first.lock_token}")).status == 204
        hub.clock.advance(timedelta(seconds=60))
        for method, tail in (("DELETE", ""), ("DELETE", "?reject"), ("POST", "/abandon")):
            answer = await client.ask(method, f"{QUEUE}/{second.lock_token}{tail}")
            assert (answer.status, answer.error) == (412, "DeviceMessageLockLost")
        assert (await client.receive()).body == b"m2"


@pytest.mark.parametrize(
    ("asked", "lasts"),
    [({}, 60), ({"q": "30"}, 30), ({"h": "30"}, 30), ({"h": "1"}, 5), ({"h": "99999"}, 300), ({"h": "long"}, 60)],
    ids=str,
)
async def test_a_hub_may_let_clients_say_how_long_a_lock_lasts(asked: dict[str, str], lasts: int) -> None:
    name = "IotHub-MessageLockTimeout"
    query = f"?{name.lower()}={asked['q']}" if "q" in asked else ""
    headers = {name: asked["h"]} if "h" in asked else {}
    for honoured, seconds in ((True, lasts), (False, 60)):
        async with LocalHub(options=HubOptions(request_lock_timeout=honoured)) as hub, device(hub) as client:
            send(hub, b"m1")
            assert (await client.ask("GET", QUEUE + query, headers=headers)).status == 200
            hub.clock.advance(timedelta(seconds=seconds - 1))
            assert (await client.ask("GET", QUEUE)).status == 204
            hub.clock.advance(timedelta(seconds=1))
            assert (await client.ask("GET", QUEUE)).status == 200


async def test_a_lock_ends_though_nobody_asks() -> None:
    async with LocalHub() as hub, device(hub) as client:
        send(hub, b"m1")
        await client.receive()
        hub.clock.advance(timedelta(seconds=60))
        assert not hub._state._queues[DEVICE]._locked


async def test_what_no_header_can_carry_is_dead_lettered() -> None:
    async with LocalHub(options=NO_OPTIONS) as hub, device(hub) as client, service(hub) as back_end:
        hub._state.send(Message(b"", message_id="m1", to=QUEUE, ack=Ack.FULL, properties={"a": "1\r\nETag: 2"}))
        send(hub, b"m2")
        assert (await client.receive()).body == b"m2"
        (record,) = decode_records((await back_end.ask("GET", FEEDBACK)).body)
        assert (record.original_message_id, record.status) == ("m1", "Rejected")


@pytest.mark.parametrize("path", [f"{QUEUE}/{UUID(int=1)}", f"{QUEUE}/nonsense"])
async def test_an_unknown_lock_is_lost(path: str) -> None:
    async with LocalHub() as hub, device(hub) as client:
        assert (await client.ask("DELETE", path)).error == "DeviceMessageLockLost"


async def test_what_is_no_token_is_refused_and_a_policy_may_stand_for_a_device() -> None:
    async with LocalHub() as hub:
        send(hub, b"m1")
        for token in ("", "nonsense", "Bearer eyJ"):
            async with client(hub, token) as stranger:
                answer = await stranger.ask("GET", QUEUE)
                assert (answer.status, answer.error) == (401, "IotHubUnauthorized"), (token, answer)
        async with client(hub, service_token(hub.owner_connection_string)) as administrator:
            assert (await administrator.receive()).body == b"m1"


async def test_a_device_may_show_a_certificate_in_place_of_a_token(tmp_path: Path) -> None:
    async with LocalHub(devices=[]) as hub:
        for device_id in (DEVICE, "dev-2"):
            hub.add_device(device_id, ca_signed=True)
        pem = tmp_path / "dev-1.pem"
        pem.write_bytes(hub.issue_certificate(DEVICE))
        context = hub.ssl_context()
        context.load_cert_chain(pem)
        send(hub, b"m1")
        async with client(hub, None, context=context) as bearer:
            message = await bearer.receive()
            assert (await bearer.ask("DELETE", f"{QUEUE}/{message.lock_token}")).status == 204
            assert (await bearer.ask("GET", QUEUE.replace(DEVICE, "dev-2"))).status == 401
            assert (await bearer.ask("GET", FEEDBACK)).status == 401
        async with owner(hub) as administrator:
            (document, _) = json.loads((await administrator.ask("GET", "/devices")).body)
            assert document["authentication"]["type"] == "certificateAuthority"
            assert document["authentication"]["symmetricKey"] == {"primaryKey": None, "secondaryKey": None}


async def test_a_client_that_waits_to_be_told_to_send_its_body_is_told() -> None:
    head = "PUT /devices/dev-2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n"
    async with LocalHub() as hub, connection(hub) as stream:
        token = service_token(hub.owner_connection_string)
        await stream.send(f"{head}Authorization: {token}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send(b"{}")
        assert (await rest(stream)).startswith(b"HTTP/1.1 200 OK")
        assert hub.device_ids == ("dev-1", "dev-2")


async def test_a_back_end_may_bear_a_token_of_entra_id() -> None:
    issuer = TokenIssuer.create()
    async with LocalHub(issuers=[issuer]) as hub:
        async with client(hub, f"Bearer {issuer.token()}") as back_end:
            assert (await back_end.ask("GET", FEEDBACK)).status == 204
            assert (await back_end.ask("GET", f"/devices/{DEVICE}")).status == 200
            assert (await back_end.ask("GET", QUEUE)).status == 401
        async with client(hub, f"Bearer {issuer.token(timedelta(hours=-1))}") as late:
            assert (await late.ask("GET", FEEDBACK)).status == 401


async def test_a_fault_of_the_hub_is_logged_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("inner secret")

    async with LocalHub() as hub, device(hub) as client:
        monkeypatch.setattr(hub._state, "receive", fail)
        answer = await client.ask("GET", QUEUE)
        assert (answer.status, answer.error) == (500, "ServerError")
        assert b"inner secret" not in answer.body
        assert "KeyError" in caplog.text
        assert device_token(hub) not in caplog.text


async def test_feedback_is_received_and_settled() -> None:
    async with LocalHub(options=NO_OPTIONS) as hub, device(hub) as client, service(hub) as back_end:
        assert (await back_end.ask("GET", FEEDBACK)).status == 204
        send(hub, b"m1", ack=Ack.FULL)
        message = await client.receive()
        await client.ask("DELETE", f"{QUEUE}/{message.lock_token}")
        first = await back_end.ask("GET", FEEDBACK)
        assert (first.status, first.headers["Content-Type"]) == (200, CONTENT_TYPE)
        assert first.headers["iothub-enqueuedtime"]
        (record,) = decode_records(first.body)
        assert (record.original_message_id, record.device_id, record.status) == ("m1", DEVICE, "Success")
        assert (await back_end.ask("GET", FEEDBACK)).status == 204  # it is locked
        assert (await back_end.ask("POST", f"{FEEDBACK}/{first.lock_token}/abandon")).status == 204
        again = await back_end.ask("GET", FEEDBACK.lower())
        assert again.body == first.body
        assert (await back_end.ask("DELETE", f"{FEEDBACK}/{again.lock_token}")).status == 204
        assert (await back_end.ask("GET", FEEDBACK)).status == 204
        gone = await back_end.ask("DELETE", f"{FEEDBACK}/{again.lock_token}")
        assert (gone.status, gone.error) == (412, "DeviceMessageLockLost")


async def test_purge_counts_what_it_removes() -> None:
    async with LocalHub() as hub, service(hub) as back_end:
        send(hub, b"m1", b"m2")
        answer = await back_end.ask("DELETE", "/devices/dev-1/commands")
        assert answer.status == 200
        assert json.loads(answer.body) == {"totalMessagesPurged": 2, "deviceId": DEVICE, "moduleId": None}
        assert hub.queue_depth(DEVICE) == 0


async def test_the_registry_tells_of_a_device() -> None:
    async with LocalHub(devices=[DEVICE, "dev-2"]) as hub, owner(hub) as administrator:
        send(hub, b"m1")
        document = json.loads((await administrator.ask("GET", f"/devices/{DEVICE}")).body)
        registered = hub._state.device(DEVICE)
        assert document["deviceId"] == DEVICE
        assert document["generationId"] == registered.generation_id
        assert document["status"] == "enabled"
        assert document["cloudToDeviceMessageCount"] == 1
        assert document["authentication"]["type"] == "sas"
        assert document["authentication"]["symmetricKey"]["primaryKey"] == registered.primary_key
        registered.enabled = False
        assert json.loads((await administrator.ask("GET", f"/devices/{DEVICE}")).body)["status"] == "disabled"
        for path in ("/devices", "/devices/"):
            documents = json.loads((await administrator.ask("GET", path)).body)
            assert [each["deviceId"] for each in documents] == [DEVICE, "dev-2"]


async def test_an_unknown_device_is_not_found() -> None:
    async with LocalHub() as hub, owner(hub) as administrator:
        for method, path in (("DELETE", "/devices/dev-9/commands"), ("GET", "/devices/dev-9")):
            answer = await administrator.ask(method, path)
            assert (answer.status, answer.error) == (404, "DeviceNotFound")


@pytest.mark.parametrize(
    "path",
    [
        "/devices/dev-1/messages",
        "/statistics/nothing",
        "/devices/dev-1/messages/events/more",
        f"{QUEUE}/token/reject",
        f"{QUEUE}/token/abandon/more",
        f"{FEEDBACK}/token/reject",
        "/messages/deviceBound",
    ],
)
async def test_an_unknown_path_is_not_found(path: str) -> None:
    async with LocalHub() as hub, owner(hub) as administrator:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            answer = await administrator.ask(method, path)
            assert answer.status == 404
            assert answer.error


async def test_a_method_that_an_address_does_not_take_is_refused() -> None:
    async with LocalHub() as hub, owner(hub) as administrator:
        for method, path in (("POST", f"/devices/{DEVICE}"), ("POST", QUEUE), ("PATCH", FEEDBACK)):
            assert (await administrator.ask(method, path)).status == 405
        assert (await administrator.ask("HEAD", QUEUE)).status == 405


async def test_a_connection_takes_request_after_request_and_is_counted() -> None:
    async with LocalHub() as hub, device(hub) as client:
        for _ in range(3):
            await client.ask("GET", QUEUE)
        assert hub.connection_count == 1
        await hub.disconnect_all()
        assert hub.connection_count == 0


async def test_requests_may_come_one_behind_the_other_and_byte_by_byte() -> None:
    async with LocalHub() as hub, connection(hub) as stream:
        request = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await stream.send(request + request)
        for byte in b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
            await stream.send(bytes([byte]))
        assert (await rest(stream)).count(b"HTTP/1.1 404") == 3


async def test_a_large_answer_arrives_whole() -> None:
    async with LocalHub(devices=[f"d-{number}" for number in range(1001)]) as hub, owner(hub) as administrator:
        documents = json.loads((await administrator.ask("GET", "/devices")).body)
        assert len(documents) == 1000


async def test_a_body_is_thrown_away_up_to_its_limit() -> None:
    async with LocalHub() as hub, owner(hub) as administrator:
        assert (await administrator.ask("DELETE", "/devices/dev-1/commands", body=bytes(65536))).status == 200
        answer = await administrator.ask("DELETE", "/devices/dev-1/commands", body=bytes(65537))
        assert answer.status == 413
        assert answer.error


async def test_a_flood_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REFUSED_SECONDS", 60.0)
    async with LocalHub() as hub, connection(hub) as stream:
        await stream.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
        with suppress(anyio.BrokenResourceError):
            for _ in range(1526):
                await stream.send(bytes(65536))
            pytest.fail("the hub read on")


@pytest.mark.parametrize(
    "head",
    [
        b"GET nonsense\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200_000 + b"\r\n",
        b"DELE\x00",
    ],
)
async def test_nonsense_costs_its_sender_the_connection(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with LocalHub() as hub, connection(hub) as stream:
        with suppress(anyio.BrokenResourceError):
            await stream.send(head)
        answer = await rest(stream)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        async with device(hub) as client:
            assert (await client.ask("GET", QUEUE)).status == 204
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]


async def test_a_request_that_is_cut_off_harms_nobody() -> None:
    request = b"DELETE /devices/dev-1/commands HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345"
    async with LocalHub() as hub:
        for end in range(4, len(request)):
            async with connection(hub) as stream:
                await stream.send(request[:end])
        async with device(hub) as client:
            assert (await client.ask("GET", QUEUE)).status == 204


async def test_who_sends_no_whole_request_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "IDLE_SECONDS", 0.05)
    async with LocalHub() as hub, connection(hub) as stream:
        await stream.send(b"GET / HTT")
        assert await rest(stream) == b""
    async with LocalHub() as hub, connection(hub) as stream:
        await stream.send(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTT")
        assert (await rest(stream)).startswith(b"HTTP/1.1 404")


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(door, "REFUSED_SECONDS", 0.05)
    async with LocalHub() as hub, connection(hub) as stream:
        await stream.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
        assert (await rest(stream)).startswith(b"HTTP/1.1 400")


async def test_https_port_serves_the_same_hub() -> None:
    async with LocalHub(mqtt_port=0, https_port=0) as hub:
        assert len(set(hub.ports)) == 3
        send(hub, b"m1")
        headers = {"Authorization": device_token(hub)}
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=hub.ssl_context())) as session,
            session.get(f"https://localhost:{hub.ports[2]}{QUEUE}", headers=headers) as response,
        ):
            assert await response.read() == b"m1"
