"""How a back end signs in with Microsoft Entra ID, through any credential object that has azure-core's async method.

Source: IoT Hub developer guide, "Control access to IoT Hub by using Microsoft Entra ID".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from c2dkit._rules.connection_strings import check_host

__all__ = ["ENTRA_AUDIENCE", "ENTRA_SCOPE", "AccessToken", "AsyncTokenCredential", "EntraCredential"]

ENTRA_AUDIENCE: Final = "https://iothubs.azure.net"
"""Whom a token for IoT Hub is for, whichever hub it is."""

ENTRA_SCOPE: Final = f"{ENTRA_AUDIENCE}/.default"
"""What to ask the token's issuer for."""


class AccessToken(Protocol):
    """What an ``AsyncTokenCredential`` gives, for example azure-core's ``AccessToken``."""

    @property
    def token(self) -> str:
        """The token, a secret."""
        ...

    @property
    def expires_on(self) -> int:
        """When it ends, in seconds since 1970."""
        ...


class AsyncTokenCredential(Protocol):
    """Gives tokens, for example a credential of ``azure.identity.aio``; closing it is the application's business."""

    async def get_token(self, *scopes: str) -> AccessToken:
        """Return a token for all of ``scopes``; called in the event loop, before each connection at least.

        Cancelled when the connection is not wanted any more, and after 30 s.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraCredential:
    """How a back end signs in with Microsoft Entra ID. IoT Hub lets no device sign in this way.

    Attributes:
        host_name: The hub, without a port, for example ``my-hub.azure-devices.net``; an IPv6 address in brackets.
        token_credential: Gives the tokens. Its identity needs a role on the hub, for example "IoT Hub Data
            Contributor".
        port: The port to dial instead of the protocol's own, for a hub on this machine; None for the protocol's own.

    Raises:
        ConnectionStringError: ``host_name`` is no host name, or has a port.
    """

    host_name: str
    token_credential: AsyncTokenCredential = field(repr=False)
    port: int | None = None

    def __post_init__(self) -> None:
        check_host(self.host_name, "HostName")

    @property
    def dial(self) -> tuple[str, int | None]:
        """Host (an IPv6 address without brackets) and port to connect to."""
        return self.host_name.strip("[]"), self.port
