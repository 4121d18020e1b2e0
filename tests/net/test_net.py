from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import anyio
import pytest
import trustme

from c2dkit import ConnectError, _net
from c2dkit._net import open_tls
from c2dkit._proxy import Proxy

from .conftest import ConnectProxy, echo, serving, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield


@pytest.fixture
def foreign() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server for another host shows, and what its authority's clients trust."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate = authority.issue_cert("other.example")
    certificate.configure_cert(server)  # pyright: ignore[reportUnknownMemberType] - it also takes pyOpenSSL's
    return server, ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


def proxy(port: int) -> Proxy:
    return Proxy.from_url(f"http://127.0.0.1:{port}")


async def test_bytes_there_and_back(server_context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    async with serving(echo, server_context) as peer:
        async with await open_tls("localhost", peer.port, ssl_context=trust) as stream:
            await stream.send(b"there and back")
            assert await stream.receive() == b"there and back"
        await peer.over.wait()


async def test_through_a_proxy_tls_is_with_the_host_behind_it(
    server_context: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    servant = ConnectProxy()
    async with serving(echo, server_context) as peer, serving(servant.serve) as door:
        async with await open_tls("localhost", peer.port, ssl_context=trust, proxy=proxy(door.port)) as stream:
            await stream.send(b"there and back")
            assert await stream.receive() == b"there and back"
        await peer.over.wait()
    assert servant.targets == [f"localhost:{peer.port}"]


async def test_an_unknown_authority(server_context: ssl.SSLContext) -> None:
    async with serving(echo, server_context) as peer:
        with pytest.raises(ConnectError, match=r"not trusted \(.*set SSL_CERT_FILE") as caught:
            await open_tls("localhost", peer.port)
    assert not caught.value.transient
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("through_proxy", [False, True])
async def test_a_certificate_for_another_host(
    foreign: tuple[ssl.SSLContext, ssl.SSLContext], *, through_proxy: bool
) -> None:
    server, trusting = foreign
    async with serving(echo, server) as peer, serving(ConnectProxy().serve) as door:
        through = proxy(door.port) if through_proxy else None
        with pytest.raises(ConnectError, match=r"mismatch.*localhost") as caught:
            await open_tls("localhost", peer.port, ssl_context=trusting, proxy=through)
        assert (f"through the proxy 127.0.0.1:{door.port}" in str(caught.value)) is through_proxy
    assert not caught.value.transient


async def test_no_tls(trust: ssl.SSLContext) -> None:
    async def no_tls(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(b"I speak no TLS\r\n")

    async with serving(no_tls) as peer:
        with pytest.raises(ConnectError, match="cannot connect to localhost"):
            await open_tls("localhost", peer.port, ssl_context=trust)
        await peer.over.wait()


async def test_nobody_there(trust: ssl.SSLContext) -> None:
    async with serving(silence) as peer:
        pass
    with pytest.raises(ConnectError, match=f"cannot connect to localhost:{peer.port}: Connection refused") as caught:
        await open_tls("localhost", peer.port, ssl_context=trust)
    assert caught.value.transient
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_silent_peer(monkeypatch: pytest.MonkeyPatch, trust: ssl.SSLContext) -> None:
    monkeypatch.setattr(_net, "CONNECT_SECONDS", 0.05)
    async with serving(silence) as peer:
        with pytest.raises(ConnectError, match=r"did not answer within 0.05 s") as caught:
            await open_tls("localhost", peer.port, ssl_context=trust)
        await peer.over.wait()
    assert caught.value.transient


async def test_a_silent_proxy(monkeypatch: pytest.MonkeyPatch, trust: ssl.SSLContext) -> None:
    monkeypatch.setattr(_net, "CONNECT_SECONDS", 0.05)
    async with serving(silence) as door:
        with pytest.raises(ConnectError, match=f"through the proxy 127.0.0.1:{door.port} did not answer"):
            await open_tls("localhost", 5671, ssl_context=trust, proxy=proxy(door.port))
        await door.over.wait()
