from __future__ import annotations

import ssl
import subprocess
import sys
from contextlib import suppress

import pytest
from OpenSSL import SSL

from c2dkit._errors import InvalidInputError
from c2dkit.hub._authority import CertificateAuthority


def client_context(authority: CertificateAuthority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.ca_pem.decode("ascii"))


def shake_hands(authority: CertificateAuthority, client: ssl.SSLContext, host: str, *names: str) -> str | None:
    """Run a TLS handshake in memory with a server that the authority has certified, and return the agreed version."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    authority.certify(context, names)
    server = SSL.Connection(context)
    server.set_accept_state()
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = client.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
        if to_server.pending:
            server.bio_write(to_server.read())
        with suppress(SSL.WantReadError):
            server.do_handshake()
        with suppress(SSL.WantReadError):
            to_client.write(server.bio_read(65_536))
    return side.version()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "hub.localtest"])
def test_a_client_that_trusts_the_authority_is_served_under_every_name(host: str) -> None:
    authority = CertificateAuthority()

    assert shake_hands(authority, client_context(authority), host, "hub.localtest") == "TLSv1.3"


def test_other_names_are_not_certified() -> None:
    authority = CertificateAuthority()

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority, client_context(authority), "hub.localtest")


def test_another_authority_is_not_trusted() -> None:
    server, stranger = CertificateAuthority(), CertificateAuthority()

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client_context(stranger), "localhost")


@pytest.mark.parametrize("package", ["trustme", "OpenSSL"])
def test_a_missing_extra_is_named(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nimport c2dkit.hub"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert result.returncode == 1
    assert "pip install 'c2dkit[hub]'" in result.stderr


def test_the_longest_name_of_a_certificate() -> None:
    authority = CertificateAuthority()
    assert b"PRIVATE KEY" in authority.issue_device_certificate("d" * 64)
    with pytest.raises(InvalidInputError, match="at most 64 characters"):
        authority.issue_device_certificate("d" * 65)
