"""Checks who somebody is, by shared access signature, Entra ID token or certificate, and what that allows.

Sources: IoT Hub developer guide, "Control access to IoT Hub with shared access signatures", "Control access to IoT Hub by
using Microsoft Entra ID" and "Authenticate identities with X.509 certificates". Every refusal is 401003, as IoT Hub's
troubleshooting page on that code has it; the texts say which cause, and never show the token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from c2dkit._errors import UnauthorizedError
from c2dkit._rules import sas
from c2dkit.hub._certificates import common_name, thumbprints
from c2dkit.hub._identities import Authentication, Policy, Right
from c2dkit.hub._issuers import check_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import timedelta

    from c2dkit.hub._certificates import ClientCertificate
    from c2dkit.hub._identities import Device
    from c2dkit.hub._issuers import TokenIssuer
    from c2dkit.hub._state import HubState

__all__ = ["Authenticator", "Grant"]


BEARER: Final = "bearer "  # RFC 7235, 2.1: a scheme's name may be in any case

ENTRA: Final = Policy(name="Microsoft Entra ID", rights=frozenset(Right) - {Right.DEVICE_CONNECT})
"""What a token of Entra ID allows here. IoT Hub goes by the roles of its identity, and lets no device in by it."""


class Grant(NamedTuple):
    """What a token that has been verified stands for.

    Attributes:
        resource: The decoded ``sr`` of the token: what it is limited to.
        expires_at: When it ends.
        device_id: The device whose own key signed it, or None.
        policy: The policy whose key signed it, or None; ``ENTRA`` for a token of Entra ID.
        token: What was signed, to be verified again once keys have changed; None for a token of Entra ID.
    """

    resource: str
    expires_at: datetime
    device_id: str | None = None
    policy: Policy | None = None
    token: sas.ParsedSas | None = None

    @property
    def subject(self) -> str | None:
        """The one device that the token is for, or None."""
        parts = self.resource.split("/")
        return parts[2] if self.device_id is None and len(parts) > 2 and parts[1] == "devices" else self.device_id

    def outliving(self, grace: timedelta) -> Grant:
        """Return the grant with an end that is so much later, or as late as there are dates."""
        latest = datetime.max.replace(tzinfo=UTC) - grace
        return self._replace(expires_at=min(self.expires_at, latest) + grace)


class Authenticator:
    """Verifies tokens and certificates against the identities of one hub.

    Args:
        state: Has the devices.
        policies: The shared access policies by name.
        host_names: The names that the hub goes by, without ports.
        now: The hub's clock.
        issuers: Whose tokens are taken for those of Entra ID.

    Attributes:
        on_verified: Called with the grant of every token that holds; it may raise UnauthorizedError.
    """

    def __init__(
        self,
        state: HubState,
        policies: Mapping[str, Policy],
        host_names: Collection[str],
        now: Callable[[], datetime],
        *,
        issuers: Iterable[TokenIssuer] = (),
    ) -> None:
        self._state = state
        self._policies = policies
        self._host_names = tuple(host_names)
        self._short_names = frozenset(name.partition(".")[0].lower() for name in host_names)
        self._now = now
        self.on_verified: Callable[[Grant], None] = lambda _: None
        self._issuers = {issuer.name: issuer for issuer in issuers}

    def device(self, token: str, device_id: str) -> Grant:
        """Check that a token lets its bearer connect as a device.

        Raises:
            UnauthorizedError: It does not.
        """
        grant = self.verify(token)
        self.require_device(grant, device_id)
        return grant

    def service(self, token: str, right: Right, path: str = "", *, told: bool = True) -> Grant:
        """Check that a token gives a right to an endpoint of the hub, by default to all of them.

        Args:
            token: The token.
            right: The right.
            path: The endpoint.
            told: Whether `on_verified` is called.

        Raises:
            UnauthorizedError: It does not.
        """
        grant = self.verify(token) if told else self._verify(token)
        self.require_service(grant, right, path)
        return grant

    def plain(self, username: str, password: str) -> Grant:
        """Check the credentials of SASL PLAIN: ``{device}@sas.{hub}`` or ``{policy}@sas.root.{hub}``, and a token.

        ``{hub}`` is the first label of the hub's host name.

        Raises:
            UnauthorizedError: The user name has neither form, or the token is not that user's.
        """
        name, _, hub = username.rpartition("@sas.")
        is_policy = hub.lower().startswith("root.")
        if not name or hub.lower().removeprefix("root.") not in self._short_names:
            raise UnauthorizedError("the user name is neither {device}@sas.{hub} nor {policy}@sas.root.{hub}")
        if not is_policy:
            return self.device(password, name)
        grant = self._verify_signature(password)
        self.on_verified(grant)
        if grant.policy is None or grant.policy.name != name:
            raise UnauthorizedError("the token was not made with the policy that the user name has")
        return grant

    def verify(self, token: str) -> Grant:
        """Check signature, expiry and host of a token (CBS put-token); what it is for is checked when it is used.

        What begins with ``Bearer`` is a token of Entra ID, whatever type its bearer says that it is: SDKs differ.

        Raises:
            UnauthorizedError: It does not hold.
        """
        grant = self._verify(token)
        self.on_verified(grant)
        return grant

    def _verify(self, token: str) -> Grant:
        if token[: len(BEARER)].lower() == BEARER:
            end = check_token(token[len(BEARER) :], self._issuers, self._now())
            return Grant(self._host_names[0], end, policy=ENTRA)
        return self._verify_signature(token)

    def _verify_signature(self, token: str) -> Grant:
        try:
            parsed = sas.parse(token)
        except ValueError as error:
            raise UnauthorizedError(str(error)) from error
        if not self._is_own_host(parsed.resource):
            raise UnauthorizedError("the token is for another host than this hub")
        grant = self._signed_by(parsed)
        self._check_time(grant)
        return grant

    def require_device(self, grant: Grant, device_id: str) -> None:
        """Check that a grant is in time, still holds and lets its bearer connect as a device.

        Raises:
            UnauthorizedError: It does not.
        """
        grant = self._current(grant)
        self._enabled_device(device_id)
        if grant.policy is not None:
            _check_right(grant.policy, Right.DEVICE_CONNECT)
        elif grant.device_id != device_id:
            raise UnauthorizedError("the token was made with the key of another device")
        if not self._covers(grant.resource, f"devices/{device_id}"):
            raise UnauthorizedError("the token's resource does not cover the device")

    def require_certificate(self, certificate: ClientCertificate | None, device_id: str) -> None:
        """Check that the certificate of a TLS handshake lets its bearer connect as a device.

        One that is known by its thumbprint is good whatever its dates and whoever issued it (the dates inferred).

        Raises:
            UnauthorizedError: It does not, or there is none.
        """
        if certificate is None:
            raise UnauthorizedError("there is neither a token nor a client certificate")
        device = self._enabled_device(device_id)
        match device.authentication:
            case Authentication.SAS:
                raise UnauthorizedError("the device signs in with a key, not with a certificate")
            case Authentication.SELF_SIGNED:
                if thumbprints(certificate.der).isdisjoint(device.thumbprints):
                    raise UnauthorizedError("the certificate has neither of the device's thumbprints")
            case Authentication.CERTIFICATE_AUTHORITY:
                if certificate.flaw is not None:
                    raise UnauthorizedError(f"no registered authority vouches for the certificate: {certificate.flaw}")
                if common_name(certificate.der) != device_id:
                    raise UnauthorizedError("the common name of the certificate is not the device id")

    def require_service(self, grant: Grant, right: Right, path: str = "") -> None:
        """Check that a grant is in time, still holds and gives a right to an endpoint, for example ``"messages/devicebound"``.

        Raises:
            UnauthorizedError: It does not.
        """
        grant = self._current(grant)
        if grant.policy is None:
            raise UnauthorizedError("the key of a device does not open the endpoints of the service")
        _check_right(grant.policy, right)
        if not self._covers(grant.resource.lower(), path.lower()):
            raise UnauthorizedError("the token's resource does not cover the endpoint")

    def _current(self, grant: Grant) -> Grant:
        """Return a grant, which must be in time, as the keys and rights of now have it."""
        self._check_time(grant)
        return grant if grant.token is None else self._signed_by(grant.token)

    def _signed_by(self, parsed: sas.ParsedSas) -> Grant:
        return self._signed_by_policy(parsed) if parsed.policy else self._signed_by_device(parsed)

    def _signed_by_policy(self, parsed: sas.ParsedSas) -> Grant:
        policy = self._policies.get(parsed.policy or "")
        if policy is None:
            raise UnauthorizedError("the hub has no shared access policy of that name")
        _check_signature(parsed, policy)
        return Grant(parsed.resource, _expiry(parsed), policy=policy, token=parsed)

    def _signed_by_device(self, parsed: sas.ParsedSas) -> Grant:
        parts = parsed.resource.split("/")
        if len(parts) < 3 or parts[1] != "devices":
            raise UnauthorizedError("the token names neither a device nor a shared access policy")
        device = self._device(parts[2] if parts[2] in self._state.devices else unquote(parts[2]))
        if device.authentication is not Authentication.SAS:
            raise UnauthorizedError("the device signs in with a certificate, not with a key")
        _check_signature(parsed, device)
        return Grant(parsed.resource, _expiry(parsed), device_id=device.device_id, token=parsed)

    def _device(self, device_id: str) -> Device:
        device = self._state.devices.get(device_id)
        if device is None:
            raise UnauthorizedError("the hub has no such device")
        return device

    def _enabled_device(self, device_id: str) -> Device:
        device = self._device(device_id)
        if not device.enabled:
            raise UnauthorizedError("the device is disabled")
        return device

    def _is_own_host(self, resource: str) -> bool:
        host = resource.partition("/")[0]
        return any(sas.covers(host, name) for name in self._host_names)

    def _covers(self, scope: str, path: str) -> bool:
        """Say whether a scope covers a path of this hub; a device id may be percent-encoded twice (inferred)."""
        scopes = {scope, unquote(scope)}
        resources = [f"{name}/{path}".rstrip("/") for name in self._host_names]
        return any(sas.covers(scope, resource) for scope in scopes for resource in resources)

    def _check_time(self, grant: Grant) -> None:
        if grant.expires_at <= self._now():
            raise UnauthorizedError("the token has expired; make a new one and connect again")


def _expiry(parsed: sas.ParsedSas) -> datetime:
    return datetime.fromtimestamp(parsed.expiry, UTC)


def _check_signature(parsed: sas.ParsedSas, signer: Device | Policy) -> None:
    if not (sas.verify(parsed, signer.primary_key) or sas.verify(parsed, signer.secondary_key)):
        raise UnauthorizedError("the token's signature was made with neither the primary nor the secondary key")


def _check_right(policy: Policy, right: Right) -> None:
    if right not in policy.rights:
        raise UnauthorizedError(f"{policy.name} does not have the right {right}")
