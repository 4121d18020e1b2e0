"""The CONNECT exchange against proxies of every character."""

from __future__ import annotations

import base64
import traceback
from typing import TYPE_CHECKING

import aiohttp
import anyio
import pytest

from c2dkit import ConnectError, _proxy
from c2dkit._proxy import MAX_ANSWER_BYTES, Proxy, aiohttp_proxy, open_tunnel

from .conftest import ConnectProxy, echo, head, serving, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream

    from c2dkit.hub import LocalHub

    from .conftest import Handler

SECRET = "s3cret"


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield


def proxy(port: int, credentials: str = "") -> Proxy:
    return Proxy.from_url(f"http://{credentials}127.0.0.1:{port}")


async def refusal(handler: Handler, credentials: str = "") -> ConnectError:
    """Ask a proxy that must not do for a tunnel; the connection must be over afterwards."""
    async with serving(handler) as peer:
        with pytest.raises(ConnectError) as caught:
            await open_tunnel(proxy(peer.port, credentials), "hub.example", 5671)
        await peer.over.wait()
        assert f"127.0.0.1:{peer.port}" in str(caught.value)
    return caught.value


def answering(*answers: bytes) -> Handler:
    async def answer(stream: ByteStream) -> None:
        await head(stream)
        for each in answers:
            await stream.send(each)
        await silence(stream)

    return answer


async def test_a_tunnel_carries_bytes_both_ways() -> None:
    servant = ConnectProxy()
    async with serving(echo) as target, serving(servant.serve) as peer:
        async with await open_tunnel(proxy(peer.port), "127.0.0.1", target.port) as tunnel:
            await tunnel.send(b"there and back")
            assert await tunnel.receive() == b"there and back"
        await target.over.wait()
    assert servant.targets == [f"127.0.0.1:{target.port}"]


async def test_the_request_names_the_target_and_who_asks() -> None:
    requests: list[str] = []

    async def note(stream: ByteStream) -> None:
        requests.append(await head(stream))
        await stream.send(b"HTTP/1.0 200\r\n\r\n")

    async with serving(note) as peer:
        await (await open_tunnel(proxy(peer.port, f"me:{SECRET}@"), "::1", 443)).aclose()
    authorization = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert requests == [
        f"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic {authorization}\r\n\r\n"
    ]


async def test_an_answer_may_come_in_pieces() -> None:
    answer = b"HTTP/1.1 204 Fine\r\nA: b\r\n\r\n"
    async with serving(answering(*(answer[i : i + 1] for i in range(len(answer))))) as peer:
        await (await open_tunnel(proxy(peer.port), "hub.example", 5671)).aclose()


async def test_a_proxy_that_asks_for_credentials() -> None:
    error = await refusal(ConnectProxy("me:other").serve)
    assert "asks for a user name and a password" in str(error)
    assert "(HTTP 407)" in str(error)
    assert not error.transient


async def test_a_proxy_that_refuses_the_credentials_and_no_secret_in_the_error() -> None:
    error = await refusal(ConnectProxy("me:other").serve, f"me:{SECRET}@")
    assert "refused the user name or password of proxy= (HTTP 407)" in str(error)
    assert not error.transient
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
    shown = str(error) + str([frame.locals for frame in frames if frame.filename == _proxy.__file__])
    assert "Proxy(" in shown
    for secret in (SECRET, base64.b64encode(f"me:{SECRET}".encode()).decode()):
        assert secret not in shown


async def test_tinyproxys_way_to_refuse_credentials() -> None:
    error = await refusal(answering(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), "me:pass@")
    assert "refused the user name or password of proxy= (HTTP 401)" in str(error)


@pytest.mark.parametrize(("status", "transient"), [(403, False), (404, False), (429, True), (500, True), (504, True)])
async def test_another_refusal_is_named_by_its_status(status: int, *, transient: bool) -> None:
    error = await refusal(answering(f"HTTP/1.1 {status} \x1b[31mwords\r\n\r\nbody".encode()))
    assert f"refused to connect to hub.example:5671 (HTTP {status})" in str(error)
    assert error.transient is transient


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 999 OK\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_what_is_no_answer_of_http(answer: bytes) -> None:
    error = await refusal(answering(answer))
    assert "does not answer like an HTTP proxy" in str(error)
    assert not error.transient


async def test_an_answer_without_an_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def flood(stream: ByteStream) -> None:
        nonlocal sent
        await stream.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send(b"A: b\r\n" * 1000)
            sent += 6000

    error = await refusal(flood)
    assert "too long" in str(error)
    assert sent > MAX_ANSWER_BYTES  # up to what the sockets hold


async def test_a_proxy_that_speaks_for_the_hub() -> None:
    error = await refusal(answering(b"HTTP/1.1 200 OK\r\n\r\nhello"))
    assert "sent more than its answer" in str(error)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_a_proxy_that_hangs_up(answer: bytes) -> None:
    async def hang_up(stream: ByteStream) -> None:
        await head(stream)
        if answer:
            await stream.send(answer)

    error = await refusal(hang_up)
    assert "ended the connection without an answer" in str(error)
    assert error.transient


async def test_no_proxy_there() -> None:
    async with serving(silence) as peer:
        pass
    with pytest.raises(ConnectError, match=f"cannot connect to the proxy 127.0.0.1:{peer.port}: Connection refused"):
        await open_tunnel(proxy(peer.port), "hub.example", 5671)


async def test_cancelling_leaves_nothing_open() -> None:
    asked = anyio.Event()

    async def never(stream: ByteStream) -> None:
        await head(stream)
        asked.set()
        await silence(stream)

    async with serving(never) as peer:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_tunnel, proxy(peer.port), "hub.example", 5671)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await peer.over.wait()


async def test_aiohttp_goes_through_a_proxy_with_the_arguments_for_it(hub: LocalHub) -> None:
    servant = ConnectProxy("me:pass")
    url = f"https://localhost:{hub.port}/devices/dev-1/messages/deviceBound?api-version=2020-03-13"
    async with (
        serving(servant.serve) as peer,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=hub.ssl_context(), force_close=True)) as session,
    ):
        async with session.get(url, **aiohttp_proxy(proxy(peer.port, "me:pass@"))) as answer:
            assert answer.status == 401
        assert servant.targets == [f"localhost:{hub.port}"]
        with pytest.raises(aiohttp.ClientHttpProxyError) as caught:
            await session.get(url, **aiohttp_proxy(proxy(peer.port, "me:no@")))
    assert caught.value.status == 407
    assert servant.refused == 1
