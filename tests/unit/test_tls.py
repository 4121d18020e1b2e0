from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from c2dkit._errors import InvalidInputError
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._tls import certificate_refusal, client_context, not_trusted

if TYPE_CHECKING:
    from pathlib import Path

KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
PASSWORD = "s3cret"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a certificate, its key (plain, encrypted, both in one file), another key, and nonsense."""
    authority = trustme.CA()
    one, other = authority.issue_cert("n.n", common_name="d1"), authority.issue_cert("n.n")
    one.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    one.private_key_pem.write_to_path(tmp_path / "key.pem")
    one.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    other.private_key_pem.write_to_path(tmp_path / "other-key.pem")
    key = serialization.load_pem_private_key(one.private_key_pem.bytes(), None)
    (tmp_path / "encrypted-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    (tmp_path / "nonsense.pem").write_text("nonsense")
    return tmp_path


def device(files: Path, certificate: str, key: str | None = None, password: str | None = None) -> DeviceCredential:
    return DeviceCredential(
        host_name="h",
        device_id="d1",
        x509=True,
        certificate_file=files / certificate,
        key_file=None if key is None else files / key,
        key_password=password,
    )


@pytest.mark.parametrize(
    ("certificate", "key", "password"),
    [
        ("certificate.pem", "key.pem", None),
        ("both.pem", None, None),
        ("certificate.pem", "encrypted-key.pem", PASSWORD),
        ("certificate.pem", "key.pem", "not needed"),
    ],
)
def test_a_devices_files_are_loaded(files: Path, certificate: str, key: str | None, password: str | None) -> None:
    given = ssl.create_default_context()
    credential = device(files, certificate, key, password)
    assert client_context(credential, given) is given
    assert client_context(credential, given) is given  # at each connect, for the files may have been renewed
    assert client_context(credential, None).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("certificate", "key", "password", "expected"),
    [
        ("missing.pem", None, None, "certificate_file cannot be read: No such file"),
        ("certificate.pem", "missing.pem", None, "key_file cannot be read: No such file"),
        ("certificate.pem", "other-key.pem", None, "the key is not that of the certificate"),
        ("certificate.pem", None, None, "both must be PEM"),
        ("nonsense.pem", "key.pem", None, "both must be PEM"),
        ("certificate.pem", "nonsense.pem", None, "both must be PEM"),
        ("certificate.pem", "encrypted-key.pem", None, "an encrypted key needs its key_password"),
        ("certificate.pem", "encrypted-key.pem", "wr0ng", "an encrypted key needs its key_password"),
        ("certificate.pem", "encrypted-key.pem", "wr0ng" * 500, "an encrypted key needs its key_password"),
    ],
)
def test_what_is_wrong_with_the_files(
    files: Path, certificate: str, key: str | None, password: str | None, expected: str
) -> None:
    with pytest.raises(InvalidInputError, match=expected) as caught:
        client_context(device(files, certificate, key, password), None)
    assert str(files) not in str(caught.value)
    assert "wr0ng" not in str(caught.value)


def test_a_device_needs_a_certificate_before_it_can_connect() -> None:
    credential = DeviceCredential(host_name="h", device_id="d1", x509=True)
    with pytest.raises(InvalidInputError, match="give certificate_file and key_file, or an ssl_context"):
        client_context(credential, None)
    given = ssl.create_default_context()
    assert client_context(credential, given) is given


def test_one_context_is_not_two_devices(files: Path) -> None:
    given = ssl.create_default_context()
    client_context(device(files, "certificate.pem", "key.pem"), given)
    with pytest.raises(InvalidInputError, match="the certificate of another device"):
        client_context(device(files, "both.pem"), given)


def test_whoever_has_a_key_gets_the_context_as_it_is() -> None:
    given = ssl.create_default_context()
    service = ServiceCredential(host_name="h", shared_access_key_name="service", shared_access_key=KEY)
    assert client_context(service, given) is given
    assert client_context(DeviceCredential(host_name="h", device_id="d", shared_access_key=KEY), given) is given
    assert client_context(service, None).check_hostname


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "alert"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown ca"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate expired"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad certificate"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate required"),
    ],
)
def test_an_alert_about_the_certificate_is_a_refusal_wherever_it_is_in_the_chain(reason: str, alert: str) -> None:
    wrapped = OSError("the connection broke")
    wrapped.__cause__ = tls_error(reason)
    for error in (tls_error(reason), wrapped):
        refusal = certificate_refusal(error, host="hub.localtest:5671")
        assert refusal is not None
        assert str(refusal) == f"hub.localtest:5671 refused the client's certificate (TLS alert: {alert})"
        assert refusal.hub_code == 401003


@pytest.mark.parametrize(
    "error",
    [
        None,
        OSError("broken"),
        ssl.SSLError(),
        tls_error("CERTIFICATE_VERIFY_FAILED"),
        tls_error("TLSV1_ALERT_INTERNAL_ERROR"),
    ],
)
def test_other_errors_are_none(error: BaseException | None) -> None:
    assert certificate_refusal(error, host="h") is None


def test_who_is_not_trusted_tells_what_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def told() -> str:
        return str(not_trusted(ValueError("self-signed"), host="hub:5671"))

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert told().endswith("set SSL_CERT_FILE to its PEM file or pass ssl_context=")
    file = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert f"to its PEM file (it is '{file}' now, which is no file) or" in told()
    file.touch()
    assert f"to its PEM file (it is '{file}' now) or" in told()
