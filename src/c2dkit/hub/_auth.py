"""Checks shared access signatures: who signed, is the key right, is it in time, what does it allow.

Source: IoT Hub developer guide, "Control access to IoT Hub with shared access signatures". Every refusal is 401003, as
IoT Hub's troubleshooting page on that code has it; the texts say which cause, and never show the token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from c2dkit._errors import UnauthorizedError
from c2dkit._rules import sas
from c2dkit.hub._identities import Right

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from c2dkit.hub._identities import Device, Policy
    from c2dkit.hub._state import HubState

__all__ = ["Authenticator", "Grant"]


class Grant(NamedTuple):
    """What a token that has been verified stands for.

    Attributes:
        resource: The decoded ``sr`` of the token: what it is limited to.
        expires_at: When it ends.
        device_id: The device whose own key signed it, or None.
        policy: The policy whose key signed it, or None.
    """

    resource: str
    expires_at: datetime
    device_id: str | None = None
    policy: Policy | None = None


class Authenticator:
    """Verifies tokens against the identities of one hub.

    Args:
        state: Has the devices.
        policies: The shared access policies by name.
        host_names: The names that the hub goes by, without ports.
        now: The hub's clock.
    """

    def __init__(
        self,
        state: HubState,
        policies: Mapping[str, Policy],
        host_names: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._policies = policies
        self._host_names = tuple(host_names)
        self._short_names = frozenset(name.partition(".")[0].lower() for name in host_names)
        self._now = now

    def device(self, token: str, device_id: str) -> Grant:
        """Check that a token lets its bearer connect as a device.

        Raises:
            UnauthorizedError: It does not.
        """
        grant = self.verify(token)
        self.require_device(grant, device_id)
        return grant

    def service(self, token: str, right: Right, path: str = "") -> Grant:
        """Check that a token gives a right to an endpoint of the hub, by default to all of them.

        Raises:
            UnauthorizedError: It does not.
        """
        grant = self.verify(token)
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
        grant = self.verify(password)
        if grant.policy is None or grant.policy.name != name:
            raise UnauthorizedError("the token was not made with the policy that the user name has")
        return grant

    def verify(self, token: str) -> Grant:
        """Check signature, expiry and host of a token (CBS put-token); what it is for is checked when it is used.

        Raises:
            UnauthorizedError: It does not hold.
        """
        try:
            parsed = sas.parse(token)
        except ValueError as error:
            raise UnauthorizedError(str(error)) from error
        if not self._is_own_host(parsed.resource):
            raise UnauthorizedError("the token is for another host than this hub")
        grant = self._signed_by_policy(parsed) if parsed.policy else self._signed_by_device(parsed)
        self._check_time(grant)
        return grant

    def require_device(self, grant: Grant, device_id: str) -> None:
        """Check that a grant is in time and lets its bearer connect as a device.

        Raises:
            UnauthorizedError: It does not.
        """
        self._check_time(grant)
        device = self._device(device_id)
        if not device.enabled:
            raise UnauthorizedError("the device is disabled")
        if grant.policy is not None:
            _check_right(grant.policy, Right.DEVICE_CONNECT)
        elif grant.device_id != device_id:
            raise UnauthorizedError("the token was made with the key of another device")
        if not self._covers(grant.resource, f"devices/{device_id}"):
            raise UnauthorizedError("the token's resource does not cover the device")

    def require_service(self, grant: Grant, right: Right, path: str = "") -> None:
        """Check that a grant is in time and gives a right to an endpoint, for example ``"messages/devicebound"``.

        Raises:
            UnauthorizedError: It does not.
        """
        self._check_time(grant)
        if grant.policy is None:
            raise UnauthorizedError("the key of a device does not open the endpoints of the service")
        _check_right(grant.policy, right)
        if not self._covers(grant.resource.lower(), path.lower()):
            raise UnauthorizedError("the token's resource does not cover the endpoint")

    def _signed_by_policy(self, parsed: sas.ParsedSas) -> Grant:
        policy = self._policies.get(parsed.policy or "")
        if policy is None:
            raise UnauthorizedError("the hub has no shared access policy of that name")
        _check_signature(parsed, policy)
        return Grant(parsed.resource, _expiry(parsed), policy=policy)

    def _signed_by_device(self, parsed: sas.ParsedSas) -> Grant:
        parts = parsed.resource.split("/")
        if len(parts) < 3 or parts[1] != "devices":
            raise UnauthorizedError("the token names neither a device nor a shared access policy")
        device = self._device(parts[2] if parts[2] in self._state.devices else unquote(parts[2]))
        _check_signature(parsed, device)
        return Grant(parsed.resource, _expiry(parsed), device_id=device.device_id)

    def _device(self, device_id: str) -> Device:
        device = self._state.devices.get(device_id)
        if device is None:
            raise UnauthorizedError("the hub has no such device")
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
        raise UnauthorizedError(f"the shared access policy does not have the right {right}")
