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

__all__ = ["CertificateAuthority"]

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class CertificateAuthority:
    """Issues the hub's certificates; its private key never leaves memory."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="c2dkit local hub")

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate, PEM: what clients must trust."""
        return self._authority.cert_pem.bytes()

    def server_context(self, host_names: Iterable[str] = ()) -> ssl.SSLContext:
        """Return a TLS 1.2+ server context with a certificate for the loopback names and ``host_names``."""
        names = dict.fromkeys((*_LOOPBACK, *host_names))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        certificate = self._authority.issue_cert(*names)
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - it also takes pyOpenSSL's
        return context
