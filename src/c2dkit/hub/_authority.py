"""The hub's own certificate authority: fresh for every hub, so trusting it trusts nothing else."""

from __future__ import annotations

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

    from OpenSSL import SSL

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

    def certify(self, context: SSL.Context, host_names: Iterable[str] = ()) -> None:
        """Give a server's TLS context a certificate for the loopback names and ``host_names``."""
        self._authority.issue_cert(*dict.fromkeys((*_LOOPBACK, *host_names))).configure_cert(context)

    def issue_device_certificate(self, device_id: str) -> bytes:
        """Return a fresh private key and a certificate with that common name, PEM, for a client.

        Raises:
            InvalidInputError: A common name cannot be that long.
        """
        if len(device_id) > MAX_COMMON_NAME:
            raise InvalidInputError(f"a certificate names device ids of at most {MAX_COMMON_NAME} characters")
        issued = self._authority.issue_cert(_DEVICE_NAME, common_name=device_id)
        return issued.private_key_and_cert_chain_pem.bytes()
