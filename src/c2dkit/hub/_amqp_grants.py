"""What one AMQP connection allows: its client certificate, and the tokens that were put, each until it expires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._errors import ServiceError, UnauthorizedError
from c2dkit.hub._identities import Right

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from c2dkit.hub._auth import Grant
    from c2dkit.hub._certificates import ClientCertificate
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._guests import Guests
    from c2dkit.hub._timers import Timer

__all__ = ["Grants"]

MAX_GRANTS: Final = 1000
"""IoT Hub has a limit (403005 IotHubMaxCbsTokenExceeded) but does not say which; .NET's SDK puts up to 995."""


class Grants:
    """The grants of one connection; a token that is put again takes the place of the one before.

    ``certificate`` is that of the TLS handshake, if any, whoever its bearer is, and counts once it has proved a device.
    ``on_expired`` is called whenever a grant has gone. ``guests`` is told whom the tokens stand for.
    """

    def __init__(
        self,
        core: HubCore,
        certificate: ClientCertificate | None,
        on_expired: Callable[[], None],
        *,
        guests: Guests,
    ) -> None:
        self.guests = guests
        self.certificate = certificate
        self._core = core
        self._on_expired = on_expired
        self._grants: dict[tuple[str | None, str], Grant] = {}
        self._timer: Timer[datetime] | None = None
        self._certified = False

    def __bool__(self) -> bool:
        return bool(self._grants) or self._certified

    @property
    def device_ids(self) -> Collection[str]:
        """The devices whose own keys have signed tokens."""
        return {grant.device_id for grant in self._grants.values() if grant.device_id is not None}

    @property
    def policies(self) -> Collection[str]:
        """The names of the policies whose keys have signed tokens."""
        return {grant.policy.name for grant in self._grants.values() if grant.policy is not None}

    def put(self, grant: Grant) -> None:
        """Add a grant.

        Raises:
            ServiceError: The connection has as many as it may.
        """
        key = (grant.device_id, grant.resource)
        if key not in self._grants and len(self._grants) >= MAX_GRANTS:
            raise ServiceError(f"a connection takes {MAX_GRANTS} tokens", hub_code=403005)
        self._grants[key] = grant.outliving(self._core.options.token_grace)
        self._schedule()
        client = grant.device_id or (grant.policy and grant.policy.name)
        if client:
            self.guests.signed_in(client)

    def require_device(self, device_id: str) -> None:
        """Check that a grant, or the certificate, lets its bearer be a device.

        Raises:
            UnauthorizedError: None does.
        """
        refusal = UnauthorizedError(f"no token on this connection is for device {device_id!r}")
        for grant in self._grants.values():
            if grant.device_id in (None, device_id):
                try:
                    self._core.auth.require_device(grant, device_id)
                except UnauthorizedError as error:
                    refusal = error
                else:
                    return
        if self.certificate is None:
            raise refusal
        self._core.auth.require_certificate(self.certificate, device_id)
        self._certified = True

    def require_service(self, path: str) -> None:
        """Check that a grant gives ServiceConnect on an endpoint.

        Raises:
            UnauthorizedError: None does.
        """
        refusal = UnauthorizedError("no token on this connection is for a service")
        for grant in self._grants.values():
            if grant.device_id is None:
                try:
                    return self._core.auth.require_service(grant, Right.SERVICE_CONNECT, path)
                except UnauthorizedError as error:
                    refusal = error
        raise refusal

    def close(self) -> None:
        """Forget all grants."""
        self._grants.clear()
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        first = min((grant.expires_at for grant in self._grants.values()), default=None)
        self._timer = None if first is None else self._core.timers.call_at(first, self._expire)

    def _expire(self) -> None:
        now = self._core.clock.now()
        self._grants = {key: grant for key, grant in self._grants.items() if grant.expires_at > now}
        self._schedule()
        self._on_expired()
