from __future__ import annotations

import ssl

import pytest
import trustme

from c2dkit._errors import InvalidInputError
from c2dkit.hub._certificates import TrustedCertificates, thumbprints


def trusted() -> tuple[TrustedCertificates, ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return TrustedCertificates(context), context


def leaf_pem(certificate: trustme.LeafCert) -> bytes:
    return certificate.cert_chain_pems[0].bytes()


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def test_a_devices_certificate_is_trusted_and_named_by_its_thumbprint() -> None:
    certificates, context = trusted()
    pem = leaf_pem(trustme.CA().issue_cert("any.name", common_name="d1"))

    thumbprint = certificates.add_device(pem)

    assert thumbprint in thumbprints(der(pem))
    assert len(thumbprint) == 64
    assert context.cert_store_stats()["x509"] == 1
    assert certificates.add_device(pem) == thumbprint  # twice is no mistake: two devices may share one
    assert certificates.issued_to(der(pem)) is None


def test_a_certificate_belongs_to_whom_a_registered_authority_issued_it() -> None:
    certificates, context = trusted()
    authority = trustme.CA()
    certificates.add_authority(authority.cert_pem.bytes())

    assert context.cert_store_stats()["x509_ca"] == 1
    assert certificates.issued_to(der(leaf_pem(authority.issue_cert("n.n", common_name="d1")))) == "d1"
    assert certificates.issued_to(der(leaf_pem(authority.issue_cert("n.n")))) is None
    assert certificates.issued_to(der(leaf_pem(trustme.CA().issue_cert("n.n", common_name="d1")))) is None


def test_a_devices_own_certificate_makes_its_owner_no_authority() -> None:
    certificates, _ = trusted()
    owner = trustme.CA()  # a self-signed certificate that says it may sign, as openssl makes them by default
    certificates.add_device(owner.cert_pem.bytes())

    assert certificates.issued_to(der(leaf_pem(owner.issue_cert("n.n", common_name="another-device")))) is None


def test_an_authority_between_counts_once_it_is_registered_itself() -> None:
    certificates, _ = trusted()
    root = trustme.CA()
    between = root.create_child_ca()
    certificate = der(leaf_pem(between.issue_cert("n.n", common_name="d1")))
    certificates.add_authority(root.cert_pem.bytes())
    assert certificates.issued_to(certificate) is None
    certificates.add_authority(between.cert_pem.bytes())
    assert certificates.issued_to(certificate) == "d1"


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    certificates, _ = trusted()
    with pytest.raises(InvalidInputError, match="not one in PEM"):
        certificates.add_device(pem)
    with pytest.raises(InvalidInputError, match="not one in PEM"):
        certificates.add_authority(pem)


def test_an_authority_must_be_one() -> None:
    certificates, context = trusted()
    with pytest.raises(InvalidInputError, match="not one of a certificate authority"):
        certificates.add_authority(leaf_pem(trustme.CA().issue_cert("n.n")))
    assert context.cert_store_stats()["x509"] == 0
