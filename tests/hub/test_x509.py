"""Devices that sign in with a certificate, over every transport of c2dkit, and who is refused."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import anyio
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from c2dkit import (
    C2dError,
    CloudSender,
    DeviceCredential,
    DeviceReceiver,
    FeedbackStream,
    InvalidInputError,
    ServiceCredential,
    ServiceError,
    UnauthorizedError,
)
from c2dkit.hub import LocalHub
from c2dkit.hub import _listener as listener
from c2dkit.testing.contract._bench import ONCE
from c2dkit.transports import (
    AmqpDeviceTransport,
    AmqpServiceTransport,
    HttpsDeviceTransport,
    HttpsServiceTransport,
    MqttDeviceTransport,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from anyio.streams.tls import TLSStream

    from c2dkit.transports import DeviceTransport

    Make = Callable[[DeviceCredential, ssl.SSLContext], DeviceTransport]

TRANSPORTS: dict[str, Make] = {
    "amqp": lambda credential, context: AmqpDeviceTransport(credential, ssl_context=context),
    "amqp-ws": lambda credential, context: AmqpDeviceTransport(credential, ssl_context=context, websocket=True),
    "mqtt": lambda credential, context: MqttDeviceTransport(credential, ssl_context=context),
    "mqtt-ws": lambda credential, context: MqttDeviceTransport(credential, ssl_context=context, websocket=True),
    "https": lambda credential, context: HttpsDeviceTransport(credential, ssl_context=context),
}


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    async with LocalHub(devices=["dev-key"]) as hub:
        yield hub


@pytest.fixture(params=TRANSPORTS)
def make(request: pytest.FixtureRequest) -> Make:
    name: str = request.param
    return TRANSPORTS[name]


def self_signed(common_name: str, *, days: float = 1) -> bytes:
    """Return a key and a certificate that nobody else has issued; it says it may sign, as openssl has it by default."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issued_by_a_stranger(common_name: str) -> bytes:
    """Return a key and a certificate of an authority that the hub does not know."""
    issued = trustme.CA().issue_cert("any.name", common_name=common_name)
    return issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes()


def digest(pem: bytes, algorithm: hashes.HashAlgorithm) -> str:
    return x509.load_pem_x509_certificate(pem).fingerprint(algorithm).hex()


class Device:
    """A device that signs in with the certificate and key of one file."""

    def __init__(self, hub: LocalHub, device_id: str, pem: bytes, folder: Path) -> None:
        self.file = folder / f"{device_id}.pem"
        self.file.write_bytes(pem)
        self.pem = pem
        self._hub = hub
        self._device_id = device_id

    def credential(self, device_id: str | None = None, *, file: bool = True) -> DeviceCredential:
        return DeviceCredential(
            host_name="localhost",
            port=self._hub.port,
            device_id=device_id or self._device_id,
            x509=True,
            certificate_file=self.file if file else None,
        )

    def context(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = self._hub.ssl_context()
        context.maximum_version = version
        context.load_cert_chain(self.file)
        return context


async def receives(hub: LocalHub, transport: DeviceTransport, device_id: str) -> None:
    async with CloudSender.from_connection_string(
        hub.service_connection_string,
        ssl_context=hub.ssl_context(),
        retry=ONCE,
    ) as sender:
        await sender.send(device_id, "hello")
    with anyio.fail_after(20):
        async with DeviceReceiver(transport, payload_type=str, retry=ONCE) as receiver:
            message = await anext(aiter(receiver))
            assert message.payload == "hello"
            await message.complete()
    assert hub.queue_depth(device_id) == 0


class Refusal:
    """Checks that a device is refused; the hub says why in its log, whatever it tells the device."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "c2dkit.hub")
        self._caplog = caplog

    async def __call__(self, transport: DeviceTransport, reason: str) -> UnauthorizedError:
        with anyio.fail_after(20), pytest.raises(UnauthorizedError) as caught:
            async with DeviceReceiver(transport, retry=ONCE) as receiver:
                await anext(aiter(receiver))
        assert reason in self._caplog.text
        self._caplog.clear()
        return caught.value


@pytest.fixture
def refused(caplog: pytest.LogCaptureFixture) -> Refusal:
    return Refusal(caplog)


@pytest.mark.parametrize("issue", [self_signed, issued_by_a_stranger])
async def test_a_certificate_that_the_hub_knows_in_a_file(
    hub: LocalHub, make: Make, tmp_path: Path, issue: Callable[[str], bytes]
) -> None:
    device = Device(hub, "dev-x", issue("any name"), tmp_path)
    hub.add_device("dev-x", certificate_pem=device.pem)
    await receives(hub, make(device.credential(), hub.ssl_context()), "dev-x")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_of_the_hub_in_a_context(
    hub: LocalHub, make: Make, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    hub.add_device("dev-x", ca_signed=True)
    device = Device(hub, "dev-x", hub.issue_certificate("dev-x"), tmp_path)
    await receives(hub, make(device.credential(file=False), device.context(version)), "dev-x")


async def test_a_certificate_of_a_registered_authority(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("any.name", common_name="dev-x")
    device = Device(hub, "dev-x", issued.private_key_and_cert_chain_pem.bytes(), tmp_path)
    hub.add_device("dev-x", ca_signed=True)
    await refused(make(device.credential(), hub.ssl_context()), "it leads to no authority that the hub knows")
    hub.add_certificate_authority(authority.cert_pem.bytes())
    await receives(hub, make(device.credential(), hub.ssl_context()), "dev-x")


async def test_the_secondary_certificate_is_as_good(hub: LocalHub, make: Make, tmp_path: Path) -> None:
    primary, secondary = self_signed("primary"), self_signed("secondary")
    hub.add_device("dev-x", certificate_pem=primary, secondary_certificate_pem=secondary)
    device = Device(hub, "dev-x", secondary, tmp_path)
    await receives(hub, make(device.credential(), hub.ssl_context()), "dev-x")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])
async def test_a_certificate_that_the_hub_has_never_seen_is_known_by_its_thumbprint(
    hub: LocalHub, make: Make, tmp_path: Path, version: ssl.TLSVersion, algorithm: hashes.HashAlgorithm
) -> None:
    device = Device(hub, "dev-x", self_signed("any name"), tmp_path)
    hub.add_device("dev-x", thumbprints=["00" * 20, digest(device.pem, algorithm)])
    await receives(hub, make(device.credential(file=False), device.context(version)), "dev-x")


async def test_a_certificate_that_is_known_by_its_thumbprint_is_good_after_its_end(
    hub: LocalHub, make: Make, tmp_path: Path
) -> None:
    device = Device(hub, "dev-x", self_signed("any name", days=-1), tmp_path)
    hub.add_device("dev-x", certificate_pem=device.pem)
    await receives(hub, make(device.credential(), hub.ssl_context()), "dev-x")


@pytest.mark.parametrize(
    ("begin", "end", "reason"), [(-2, -1, "has expired"), (1, 2, "is not valid yet")], ids=["expired", "early"]
)
async def test_a_certificate_of_an_authority_is_good_between_its_dates(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal, begin: int, end: int, reason: str
) -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    issued = authority.issue_cert(
        "any.name",
        common_name="dev-x",
        not_before=now + timedelta(days=begin),
        not_after=now + timedelta(days=end),
    )
    device = Device(hub, "dev-x", issued.private_key_and_cert_chain_pem.bytes(), tmp_path)
    hub.add_device("dev-x", ca_signed=True)
    hub.add_certificate_authority(authority.cert_pem.bytes())
    await refused(make(device.credential(), hub.ssl_context()), f"it, or one that vouches for it, {reason}")


async def test_authorities_between_come_with_the_certificate(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal
) -> None:
    root = trustme.CA()
    issued = root.create_child_ca().create_child_ca().issue_cert("any.name", common_name="dev-x")
    whole = Device(hub, "dev-x", issued.private_key_and_cert_chain_pem.bytes(), tmp_path)
    hub.add_device("dev-x", ca_signed=True)
    hub.add_certificate_authority(root.cert_pem.bytes())
    await receives(hub, make(whole.credential(), hub.ssl_context()), "dev-x")
    alone = Device(hub, "dev-x", issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes(), tmp_path)
    await refused(make(alone.credential(), hub.ssl_context()), "it leads to no authority that the hub knows")


@pytest.fixture
def strict(hub: LocalHub) -> LocalHub:
    """A hub that refuses certificates in the handshake, as a gateway in front of a hub may."""
    hub._tls.openssl.set_verify(SSL.VERIFY_PEER, lambda _connection, _certificate, _error, _depth, ok: bool(ok))
    return hub


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_is_refused_in_the_handshake(
    strict: LocalHub, make: Make, tmp_path: Path, version: ssl.TLSVersion, refused: Refusal
) -> None:
    strict.add_device("dev-x", ca_signed=True)
    device = Device(strict, "dev-x", self_signed("dev-x"), tmp_path)
    error = await refused(make(device.credential(file=False), device.context(version)), "refused a TLS handshake")
    assert str(error) == f"localhost:{strict.port} refused the client's certificate (TLS alert: unknown ca)"
    assert not error.transient


async def dial(hub: LocalHub, device: Device) -> TLSStream:
    """Make the device's part of a TLS handshake, and no more."""
    return await anyio.connect_tcp(
        "localhost", hub.port, ssl_context=device.context(), tls_hostname="localhost", tls_standard_compatible=False
    )


async def test_a_device_that_is_refused_ends_the_connection_itself(
    strict: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REFUSED_SECONDS", 60.0)
    device = Device(strict, "dev-x", self_signed("dev-x"), tmp_path)
    with anyio.fail_after(20):
        stream = await dial(strict, device)
        # With TLS 1.3 the device has done its part of the handshake, and does not know yet that the hub refuses it.
        await stream.send(b"x" * 100_000)
        with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
            await stream.receive()
        await anyio.wait_all_tasks_blocked()
        # It reads on, lest what it has not read costs the device the alert.
        (refusing,) = strict._ports._listeners[0]._greeting
        await anyio.aclose_forcefully(stream)
        await asyncio.wait([refusing])


async def test_a_device_that_is_refused_and_stays_is_dropped(
    strict: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REFUSED_SECONDS", 0.01)
    device = Device(strict, "dev-x", self_signed("dev-x"), tmp_path)
    with anyio.fail_after(20):
        stream = await dial(strict, device)
        with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
            await stream.receive()
        with pytest.raises(anyio.EndOfStream):
            await stream.transport_stream.receive()
        await anyio.aclose_forcefully(stream)


async def test_the_certificate_of_another_device(hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal) -> None:
    mine, other = self_signed("mine"), self_signed("other")
    hub.add_device("dev-x", certificate_pem=mine)
    hub.add_device("dev-y", certificate_pem=other)
    await refused(
        make(Device(hub, "dev-y", other, tmp_path).credential("dev-x"), hub.ssl_context()),
        "the certificate has neither of the device's thumbprints",
    )


async def test_a_certificate_for_another_name(hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal) -> None:
    hub.add_device("dev-x", ca_signed=True)
    device = Device(hub, "dev-x", hub.issue_certificate("dev-y"), tmp_path)
    await refused(
        make(device.credential(), hub.ssl_context()),
        "the common name of the certificate is not the device id",
    )


async def test_a_device_cannot_issue_certificates_to_others(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal
) -> None:
    owner = trustme.CA()
    hub.add_device("dev-y", certificate_pem=owner.cert_pem.bytes())
    hub.add_device("dev-x", ca_signed=True)
    forged = owner.issue_cert("any.name", common_name="dev-x").private_key_and_cert_chain_pem.bytes()
    await refused(
        make(Device(hub, "dev-x", forged, tmp_path).credential(), hub.ssl_context()),
        "no registered authority vouches for the certificate: it leads to no authority that the hub knows",
    )


async def test_a_device_with_a_key_cannot_use_a_certificate(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal
) -> None:
    device = Device(hub, "dev-key", hub.issue_certificate("dev-key"), tmp_path)
    await refused(
        make(device.credential(), hub.ssl_context()), "the device signs in with a key, not with a certificate"
    )


async def test_a_device_with_a_certificate_cannot_use_a_key(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal
) -> None:
    hub.add_device("dev-x", ca_signed=True)
    key = DeviceCredential(
        host_name="localhost",
        port=hub.port,
        device_id="dev-x",
        shared_access_key=hub._state.device("dev-x").primary_key,
    )
    await refused(make(key, hub.ssl_context()), "the device signs in with a certificate, not with a key")
    both = Device(hub, "dev-x", hub.issue_certificate("dev-x"), tmp_path).context()
    await refused(make(key, both), "the device signs in with a certificate, not with a key")


async def test_no_certificate_at_all(hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal) -> None:
    hub.add_device("dev-x", ca_signed=True)
    device = Device(hub, "dev-x", hub.issue_certificate("dev-x"), tmp_path)
    transport = make(device.credential(file=False), hub.ssl_context())  # a context with no certificate in it
    amqp = transport.name.startswith("amqp")
    await refused(
        transport, "EXTERNAL needs a client certificate" if amqp else "neither a token nor a client certificate"
    )


async def test_a_disabled_device_is_refused_until_it_is_enabled(
    hub: LocalHub, make: Make, tmp_path: Path, refused: Refusal
) -> None:
    hub.add_device("dev-x", ca_signed=True)
    device = Device(hub, "dev-x", hub.issue_certificate("dev-x"), tmp_path)
    hub.disable_device("dev-x")
    await refused(make(device.credential(), hub.ssl_context()), "the device is disabled")
    hub.enable_device("dev-x")
    await receives(hub, make(device.credential(), hub.ssl_context()), "dev-x")


async def test_a_certificate_opens_nothing_of_the_service(hub: LocalHub, tmp_path: Path) -> None:
    hub.add_device("dev-x", ca_signed=True)
    device = Device(hub, "dev-x", hub.issue_certificate("dev-x"), tmp_path)
    credential = cast("ServiceCredential", device.credential())
    for transport in (
        AmqpServiceTransport(credential, ssl_context=device.context()),
        HttpsServiceTransport(credential, ssl_context=device.context()),
    ):
        with anyio.fail_after(20), pytest.raises(UnauthorizedError):
            async with FeedbackStream(transport, retry=ONCE) as stream:
                await anext(aiter(stream))


async def test_files_that_cannot_be_used_are_found_before_anything_is_sent(
    hub: LocalHub, make: Make, tmp_path: Path
) -> None:
    device = Device(hub, "dev-x", b"nonsense", tmp_path)
    for credential in (
        device.credential(),
        DeviceCredential(host_name="h", device_id="d", x509=True, certificate_file=""),
    ):
        with pytest.raises(InvalidInputError, match="certificate_file"):
            async with DeviceReceiver(make(credential, hub.ssl_context()), retry=ONCE):
                pass
    assert hub.connection_count == 0


@pytest.mark.parametrize("transport", ["amqp", "amqp-ws", "mqtt", "mqtt-ws", "https"])
async def test_a_device_without_a_certificate_is_told_before_anything_is_sent(hub: LocalHub, transport: str) -> None:
    hub.add_device("dev-x", ca_signed=True)
    connection_string = hub.device_connection_string("dev-x")
    assert connection_string.endswith(";DeviceId=dev-x;x509=true")
    with pytest.raises(InvalidInputError, match="no certificate to sign in with"):
        async with DeviceReceiver.from_connection_string(connection_string, transport=transport, retry=ONCE):
            pass


async def test_what_the_hub_refuses_to_register(hub: LocalHub) -> None:
    with pytest.raises(InvalidInputError, match="not one in PEM"):
        hub.add_device("dev-x", certificate_pem=b"nonsense")
    with pytest.raises(InvalidInputError, match="in one way"):
        hub.add_device("dev-x", certificate_pem=self_signed("a"), ca_signed=True)
    with pytest.raises(InvalidInputError, match="not one of a certificate authority"):
        hub.add_certificate_authority(hub.issue_certificate("dev-x").partition(b"-----END EC PRIVATE KEY-----\n")[2])
    with pytest.raises(InvalidInputError, match="at most 64 characters"):
        hub.issue_certificate("d" * 65)
    hub.add_device("dev-x", ca_signed=True)  # nothing of all that has registered it
    with pytest.raises(ServiceError):
        hub.add_device("dev-x", ca_signed=True)


async def test_no_secret_shows(hub: LocalHub, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "c2dkit")
    device = Device(hub, "dev-x", self_signed("dev-x"), tmp_path)
    with anyio.fail_after(20), pytest.raises(C2dError) as caught:
        async with DeviceReceiver(make(device.credential(), hub.ssl_context()), retry=ONCE) as receiver:
            await anext(aiter(receiver))
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "no such device" in shown
    for line in device.pem.decode().splitlines():
        assert line not in shown
    assert str(tmp_path) not in shown
