from __future__ import annotations

import ssl
import subprocess
import sys
import tempfile

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit.hub._authority import CertificateAuthority


def client_context(authority: CertificateAuthority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.ca_pem.decode("ascii"))


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    """Run a TLS handshake in memory and return the agreed version."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
    return sides[0].version()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "hub.localtest"])
def test_a_client_that_trusts_the_authority_is_served_under_every_name(host: str) -> None:
    authority = CertificateAuthority()

    assert shake_hands(authority.server_context(["hub.localtest"]), client_context(authority), host) == "TLSv1.3"


def test_other_names_are_not_certified() -> None:
    authority = CertificateAuthority()

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority.server_context(), client_context(authority), "hub.localtest")


def test_another_authority_is_not_trusted() -> None:
    server, stranger = CertificateAuthority(), CertificateAuthority()

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server.server_context(), client_context(stranger), "localhost")


def test_tls_1_2_is_the_least() -> None:
    authority = CertificateAuthority()
    server, client = authority.server_context(), client_context(authority)
    client.maximum_version = ssl.TLSVersion.TLSv1_2

    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    assert shake_hands(server, client, "localhost") == "TLSv1.2"


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['trustme'] = None\nimport c2dkit.hub"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert result.returncode == 1
    assert "pip install 'c2dkit[hub]'" in result.stderr


def test_a_device_certificate_is_trusted_once_its_authority_is() -> None:
    authority, stranger = CertificateAuthority(), CertificateAuthority()
    with tempfile.NamedTemporaryFile() as file:
        file.write(authority.issue_device_certificate("dev-x"))
        file.flush()
        client = client_context(authority)
        client.load_cert_chain(file.name)
    server = authority.server_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "localhost")
    server.load_verify_locations(cadata=stranger.ca_pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "localhost")
    server.load_verify_locations(cadata=authority.ca_pem.decode())
    assert shake_hands(server, client, "localhost") == "TLSv1.3"


def test_the_longest_name_of_a_certificate() -> None:
    authority = CertificateAuthority()
    assert b"PRIVATE KEY" in authority.issue_device_certificate("d" * 64)
    with pytest.raises(InvalidInputError, match="at most 64 characters"):
        authority.issue_device_certificate("d" * 65)
