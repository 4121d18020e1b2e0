"""The status page over HTTP: what it takes to see the data, and what is in them; a browser has tests of its own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from c2dkit import DeviceReceiver
from c2dkit._errors import ClosedError
from c2dkit._models import Message
from c2dkit._rules.credentials import ServiceCredential
from c2dkit.hub import ConnectionEvent, LocalHub
from c2dkit.hub import _status as status
from c2dkit.hub._state import HubState
from c2dkit.hub._stranger import MAX_BYTES
from c2dkit.testing.contract._bench import ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from c2dkit.hub._queue import Entry

DATA = "/$c2dkit/status"
FILES = {
    "/": "text/html",
    "/$c2dkit/status.js": "text/javascript",
    "/$c2dkit/status.css": "text/css",
    "/$c2dkit/icon.svg": "image/svg+xml",
}
SECRET_BODY = b"the body"


async def ask(hub: LocalHub, path: str, **headers: str) -> tuple[int, Mapping[str, str], str]:
    connector = aiohttp.TCPConnector(ssl=hub.ssl_context())
    with anyio.fail_after(20):
        async with (
            aiohttp.ClientSession(f"https://localhost:{hub.port}", connector=connector) as session,
            session.get(path, headers=headers) as answer,
        ):
            return answer.status, answer.headers, await answer.text()


async def read(hub: LocalHub) -> dict[str, Any]:
    code, _, text = await ask(hub, DATA, Authorization=f"Bearer {key(hub)}")
    assert code == 200, text
    document: dict[str, Any] = json.loads(text)
    return document


def key(hub: LocalHub) -> str:
    return hub.status_url.partition("#")[2]


def send(hub: LocalHub, device_id: str = "dev-1", message_id: str | None = "m-1") -> None:
    to = f"/devices/{device_id}/messages/devicebound"
    hub._state.send(Message(SECRET_BODY, message_id=message_id, to=to, properties={"name": "a property"}))


@pytest.mark.parametrize("path", FILES)
async def test_the_page_is_static_and_shut_off_from_everything_else(hub: LocalHub, path: str) -> None:
    send(hub)
    code, headers, text = await ask(hub, path)
    assert code == 200
    assert headers["Content-Type"].partition(";")[0] == FILES[path]
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert not any("unsafe" in each or "http" in each for each in policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    for outside in ("http://", "https://", "innerHTML", "style="):
        assert outside not in text.replace("http://www.w3.org/2000/svg", "")
    for secret in (key(hub), "SharedAccessKey", "dev-1", "m-1"):
        assert secret not in text


@pytest.mark.parametrize(
    "path", ["/$c2dkit", "/$c2dkit/", "/$c2dkit/index.html/..", "/$c2dkit/__init__.py", "/$C2DKIT/x"]
)
async def test_there_is_nothing_else_beside_it(hub: LocalHub, path: str) -> None:
    assert (await ask(hub, path))[0] == 404


@pytest.mark.parametrize("shown", [None, "", "Bearer ", "Bearer x"])
async def test_the_data_need_the_key(hub: LocalHub, shown: str | None) -> None:
    code, _, text = await ask(hub, DATA, **({} if shown is None else {"Authorization": shown}))
    assert code == 401
    assert "the status needs the key" in text
    event = hub._events.recent[-1]
    assert isinstance(event, ConnectionEvent)
    assert (event.what, event.protocol, event.client) == ("refused", "HTTPS", None)
    assert event.reason is not None
    assert event.reason.startswith("the status needs the key")


async def test_a_key_that_is_no_text_is_refused_like_any_other(hub: LocalHub) -> None:
    stream = await anyio.connect_tcp(
        "localhost", hub.port, ssl_context=hub.ssl_context(), tls_hostname="localhost", tls_standard_compatible=False
    )
    with anyio.fail_after(20):
        await stream.send(b"GET /$c2dkit/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xe9\r\n\r\n")
        assert b" 401 " in await stream.receive()
    await anyio.aclose_forcefully(stream)


async def test_who_has_the_key_may_ask_for_ever_on_one_connection(hub: LocalHub) -> None:
    stream = await anyio.connect_tcp(
        "localhost", hub.port, ssl_context=hub.ssl_context(), tls_hostname="localhost", tls_standard_compatible=False
    )
    answers, padding = BufferedByteReceiveStream(stream), "x" * 8000
    question = f"GET {DATA} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key(hub)}\r\nX-Any: {padding}\r\n\r\n"
    with anyio.fail_after(20):
        for _ in range(2 * MAX_BYTES // len(question)):
            await stream.send(question.encode())
            head = await answers.receive_until(b"\r\n\r\n", 65_536)
            assert head.startswith(b"HTTP/1.1 200 ")
            await answers.receive_exactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    await anyio.aclose_forcefully(stream)


async def test_no_other_secret_of_the_hub_opens_the_data_and_the_key_opens_nothing_else(hub: LocalHub) -> None:
    token = ServiceCredential.from_connection_string(hub.owner_connection_string).token(hub.clock.now()).text
    assert (await ask(hub, DATA, Authorization=token))[0] == 401
    assert (await ask(hub, "/devices", Authorization=f"Bearer {key(hub)}"))[0] == 401


async def test_every_start_has_another_key() -> None:
    hub = LocalHub()
    keys: set[str] = set()
    for _ in range(2):
        async with hub:
            assert hub.status_url.startswith(f"https://localhost:{hub.port}/#")
            keys.add(key(hub))
        with pytest.raises(ClosedError):
            _ = hub.status_url
    assert len(keys) == 2
    assert all(len(each) >= 32 for each in keys)


@pytest.mark.parametrize("path", ["/", DATA])
@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:8883", 200),
        ("[::1]:5671", 200),
        ("192.0.2.7", 200),
        ("evil.example", 401),
        ("localhost.evil.example", 401),
        ("127.0.0.1.evil.example", 401),
        ("[::1", 401),
    ],
)
async def test_nobody_comes_by_it_under_a_name_of_his_own(hub: LocalHub, path: str, host: str, code: int) -> None:
    assert (await ask(hub, path, Host=host, Authorization=f"Bearer {key(hub)}"))[0] == code


async def test_it_tells_of_devices_messages_and_locks_but_of_no_content(hub: LocalHub) -> None:
    send(hub)
    send(hub, message_id="x" * 200 + "\x1b")
    send(hub, "dev-2", None)
    holder = uuid4()
    hub._state.receive("dev-1", holder=holder)
    hub._state.receive("dev-2", holder=holder, lock_for=None)
    hub.disable_device("dev-2")
    document = await read(hub)
    first, second = document["devices"]
    assert first == {
        "device_id": "dev-1",
        "enabled": True,
        "connected": [],
        "queue_depth": 2,
        "locked": 1,
        "connection_string": hub.device_connection_string("dev-1"),
    }
    assert (second["enabled"], second["queue_depth"], second["locked"]) == (False, 1, 1)
    told = [(each["device_id"], each["message_id"], each["locked"]) for each in document["messages"]]
    assert told == [("dev-1", "m-1", True), ("dev-1", "x" * 128, False), ("dev-2", None, True)]
    locks = [each["lock_seconds"] for each in document["messages"]]
    assert locks == [60, None, None]
    hub.clock.advance(timedelta(seconds=20))
    assert (await read(hub))["messages"][0]["lock_seconds"] == 40
    assert document["host"] == "localhost"
    assert document["ports"] == [hub.port]
    assert document["ca_file"] == str(hub.ca_file)
    assert document["connection_strings"] == {
        "service": hub.service_connection_string,
        "iothubowner": hub.owner_connection_string,
    }
    assert document["events"][0]["what"] == "changed"
    text = json.dumps(document)
    assert "the body" not in text
    assert "a property" not in text
    assert key(hub) not in text


async def test_it_tells_who_is_connected(hub: LocalHub) -> None:
    strings = [hub.device_connection_string(device_id) for device_id in ("dev-1", "dev-2")]
    trust = hub.ssl_context()
    async with (
        DeviceReceiver.from_connection_string(strings[0], transport="amqp", ssl_context=trust, retry=ONCE),
        DeviceReceiver.from_connection_string(strings[1], transport="mqtt-ws", ssl_context=trust, retry=ONCE),
    ):
        document = await read(hub)
        assert [device["connected"] for device in document["devices"]] == [["AMQP"], ["MQTT (WebSocket)"]]
        told = [(each["way"], each["clients"]) for each in document["connections"]]
        assert told == [("AMQP", ["dev-1"]), ("MQTT (WebSocket)", ["dev-2"])]
        assert all(each["peer"].startswith(("127.0.0.1:", "[::1]:")) for each in document["connections"])
        assert document["connection_count"] == 2
        connected = [event for event in document["events"] if event["what"] == "connected"]
        assert [event["who"] for event in connected] == ["dev-2", "dev-1"]


async def test_it_shows_no_more_than_some_of_very_many(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "MAX_SHOWN", 1)
    for _ in range(300):
        send(hub)
        hub._state.purge("dev-1")
    send(hub)
    send(hub)
    document = await read(hub)
    assert (len(document["devices"]), document["device_count"]) == (1, 2)
    assert (len(document["messages"]), document["message_count"]) == (1, 2)
    assert len(document["events"]) == 200
    assert document["event_count"] > 600


async def test_it_looks_into_no_more_queues_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    messages = HubState.messages

    def look(state: HubState, device_id: str) -> Sequence[Entry[Message]]:
        looked.append(device_id)
        return messages(state, device_id)

    monkeypatch.setattr(HubState, "messages", look)
    monkeypatch.setattr(status, "MAX_SHOWN", 2)
    async with LocalHub(devices=[f"d{number}" for number in range(9)]) as hub:
        send(hub, "d8")
        document = await read(hub)
    assert looked == ["d0", "d1"]
    assert document["message_count"] == 1
    assert [message["device_id"] for message in document["messages"]] == ["d8"]
