from __future__ import annotations

import ssl

import pytest
import trustme

from c2dkit._errors import InvalidInputError
from c2dkit.hub._certificates import ClientCertificate, common_name, read_authority, thumbprint_of, thumbprints


def leaf_pem(certificate: trustme.LeafCert) -> bytes:
    return certificate.cert_chain_pems[0].bytes()


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def test_a_certificate_is_known_by_its_thumbprints() -> None:
    pem = leaf_pem(trustme.CA().issue_cert("any.name", common_name="d1"))
    assert thumbprint_of(pem) in thumbprints(der(pem))
    assert {len(each) for each in thumbprints(der(pem))} == {40, 64}


def test_the_name_of_a_certificate_is_its_one_common_name() -> None:
    authority = trustme.CA()
    assert common_name(der(leaf_pem(authority.issue_cert("n.n", common_name="d1")))) == "d1"
    assert common_name(der(leaf_pem(authority.issue_cert("n.n")))) is None


@pytest.mark.parametrize(
    ("verdicts", "flaw"),
    [
        ([0, 0], None),
        ([], "nobody has verified its chain"),
        ([0, 10], "it, or one that vouches for it, has expired"),
        ([20, 21, 10, 0], "it leads to no authority that the hub knows"),
        ([26, 0], "OpenSSL does not accept its chain (error 26)"),
    ],
)
def test_the_first_thing_that_openssl_has_against_a_chain_is_its_flaw(verdicts: list[int], flaw: str | None) -> None:
    assert ClientCertificate.verified(b"der", verdicts) == (b"der", flaw)


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(InvalidInputError, match="not one in PEM"):
        thumbprint_of(pem)
    with pytest.raises(InvalidInputError, match="not one in PEM"):
        read_authority(pem)


def test_an_authority_must_be_one() -> None:
    authority = trustme.CA()
    assert read_authority(authority.cert_pem.bytes()).subject == read_authority(authority.cert_pem.bytes()).issuer
    with pytest.raises(InvalidInputError, match="not one of a certificate authority"):
        read_authority(leaf_pem(authority.issue_cert("n.n")))
