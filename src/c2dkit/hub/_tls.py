"""The hub's side of TLS, which lets clients in with certificates that it has never seen.

IoT Hub knows a device by the thumbprint of its certificate alone, so whom a certificate belongs to is decided after
the handshake. Python's ``ssl`` ends a handshake with a certificate that leads to no authority; pyOpenSSL asks first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import ByteStream
from OpenSSL import SSL, crypto

from c2dkit.hub._certificates import ClientCertificate, PeerAttribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography import x509

__all__ = ["HandshakeError", "TlsContext", "TlsStream"]

CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: what RFC 9325, 4.2 recommends. Those of TLS 1.3 need no choice."""

OPTIONS: Final = SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION

MAX_INTERMEDIATES: Final = 8
"""Authorities between a device's certificate and a registered one: each costs a signature to verify."""

SEND_BYTES: Final = 65_536
"""Encrypted at a time, once the connection has taken what was encrypted before."""

ENCRYPTED_BYTES: Final = 66_560
"""Handed to the connection at a time: ``SEND_BYTES`` in four records and their overhead (RFC 8446, 5.2)."""


class HandshakeError(ConnectionError):
    """A handshake failed, and the client has been sent the alert that says why."""


class TlsContext:
    """What the hub's TLS connections have in common: TLS 1.2 or later, and authorities for clients' certificates.

    Certificates expire by the real clock: OpenSSL can be told another time, but only once.

    Attributes:
        openssl: Has to be given the hub's own certificate.
    """

    def __init__(self) -> None:
        self.openssl: SSL.Context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.openssl.set_min_proto_version(SSL.TLS1_2_VERSION)
        self.openssl.set_cipher_list(CIPHERS)
        self.openssl.set_options(OPTIONS)
        self.openssl.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection holds none
        # No session is resumed, here and by OP_NO_TICKET: its certificate would come along unverified.
        self.openssl.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self.openssl.set_verify(SSL.VERIFY_PEER, _note_verdict)
        self.openssl.set_verify_depth(MAX_INTERMEDIATES)
        self._store = _store_of(self.openssl)
        self._store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # a registered authority need not be a root

    def add_authority(self, certificate: x509.Certificate) -> None:
        """Have it vouch for certificates in the handshakes to come."""
        self._store.add_cert(crypto.X509.from_cryptography(certificate))

    async def accept(self, stream: ByteStream) -> TlsStream:
        """Do the server's side of a handshake, in which the client may show a certificate.

        Cancellation: leaves the connection half-way; close it.

        Raises:
            HandshakeError: TLS did not come about.
            EndOfStream: The client went away.
            BrokenResourceError: The connection broke.
        """
        accepted = TlsStream(stream, SSL.Connection(self.openssl))
        await accepted.handshake()
        return accepted


class TlsStream(ByteStream):
    """The server's end of a TLS connection.

    One task may receive while another sends. The end of the connection is the end, whether or not it was announced.

    Args:
        stream: The connection.
        connection: OpenSSL's part, new and without a socket.
    """

    def __init__(self, stream: ByteStream, connection: SSL.Connection) -> None:
        self._stream = stream
        self._connection = connection
        self._verdicts: list[int] = []
        self._certificate: ClientCertificate | None = None
        self._sending = asyncio.Lock()
        connection.set_app_data(self._verdicts)
        connection.set_accept_state()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the connection, and the client's certificate."""
        outer: Mapping[Any, Callable[[], Any]] = self._stream.extra_attributes  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - so in anyio
        return {**outer, PeerAttribute.certificate: lambda: self._certificate}

    async def handshake(self) -> None:
        """See ``TlsContext.accept``."""
        while not await self._shake():
            await self._feed()
        shown = self._connection.get_peer_certificate()
        if shown is not None:
            der = crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)
            self._certificate = ClientCertificate.verified(der, self._verdicts)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return the next bytes: all that are there, up to ``max_bytes``.

        Cancellation: nothing that has come in is lost.

        Raises:
            EndOfStream: The client has ended the connection.
            BrokenResourceError: What came is not TLS, or the connection broke.
            ClosedResourceError: This end is closed.
        """
        while not (data := self._decrypt(max_bytes)):
            await self._flush()  # OpenSSL answers by itself to a change of keys, for one
            await self._feed()
        return data

    async def send(self, item: bytes) -> None:
        """Send bytes, which are encrypted as the client takes them.

        Cancellation: the connection is of no use afterwards.

        Raises:
            BrokenResourceError: The connection broke.
            ClosedResourceError: This end is closed.
        """
        unsent = memoryview(item)
        while unsent:
            self._encrypt(unsent[:SEND_BYTES])
            unsent = unsent[SEND_BYTES:]
            await self._flush()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        self._connection.shutdown()
        await self._flush()

    async def aclose(self) -> None:
        """End the connection without a goodbye."""
        await self._stream.aclose()

    async def _shake(self) -> bool:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise HandshakeError(_reason(error)) from error
        else:
            return True
        finally:
            await self._flush()

    def _decrypt(self, room: int) -> bytes:
        """Return what has come; nothing as long as that is not a whole record."""
        chunks: list[bytes] = []
        try:
            while room > 0:
                chunks.append(self._connection.recv(room))
                room -= len(chunks[-1])
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            if not chunks:
                raise anyio.EndOfStream from None
        except SSL.Error as error:
            if not chunks:
                raise anyio.BrokenResourceError from error
        return b"".join(chunks)

    def _encrypt(self, data: memoryview) -> None:
        try:
            while data:
                data = data[self._connection.send(data) :]  # takes no more than one record
        except SSL.Error as error:  # also where the client has begun to change keys and left it at that
            raise anyio.BrokenResourceError from error

    async def _feed(self) -> None:
        self._connection.bio_write(await self._stream.receive(ENCRYPTED_BYTES))

    async def _flush(self) -> None:
        more = True
        while more and (data := self._encrypted()):
            more = len(data) == ENCRYPTED_BYTES
            async with self._sending:  # its order is that of the data
                await self._stream.send(data)

    def _encrypted(self) -> bytes:
        try:
            return self._connection.bio_read(ENCRYPTED_BYTES)
        except SSL.WantReadError:
            return b""


def _store_of(context: SSL.Context) -> crypto.X509Store:
    store = context.get_cert_store()
    assert store is not None  # noqa: S101 - a context is made with one
    return store


def _note_verdict(connection: SSL.Connection, _: crypto.X509, error: int, _depth: int, ok: int) -> bool:
    """Let every certificate through, and note what OpenSSL has against it: 0 for nothing."""
    verdicts: list[int] = connection.get_app_data()
    verdicts.append(0 if ok else error)
    return True


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's own words, which are the last of three for each of its errors."""
    return str(error.args[0][-1][-1]) if len(error.args) == 1 and error.args[0] else str(error)
