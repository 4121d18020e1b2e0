"""The hub's end of TLS over real sockets, against Python's own client end, and OpenSSL's where that cannot do it."""

from __future__ import annotations

import socket
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream
from OpenSSL import SSL

from c2dkit.hub._certificates import ClientCertificate, peer_certificate, read_authority
from c2dkit.hub._tls import MAX_INTERMEDIATES, HandshakeError, TlsContext, TlsStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from anyio.abc import SocketListener, SocketStream

AUTHORITY = trustme.CA()
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
UNKNOWN = "it leads to no authority that the hub knows"


@pytest.fixture
def context() -> TlsContext:
    context = TlsContext()
    AUTHORITY.issue_cert("localhost").configure_cert(context.openssl)
    return context


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def client(request: pytest.FixtureRequest) -> ssl.SSLContext:
    return client_context(request.param)


def client_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    context.maximum_version = version
    return context


@asynccontextmanager
async def sockets() -> AsyncGenerator[tuple[SocketStream, SocketStream]]:
    """Two ends of a TCP connection: the server's and the client's."""
    listeners = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = cast("SocketListener", listeners.listeners[0])
    async with listener:
        with anyio.fail_after(20):
            theirs = await anyio.connect_tcp("127.0.0.1", listener.extra(SocketAttribute.local_port))
            ours = await listener.accept()
            try:
                yield ours, theirs
            finally:
                await anyio.aclose_forcefully(ours)
                await anyio.aclose_forcefully(theirs)


@asynccontextmanager
async def connected(context: TlsContext, client: ssl.SSLContext) -> AsyncGenerator[tuple[TlsStream, TLSStream]]:
    """The two ends of a TLS connection: the hub's and the client's."""
    ends: list[TlsStream | TLSStream] = []

    async def accept(stream: SocketStream) -> None:
        ends.insert(0, await context.accept(stream))

    async def connect(stream: SocketStream) -> None:
        ends.append(await TLSStream.wrap(stream, hostname="localhost", ssl_context=client, standard_compatible=False))

    async with sockets() as (ours, theirs):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept, ours)
            tasks.start_soon(connect, theirs)
        hub, device = ends
        assert isinstance(hub, TlsStream)
        assert isinstance(device, TLSStream)
        yield hub, device


async def shown(context: TlsContext, client: ssl.SSLContext) -> ClientCertificate | None:
    async with connected(context, client) as (hub, _):
        return peer_certificate(hub)


async def read(stream: TlsStream | TLSStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive()
    return data


async def test_much_goes_both_ways_at_once(context: TlsContext, client: ssl.SSLContext) -> None:
    data = bytes(range(256)) * 20_000
    async with connected(context, client) as (hub, device), anyio.create_task_group() as tasks:
        tasks.start_soon(hub.send, data)  # more than all buffers hold, so it waits for the device to read
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(device.send, data)
        assert await read(hub, len(data)) == data
        assert await read(device, len(data)) == data


async def test_what_has_come_is_returned_in_one_piece_up_to_what_was_asked_for(
    context: TlsContext, client: ssl.SSLContext
) -> None:
    async with connected(context, client) as (hub, device):
        await hub.send(b"")
        for _ in range(10):
            await device.send(b"0123456789")  # a record each
        assert await hub.receive(15) == b"012345678901234"
        assert len(await hub.receive()) == 85


@pytest.mark.parametrize("announced", [True, False])
async def test_the_end_is_the_end_whether_or_not_it_was_announced(
    context: TlsContext, client: ssl.SSLContext, announced: bool
) -> None:
    async with connected(context, client) as (hub, device):
        await device.send(b"last words")
        if announced:
            with suppress(ssl.SSLWantReadError):
                device._ssl_object.unwrap()
            await device.transport_stream.send(device._write_bio.read())
        else:
            await device.transport_stream.send_eof()
        assert await hub.receive() == b"last words"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await hub.receive()


async def test_an_end_of_ours_is_announced_where_that_is_asked_for(context: TlsContext, client: ssl.SSLContext) -> None:
    async with connected(context, client) as (hub, device):
        await hub.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await device.receive()
        await device.send(b"more")
        assert await hub.receive() == b"more"


async def test_garbage_breaks_the_connection_behind_what_was_good(context: TlsContext, client: ssl.SSLContext) -> None:
    async with connected(context, client) as (hub, device):
        await device.send(b"good")
        await device.transport_stream.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert await hub.receive() == b"good"
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError):
                await hub.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await hub.send(b"still there?")


async def test_a_reset_breaks_the_connection(context: TlsContext, client: ssl.SSLContext) -> None:
    async with connected(context, client) as (hub, device):
        raw: socket.socket = device.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await anyio.aclose_forcefully(device)
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await hub.receive()


async def test_nothing_works_once_this_end_is_closed(context: TlsContext, client: ssl.SSLContext) -> None:
    async with connected(context, client) as (hub, _):
        await hub.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await hub.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await hub.send(b"x")


async def test_what_is_no_tls_fails_the_handshake_and_is_told_so(context: TlsContext) -> None:
    async with sockets() as (ours, theirs):
        await theirs.send(b"\x16\x03\x01\x00\x05nonsense")
        with pytest.raises(HandshakeError, match="unexpected message"):
            await context.accept(ours)
        assert (await theirs.receive()).startswith(b"\x15\x03")  # an alert


async def test_older_versions_and_weak_ciphers_are_refused(context: TlsContext) -> None:
    for offer, reason in ((old_version, "unsupported protocol"), (weak_cipher, "no shared cipher")):
        async with sockets() as (ours, theirs):
            device = SSL.Connection(offer())
            device.set_connect_state()
            with pytest.raises(SSL.WantReadError):
                device.do_handshake()
            await theirs.send(device.bio_read(65_536))
            with pytest.raises(HandshakeError, match=reason):
                await context.accept(ours)


def old_version() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
    context.set_min_proto_version(SSL.TLS1_1_VERSION)
    context.set_max_proto_version(SSL.TLS1_1_VERSION)
    return context


def weak_cipher() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA:AES128-SHA")
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    return context


async def test_a_client_that_goes_away_ends_the_handshake(context: TlsContext) -> None:
    async with sockets() as (ours, theirs):
        await theirs.send(b"\x16\x03\x01\x02\x00\x01")
        await theirs.aclose()
        with pytest.raises(anyio.EndOfStream):
            await context.accept(ours)


async def test_a_session_is_not_resumed(context: TlsContext, client: ssl.SSLContext) -> None:
    async with connected(context, client) as (hub, device):
        await hub.send(b"with TLS 1.3 a session comes behind the handshake")
        await device.receive()
        session = device._ssl_object.session
    async with sockets() as (ours, theirs), anyio.create_task_group() as tasks:
        tasks.start_soon(context.accept, ours)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        again = client.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
        while not await shake(again, incoming, outgoing, theirs):
            pass
        assert not again.session_reused


async def shake(side: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, stream: SocketStream) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        await stream.send(outgoing.read())
        incoming.write(await stream.receive())
        return False
    await stream.send(outgoing.read())
    return True


async def test_a_client_cannot_renegotiate(context: TlsContext) -> None:
    old = SSL.Context(SSL.TLS_CLIENT_METHOD)
    old.set_max_proto_version(SSL.TLS1_2_VERSION)
    device = SSL.Connection(old)
    device.set_connect_state()
    accepted: list[TlsStream] = []

    async def serve(stream: SocketStream) -> None:
        accepted.append(await context.accept(stream))
        await accepted[0].send(await accepted[0].receive())

    async with sockets() as (ours, theirs), anyio.create_task_group() as tasks:
        tasks.start_soon(serve, ours)
        await drive(device.do_handshake, device, theirs)
        assert device.renegotiate()
        with pytest.raises(SSL.Error, match="no renegotiation"):
            await drive(device.do_handshake, device, theirs)
        tasks.cancel_scope.cancel()


async def drive(step: Callable[[], None], device: SSL.Connection, stream: SocketStream) -> None:
    while True:
        try:
            step()
        except SSL.WantReadError:
            await flush(device, stream)
            device.bio_write(await stream.receive())
        else:
            await flush(device, stream)
            return


async def flush(device: SSL.Connection, stream: SocketStream) -> None:
    with suppress(SSL.WantReadError):
        await stream.send(device.bio_read(65_536))


def bearing(client: ssl.SSLContext, certificate: trustme.LeafCert, folder: Path) -> ssl.SSLContext:
    file = folder / "client.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
    client.load_cert_chain(file)
    return client


async def test_a_client_needs_no_certificate(context: TlsContext, client: ssl.SSLContext) -> None:
    assert await shown(context, client) is None


async def test_a_strangers_certificate_comes_through_with_its_flaw(
    context: TlsContext, client: ssl.SSLContext, tmp_path: Path
) -> None:
    certificate = trustme.CA().issue_cert("n.n", common_name="d1")
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    assert await shown(context, bearing(client, certificate, tmp_path)) == (der, UNKNOWN)


async def test_a_registered_authority_vouches_also_through_others(
    context: TlsContext, client: ssl.SSLContext, tmp_path: Path
) -> None:
    root = trustme.CA()
    between = root.create_child_ca()
    bearer = bearing(client, between.issue_cert("n.n", common_name="d1"), tmp_path)
    assert (await shown(context, bearer) or ("", ""))[1] == UNKNOWN
    context.add_authority(read_authority(root.cert_pem.bytes()))
    assert (await shown(context, bearer) or ("", ""))[1] is None


async def test_a_registered_authority_need_not_be_a_root(
    context: TlsContext, client: ssl.SSLContext, tmp_path: Path
) -> None:
    between = trustme.CA().create_child_ca()
    context.add_authority(read_authority(between.cert_pem.bytes()))
    bearer = bearing(client, between.issue_cert("n.n", common_name="d1"), tmp_path)
    assert (await shown(context, bearer) or ("", ""))[1] is None


async def test_a_chain_may_be_so_long_and_no_longer(
    context: TlsContext, client: ssl.SSLContext, tmp_path: Path
) -> None:
    authority = root = trustme.CA()
    context.add_authority(read_authority(root.cert_pem.bytes()))
    for _ in range(MAX_INTERMEDIATES):
        authority = authority.create_child_ca()
    bearer = bearing(client, authority.issue_cert("n.n"), tmp_path)
    assert (await shown(context, bearer) or ("", ""))[1] is None
    bearer = bearing(client, authority.create_child_ca().issue_cert("n.n"), tmp_path)
    assert (await shown(context, bearer) or ("", ""))[1] is not None
