"""The client certificates that a hub lets through its TLS handshakes, and whose they are.

Source: IoT Hub developer guide, "Authenticate identities with X.509 certificates".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from anyio.streams.tls import TLSAttribute
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from c2dkit._errors import InvalidInputError

if TYPE_CHECKING:
    import ssl

    from anyio.abc import ByteStream

__all__ = ["TrustedCertificates", "peer_certificate", "thumbprints"]


class TrustedCertificates:
    """What devices' certificates are checked against; it can grow while the hub listens.

    Args:
        context: Of the hub's TLS handshakes, which get to trust what is added here.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._authorities: list[x509.Certificate] = []

    def add_device(self, pem: bytes) -> str:
        """Let the bearer of one certificate in, whoever issued it, and return its thumbprint (SHA-256).

        Raises:
            InvalidInputError: It is no certificate in PEM.
        """
        der = self._trust(_read(pem))
        return hashlib.sha256(der).hexdigest().upper()

    def add_authority(self, pem: bytes) -> None:
        """Let the bearers of all certificates in that this one has signed.

        Raises:
            InvalidInputError: It is no certificate in PEM, or not one of a certificate authority.
        """
        authority = _read(pem)
        if not _may_sign(authority):
            raise InvalidInputError("the certificate is not one of a certificate authority (basic constraints)")
        self._trust(authority)
        self._authorities.append(authority)

    def issued_to(self, der: bytes) -> str | None:
        """Return the common name of a certificate that an authority has signed itself; None for any other.

        That the handshake verified a chain says less: one that ends at a device's own certificate is not enough.
        """
        certificate = x509.load_der_x509_certificate(der)
        if not any(_is_issued_by(certificate, authority) for authority in self._authorities):
            return None
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if len(names) == 1 else None

    def _trust(self, certificate: x509.Certificate) -> bytes:
        der = certificate.public_bytes(Encoding.DER)
        self._context.load_verify_locations(cadata=der)
        return der


def thumbprints(der: bytes) -> frozenset[str]:
    """Return the two thumbprints by which IoT Hub may know a certificate, SHA-1 and SHA-256, in capital hex digits."""
    sha1 = hashlib.sha1(der, usedforsecurity=False)
    return frozenset(digest.hexdigest().upper() for digest in (sha1, hashlib.sha256(der)))


def peer_certificate(stream: ByteStream) -> bytes | None:
    """Return the certificate (DER) that the client showed in the TLS handshake, which has verified it; None for none."""
    certificate: bytes | None = stream.extra(TLSAttribute.peer_certificate_binary, None)  # noqa: S610 - not Django's
    return certificate


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


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
