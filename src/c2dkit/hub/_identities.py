"""Who may speak to a hub: devices, each with two keys or a certificate, and shared access policies with two keys."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidInputError
from c2dkit.hub._keys import new_key

if TYPE_CHECKING:
    from c2dkit.hub._keys import Keys

__all__ = [
    "Authentication",
    "Device",
    "DeviceSettings",
    "Policy",
    "Right",
    "apply_settings",
    "new_device",
    "new_etag",
    "normal_thumbprint",
]

_THUMBPRINT: Final = re.compile("[0-9A-F]{40}|[0-9A-F]{64}")

_REASON_LENGTH: Final = 128
"""IoT Hub developer guide, "Identity registry": ``statusReason``."""


class Right(StrEnum):
    """What a shared access policy allows, in the words of IoT Hub."""

    SERVICE_CONNECT = "ServiceConnect"
    """Send cloud-to-device messages, receive feedback, purge queues."""
    DEVICE_CONNECT = "DeviceConnect"
    """Connect as any device."""
    REGISTRY_READ = "RegistryRead"
    """Read the devices' identities, keys included, and count them."""
    REGISTRY_WRITE = "RegistryWrite"
    """Create, change and delete devices."""


class Authentication(StrEnum):
    """How a device signs in, in the words of IoT Hub's registry. One that signs in with one cannot use another."""

    SAS = "sas"
    """With one of its keys."""
    SELF_SIGNED = "selfSigned"
    """With a certificate of a registered thumbprint, whoever issued it."""
    CERTIFICATE_AUTHORITY = "certificateAuthority"
    """With a certificate of a registered authority, whose common name is the device id."""


def new_etag() -> str:
    """Return a fresh ETag: nine digits in base64, as IoT Hub's look (form inferred)."""
    return b64encode(str(100_000_000 + secrets.randbelow(900_000_000)).encode()).decode("ascii")


@dataclass(slots=True, kw_only=True)
class Device:
    """One device identity.

    Attributes:
        device_id: Case-sensitive.
        generation_id: 18 digits that tell this identity from another one that had the same device id.
        primary_key: Base64.
        secondary_key: Base64; works just as well as the primary key.
        authentication: What the device signs in with.
        thumbprints: The primary and the secondary one of ``SELF_SIGNED``, SHA-1 or SHA-256, in capital hex digits.
        enabled: False refuses every connection, send and receive.
        etag: Another one after every change of the identity.
        status_reason: Why it is enabled or disabled, in somebody's words, or None.
        status_updated_at: When it was last enabled or disabled; None where it never was.
        iot_edge: Whether it is called an IoT Edge device; nothing follows from it here.
        device_scope: What a back end has set, or None; nothing follows from it here.
        parent_scopes: As ``device_scope``.
    """

    device_id: str
    generation_id: str
    primary_key: str = field(repr=False)
    secondary_key: str = field(repr=False)
    authentication: Authentication = Authentication.SAS
    thumbprints: tuple[str, ...] = ()
    enabled: bool = True
    etag: str = field(default_factory=new_etag)
    status_reason: str | None = None
    status_updated_at: datetime | None = None
    iot_edge: bool = False
    device_scope: str | None = None
    parent_scopes: tuple[str, ...] = ()

    def set_enabled(self, *, enabled: bool, now: datetime) -> None:
        """Enable or disable it, and remember when where that is news."""
        if self.enabled != enabled:
            self.enabled = enabled
            self.status_updated_at = now
        self.etag = new_etag()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What can be set of a device. An update replaces all of it, less what is said of None here (that is inferred).

    Attributes:
        authentication: None leaves a device as it is; a new one signs in with a key.
        primary_key: Base64; None leaves a device the key that it has, and makes one up where it has none.
        secondary_key: As ``primary_key``.
        thumbprints: Of ``SELF_SIGNED``: one or two, SHA-1 or SHA-256, in hex digits.
        enabled: As of `Device`, and so is what follows.

    Raises:
        InvalidInputError: A thumbprint is none, or there are too few or too many, or the reason is too long.
    """

    authentication: Authentication | None = None
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    thumbprints: tuple[str, ...] = ()
    enabled: bool = True
    status_reason: str | None = None
    iot_edge: bool = False
    device_scope: str | None = None
    parent_scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "thumbprints", tuple(map(normal_thumbprint, self.thumbprints)))
        if self.authentication is Authentication.SELF_SIGNED and not 1 <= len(self.thumbprints) <= 2:
            raise InvalidInputError("a device that is selfSigned has one or two thumbprints of certificates")
        if self.status_reason is not None and len(self.status_reason) > _REASON_LENGTH:
            raise InvalidInputError(f"a status reason has at most {_REASON_LENGTH} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One shared access policy of the hub.

    Attributes:
        name: What a token carries in ``skn``; case-sensitive.
        rights: What the policy allows.
        primary_key: Base64.
        secondary_key: Base64; works just as well as the primary key.
    """

    name: str
    rights: frozenset[Right]
    primary_key: str = field(repr=False, default_factory=new_key)
    secondary_key: str = field(repr=False, default_factory=new_key)


def new_device(device_id: str, settings: DeviceSettings, *, now: datetime, keys: Keys) -> Device:
    """Make a device.

    Raises:
        InvalidInputError: The hub may not have such a key.
    """
    device = Device(
        device_id=device_id, generation_id=_generation_id(now), primary_key=keys.make(), secondary_key=keys.make()
    )
    apply_settings(device, settings, now=now, keys=keys)
    if device.enabled:
        device.status_updated_at = None
    return device


def apply_settings(device: Device, settings: DeviceSettings, *, now: datetime, keys: Keys) -> None:
    """Change a device.

    Raises:
        InvalidInputError: The hub may not have such a key; nothing is changed.
    """
    given = [settings.primary_key, settings.secondary_key]
    primary, secondary = (None if key is None else keys.check(key) for key in given)
    if settings.authentication is not None:
        if device.authentication is not Authentication.SAS:  # keys that nobody has seen, or that were given up
            device.primary_key, device.secondary_key = keys.make(), keys.make()
        device.authentication = settings.authentication
        device.thumbprints = settings.thumbprints if settings.authentication is Authentication.SELF_SIGNED else ()
    device.primary_key = primary or device.primary_key
    device.secondary_key = secondary or device.secondary_key
    device.status_reason = settings.status_reason
    device.iot_edge = settings.iot_edge
    device.device_scope = settings.device_scope
    device.parent_scopes = settings.parent_scopes
    device.set_enabled(enabled=settings.enabled, now=now)


def normal_thumbprint(text: str) -> str:
    """Return a thumbprint in capital hex digits; it may have small ones, and colons as openssl prints it (inferred).

    Raises:
        InvalidInputError: It is neither SHA-1 (40 digits) nor SHA-256 (64).
    """
    digits = text.replace(":", "").upper()
    if not _THUMBPRINT.fullmatch(digits):
        raise InvalidInputError("a thumbprint is 40 hex digits (SHA-1) or 64 (SHA-256)")
    return digits


def _generation_id(now: datetime) -> str:
    """Count 100-nanosecond ticks since the year 1, which have had 18 digits since the year 318 (form inferred)."""
    ticks = (now - datetime(1, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    return f"{ticks:018}"
