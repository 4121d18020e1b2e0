"""Clients' certificates: what the TLS handshake made of one, by what thumbprints it is known, and whom it names.

Source: IoT Hub developer guide, "Authenticate identities with X.509 certificates".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from anyio import TypedAttributeSet, typed_attribute
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from c2dkit._errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import ByteStream

__all__ = [
    "ClientCertificate",
    "PeerAttribute",
    "common_name",
    "peer_certificate",
    "read_authority",
    "thumbprint_of",
    "thumbprints",
]

# OpenSSL's numbers, as in its x509_vfy.h.
_WORDS: Final = {
    1: "nobody has verified its chain",
    9: "it, or one that vouches for it, is not valid yet",
    10: "it, or one that vouches for it, has expired",
    **dict.fromkeys((2, 18, 19, 20, 21, 27), "it leads to no authority that the hub knows"),
}
_NOT_VERIFIED: Final = 1


class ClientCertificate(NamedTuple):
    """What a client showed in the TLS handshake, and has the key of.

    Attributes:
        der: The certificate.
        flaw: Why no registered authority vouches for it; None where one does.
    """

    der: bytes
    flaw: str | None

    @classmethod
    def verified(cls, der: bytes, verdicts: Sequence[int]) -> ClientCertificate:
        """Make one from what OpenSSL said of each certificate of its chain: 0, or an error's number."""
        first = next(filter(None, verdicts), 0 if verdicts else _NOT_VERIFIED)
        return cls(der, _WORDS.get(first, f"OpenSSL does not accept its chain (error {first})") if first else None)


class PeerAttribute(TypedAttributeSet):
    """What a stream of the hub knows of its client."""

    certificate: ClientCertificate | None = typed_attribute()


def peer_certificate(stream: ByteStream) -> ClientCertificate | None:
    """Return what the client showed in the TLS handshake; None for nothing."""
    return stream.extra(PeerAttribute.certificate, None)  # noqa: S610 - anyio's, not Django's


def thumbprints(der: bytes) -> frozenset[str]:
    """Return the two thumbprints by which IoT Hub may know a certificate, SHA-1 and SHA-256, in capital hex digits."""
    sha1 = hashlib.sha1(der, usedforsecurity=False)
    return frozenset(digest.hexdigest().upper() for digest in (sha1, hashlib.sha256(der)))


def thumbprint_of(pem: bytes) -> str:
    """Return a certificate's thumbprint (SHA-256).

    Raises:
        InvalidInputError: It is no certificate in PEM.
    """
    return hashlib.sha256(_read(pem).public_bytes(Encoding.DER)).hexdigest().upper()


def common_name(der: bytes) -> str | None:
    """Return the name that a certificate is for; None where it has none, or several."""
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else None


def read_authority(pem: bytes) -> x509.Certificate:
    """Read the certificate of an authority.

    Raises:
        InvalidInputError: It is no certificate in PEM, or not one of a certificate authority.
    """
    authority = _read(pem)
    if not _may_sign(authority):
        raise InvalidInputError("the certificate is not one of a certificate authority (basic constraints)")
    return authority


def _read(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidInputError("the certificate is not one in PEM") from error


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
