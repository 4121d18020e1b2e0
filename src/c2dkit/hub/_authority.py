"""The hub's own certificate authority: fresh for every hub, so trusting it trusts nothing else."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

try:
    import trustme
except ModuleNotFoundError as error:
    raise ImportError(
        "the local hub makes its certificates with trustme; install it with: pip install 'c2dkit[hub]'",
        name="trustme",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterable

from c2dkit._errors import InvalidInputError

__all__ = ["CertificateAuthority"]

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_DEVICE_NAME: Final = "device.c2dkit.localtest"  # of no host: certificates need an alternative name

MAX_COMMON_NAME: Final = 64
"""ITU-T X.520, ub-common-name: the longest device id that a certificate can name."""


class CertificateAuthority:
    """Issues the hub's certificates; its private key leaves memory only for the folder of a hub that has one.

    Args:
        pems: What `pems` of an earlier one was; by default it is a new authority.
    """

    def __init__(self, pems: tuple[bytes, bytes] | None = None) -> None:
        self._authority = trustme.CA.from_pem(*pems) if pems else trustme.CA(organization_name="c2dkit local hub")

    @property
    def pems(self) -> tuple[bytes, bytes]:
        """The authority's certificate and its private key, each in PEM."""
        return self.ca_pem, self._authority.private_key_pem.bytes()

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate, PEM: what clients must trust."""
        return self._authority.cert_pem.bytes()

    def server_context(self, host_names: Iterable[str] = ()) -> ssl.SSLContext:
        """Return a TLS 1.2+ server context with a certificate for the loopback names and ``host_names``.

        It asks clients for a certificate and does without, but refuses one that it does not trust; it trusts none yet.
        """
        names = dict.fromkeys((*_LOOPBACK, *host_names))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = _ServerSide
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a device's certificate is trusted whoever issued it
        certificate = self._authority.issue_cert(*names)
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - it also takes pyOpenSSL's
        return context

    def issue_device_certificate(self, device_id: str) -> bytes:
        """Return a fresh private key and a certificate with that common name, PEM, for a client.

        Raises:
            InvalidInputError: A common name cannot be that long.
        """
        if len(device_id) > MAX_COMMON_NAME:
            raise InvalidInputError(f"a certificate names device ids of at most {MAX_COMMON_NAME} characters")
        issued = self._authority.issue_cert(_DEVICE_NAME, common_name=device_id)
        return issued.private_key_and_cert_chain_pem.bytes()


class _ServerSide(ssl.SSLObject):
    """Has the alert of a handshake that failed sent; anyio would drop it, and the client would not learn the reason."""

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failure = error
            raise ssl.SSLWantWriteError from error  # whoever calls sends what waits, and calls again
