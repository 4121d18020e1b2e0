"""Who connects, and with what: the credential of one device, and of a back end.

Secrets are left out of every repr. A credential that exists is usable as far as that can be known without a clock
and without the hub; both ways to make one (keyword arguments, connection string) run the same checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from c2dkit._errors import ConnectionStringError, InvalidMessageError
from c2dkit._rules import sas
from c2dkit._rules.connection_strings import (
    DEVICE_KEYS,
    SERVICE_KEYS,
    check_host,
    split_connection_string,
    split_host,
)
from c2dkit._rules.entra import EntraCredential
from c2dkit._rules.validation import check_device_id

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Credential", "DeviceCredential", "ServiceCredential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCredential:
    """How one device signs in: with exactly one of a key, a ready-made signature or an X.509 certificate.

    Attributes:
        host_name: The hub, without a port, for example ``my-hub.azure-devices.net``; an IPv6 address in brackets.
        device_id: The device.
        port: The port to dial instead of the protocol's own, for a hub on this machine; None for the protocol's own.
        shared_access_key: The device's key, or its policy's, in base64.
        shared_access_key_name: The policy that ``shared_access_key`` belongs to; None for a device's own key.
        shared_access_signature: A token that somebody else made. c2dkit cannot renew it.
        gateway_host_name: The host to dial in the hub's place.
        gateway_port: The gateway's port, as ``port``.
        x509: True where the device signs in with a certificate: the one in ``certificate_file``, or else the one in
            the ``ssl_context`` that its transport is given.
        certificate_file: A PEM file with the certificate, and after it those of the authorities between it and the
            one that the hub knows. It is read at each connect, so it may be renewed.
        key_file: A PEM file with the private key; None where ``certificate_file`` has it.
        key_password: What the private key is encrypted with, or None.

    Raises:
        ConnectionStringError: The parts do not make a credential.
    """

    host_name: str
    device_id: str
    port: int | None = None
    shared_access_key: str | None = field(default=None, repr=False)
    shared_access_key_name: str | None = None
    shared_access_signature: str | None = field(default=None, repr=False)
    gateway_host_name: str | None = None
    gateway_port: int | None = None
    x509: bool = False
    certificate_file: str | PathLike[str] | None = None
    key_file: str | PathLike[str] | None = None
    key_password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_host(self.host_name, "HostName")
        if self.gateway_host_name is not None:
            check_host(self.gateway_host_name, "GatewayHostName")
        _check_device_id(self.device_id)
        if (self.shared_access_key, self.shared_access_signature, self.x509 or None).count(None) != 2:
            raise ConnectionStringError("a device needs one of SharedAccessKey, SharedAccessSignature and x509=true")
        _check_secrets(self.shared_access_key, self.shared_access_signature, self.resource)
        if self.certificate_file is not None and not self.x509:
            raise ConnectionStringError("certificate_file goes with x509=True")
        if self.certificate_file is None and not (self.key_file is None and self.key_password is None):
            raise ConnectionStringError("key_file and key_password go with certificate_file")

    @classmethod
    def from_connection_string(cls, text: str) -> DeviceCredential:
        """Read a device's connection string, as the Azure portal shows it.

        Raises:
            ConnectionStringError: It cannot be used; the text names the key, never a secret.
        """
        values = split_connection_string(text, DEVICE_KEYS)
        if "DeviceId" not in values and "SharedAccessKeyName" in values:
            raise ConnectionStringError("DeviceId is missing: this is a hub's connection string; use the device's own")
        host_name, port = split_host(_required(values, "HostName"))
        gateway = values.get("GatewayHostName")
        gateway_host_name, gateway_port = (None, None) if gateway is None else split_host(gateway, "GatewayHostName")
        return cls(
            host_name=host_name,
            port=port,
            device_id=_required(values, "DeviceId"),
            shared_access_key=values.get("SharedAccessKey"),
            shared_access_key_name=values.get("SharedAccessKeyName"),
            shared_access_signature=values.get("SharedAccessSignature"),
            gateway_host_name=gateway_host_name,
            gateway_port=gateway_port,
            x509=_x509(values.get("x509")),
        )

    @property
    def dial(self) -> tuple[str, int | None]:
        """Host (an IPv6 address without brackets) and port to connect to; the gateway's where there is one."""
        if self.gateway_host_name is not None:
            return self.gateway_host_name.strip("[]"), self.gateway_port
        return self.host_name.strip("[]"), self.port

    @property
    def resource(self) -> str:
        """What this credential's tokens open, not percent-encoded."""
        return f"{self.host_name}/devices/{self.device_id}"

    def token(self, now: datetime, ttl: timedelta = sas.DEFAULT_LIFETIME) -> sas.SasToken:
        """Make a token that lives for ``ttl`` from ``now``, or hand over the ready-made one.

        Raises:
            ConnectionStringError: The ready-made one has expired, or the device signs in with a certificate.
        """
        if self.shared_access_key is not None:
            return sas.sign(self.resource, self.shared_access_key, now + ttl, self.shared_access_key_name, lifetime=ttl)
        return _ready_made(self.shared_access_signature, self.resource, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCredential:
    """How a back end signs in: with the key of a shared access policy, or a ready-made signature.

    Attributes:
        host_name: The hub, without a port, for example ``my-hub.azure-devices.net``; an IPv6 address in brackets.
        port: The port to dial instead of the protocol's own, for a hub on this machine; None for the protocol's own.
        shared_access_key_name: The policy, which needs the right ServiceConnect; None where the signature names it.
        shared_access_key: The policy's key, in base64.
        shared_access_signature: A token that somebody else made. c2dkit cannot renew it.

    Raises:
        ConnectionStringError: The parts do not make a credential.
    """

    host_name: str
    port: int | None = None
    shared_access_key_name: str | None = None
    shared_access_key: str | None = field(default=None, repr=False)
    shared_access_signature: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_host(self.host_name, "HostName")
        if (self.shared_access_key is None) == (self.shared_access_signature is None):
            raise ConnectionStringError("a back end needs one of SharedAccessKey and SharedAccessSignature")
        if self.shared_access_key is not None and self.shared_access_key_name is None:
            raise ConnectionStringError("SharedAccessKeyName is missing: it names the policy of SharedAccessKey")
        _check_secrets(self.shared_access_key, self.shared_access_signature, self.resource)

    @classmethod
    def from_connection_string(cls, text: str) -> ServiceCredential:
        """Read a hub's connection string, as the Azure portal shows it under "Shared access policies".

        Raises:
            ConnectionStringError: It cannot be used; the text names the key, never a secret.
        """
        values = split_connection_string(text, SERVICE_KEYS)
        host_name, port = split_host(_required(values, "HostName"))
        return cls(
            host_name=host_name,
            port=port,
            shared_access_key_name=values.get("SharedAccessKeyName"),
            shared_access_key=values.get("SharedAccessKey"),
            shared_access_signature=values.get("SharedAccessSignature"),
        )

    @property
    def dial(self) -> tuple[str, int | None]:
        """Host (an IPv6 address without brackets) and port to connect to."""
        return self.host_name.strip("[]"), self.port

    @property
    def resource(self) -> str:
        """What this credential's tokens open: the whole hub, as far as the policy goes."""
        return self.host_name

    def token(self, now: datetime, ttl: timedelta = sas.DEFAULT_LIFETIME) -> sas.SasToken:
        """Make a token that lives for ``ttl`` from ``now``, or hand over the ready-made one.

        Raises:
            ConnectionStringError: The ready-made one has expired.
        """
        if self.shared_access_key is not None:
            return sas.sign(self.resource, self.shared_access_key, now + ttl, self.shared_access_key_name, lifetime=ttl)
        return _ready_made(self.shared_access_signature, self.resource, now)


Credential: TypeAlias = DeviceCredential | ServiceCredential | EntraCredential
"""Whoever connects."""


def _required(values: dict[str, str], key: str) -> str:
    if key not in values:
        raise ConnectionStringError(f"{key} is missing")
    return values[key]


def _x509(value: str | None) -> bool:
    if value is not None and value.lower() != "true":
        raise ConnectionStringError("x509 can only be true; leave it out where the device signs in with a key")
    return value is not None


def _check_device_id(device_id: str) -> None:
    try:
        check_device_id(device_id)
    except InvalidMessageError as error:
        raise ConnectionStringError(f"DeviceId must be {error.limit}") from None


def _check_secrets(key: str | None, signature: str | None, resource: str) -> None:
    if key is not None:
        try:
            sas.decode_key(key)
        except ValueError:
            raise ConnectionStringError("SharedAccessKey is not base64; copy it whole, with its trailing =") from None
    if signature is not None and not sas.covers(_parse_signature(signature).resource, resource):
        raise ConnectionStringError(f"SharedAccessSignature is for another resource than {resource}")


def _parse_signature(text: str) -> sas.ParsedSas:
    try:
        return sas.parse(text)
    except ValueError as error:
        raise ConnectionStringError(f"SharedAccessSignature cannot be used: {error}") from None


def _ready_made(text: str | None, resource: str, now: datetime) -> sas.SasToken:
    if text is None:
        raise ConnectionStringError("x509=true: this device signs in with its certificate and has no token")
    parsed = _parse_signature(text)
    expires_at = datetime.fromtimestamp(parsed.expiry, tz=UTC)
    if expires_at <= now:
        raise ConnectionStringError(
            f"SharedAccessSignature expired at {expires_at.isoformat()}; make a credential with a new one"
        )
    return sas.SasToken(resource, expires_at, expires_at, parsed.policy, text)
