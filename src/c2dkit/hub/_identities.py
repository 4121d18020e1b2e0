"""Who may speak to a hub: devices, each with two keys or a certificate, and shared access policies with two keys."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidInputError
from c2dkit._rules.sas import decode_key

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Authentication", "Device", "Policy", "Right", "default_policies", "new_device", "new_key"]

_KEY_BYTES: Final = 32


def new_key() -> str:
    """Return a fresh key: 32 random bytes in base64."""
    return b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


class Right(StrEnum):
    """What a shared access policy allows, in the words of IoT Hub."""

    SERVICE_CONNECT = "ServiceConnect"
    """Send cloud-to-device messages, receive feedback."""
    DEVICE_CONNECT = "DeviceConnect"
    """Connect as any device."""
    REGISTRY_READ = "RegistryRead"
    REGISTRY_WRITE = "RegistryWrite"


class Authentication(StrEnum):
    """How a device signs in, in the words of IoT Hub's registry. One that signs in with one cannot use another."""

    SAS = "sas"
    """With one of its keys."""
    SELF_SIGNED = "selfSigned"
    """With a certificate of a registered thumbprint, whoever issued it."""
    CERTIFICATE_AUTHORITY = "certificateAuthority"
    """With a certificate of a registered authority, whose common name is the device id."""


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
    """

    device_id: str
    generation_id: str
    primary_key: str = field(repr=False)
    secondary_key: str = field(repr=False)
    authentication: Authentication = Authentication.SAS
    thumbprints: tuple[str, ...] = ()
    enabled: bool = True


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


def new_device(device_id: str, *, now: datetime, primary_key: str | None, secondary_key: str | None) -> Device:
    """Make an enabled device; a key that is None is made up.

    Raises:
        InvalidInputError: A key is not base64.
    """
    return Device(
        device_id=device_id,
        generation_id=_generation_id(now),
        primary_key=new_key() if primary_key is None else _checked(primary_key),
        secondary_key=new_key() if secondary_key is None else _checked(secondary_key),
    )


def default_policies() -> Mapping[str, Policy]:
    """Return the policies that every IoT Hub is born with, less the two that are for its registry alone.

    Source: IoT Hub developer guide, "Control access to IoT Hub with shared access signatures".
    """
    policies = (
        Policy(name="iothubowner", rights=frozenset(Right)),
        Policy(name="service", rights=frozenset({Right.SERVICE_CONNECT})),
        Policy(name="device", rights=frozenset({Right.DEVICE_CONNECT})),
    )
    return {policy.name: policy for policy in policies}


def _checked(key: str) -> str:
    try:
        decode_key(key)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    return key


def _generation_id(now: datetime) -> str:
    """Count 100-nanosecond ticks since the year 1, which have had 18 digits since the year 318 (form inferred)."""
    ticks = (now - datetime(1, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    return f"{ticks:018}"
