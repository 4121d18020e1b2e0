"""Devices and policies as JSON, in IoT Hub's words: what the registry's REST calls carry and what a file has.

Sources: IoT Hub REST reference, "Devices" and "Bulk Registry"; the models of the Python SDK (azure-iot-hub). An unknown key is
ignored, and null stands for a key that is not there, for SDKs send what they have read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from c2dkit._errors import InvalidInputError
from c2dkit.hub._identities import Authentication, DeviceSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from c2dkit.hub._identities import Device

__all__ = ["BulkItem", "DeviceDocument", "DeviceFacts", "Document", "device_document", "etag_of", "read"]

NEVER: Final = "0001-01-01T00:00:00"
"""How IoT Hub writes a time that there was not yet (inferred)."""

MAX_SCOPES: Final = 16
Scope = Annotated[str, Field(max_length=256)]
"""Nothing documented bounds a scope or their number; a hub that keeps them has to."""


class Document(BaseModel):
    """What all documents have in common."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, hide_input_in_errors=True)


class SymmetricKey(Document):
    """An empty key is one that the hub makes up, or leaves as it is."""

    primary_key: str | None = Field(default=None, repr=False)
    secondary_key: str | None = Field(default=None, repr=False)


class X509Thumbprint(Document):
    """One of them alone is the primary one (inferred)."""

    primary_thumbprint: str | None = None
    secondary_thumbprint: str | None = None


class AuthenticationMechanism(Document):
    """How a device signs in; with a key unless it says otherwise."""

    type: Literal["sas", "selfSigned", "certificateAuthority", "none"] | None = None
    symmetric_key: SymmetricKey | None = None
    x509_thumbprint: X509Thumbprint | None = Field(default=None, alias="x509Thumbprint")


class DeviceCapabilities(Document):
    """What a device is called besides."""

    iot_edge: bool | None = None


class DeviceDocument(Document):
    """What somebody says of a device; ``id`` is how bulk operations and exports call the ``deviceId``."""

    device_id: str | None = Field(default=None, validation_alias=AliasChoices("deviceId", "id"))
    status: Literal["enabled", "disabled"] | None = None
    status_reason: str | None = None
    authentication: AuthenticationMechanism | None = None
    capabilities: DeviceCapabilities | None = None
    device_scope: Scope | None = None
    parent_scopes: list[Scope] | None = Field(default=None, max_length=MAX_SCOPES)

    def settings(self) -> DeviceSettings:
        """Return what it sets.

        Raises:
            InvalidInputError: It asks for what no device can have.
        """
        mechanism = self.authentication or AuthenticationMechanism()
        key = mechanism.symmetric_key or SymmetricKey()
        x509 = mechanism.x509_thumbprint or X509Thumbprint()
        return DeviceSettings(
            authentication=_authentication(self.authentication),
            primary_key=key.primary_key or None,
            secondary_key=key.secondary_key or None,
            thumbprints=tuple(filter(None, (x509.primary_thumbprint, x509.secondary_thumbprint))),
            enabled=self.status != "disabled",
            status_reason=self.status_reason,
            iot_edge=self.capabilities is not None and bool(self.capabilities.iot_edge),
            device_scope=self.device_scope,
            parent_scopes=tuple(self.parent_scopes or ()),
        )


class BulkItem(DeviceDocument):
    """One operation of many; ``createOrUpdate`` where it does not say which."""

    import_mode: str | None = None
    module_id: str | None = None
    etag: str | None = Field(default=None, validation_alias=AliasChoices("eTag", "etag"))


DocumentT = TypeVar("DocumentT", bound=Document)


def read(model: type[DocumentT], value: object) -> DocumentT:
    """Read a document from what JSON has become.

    Raises:
        InvalidInputError: It is none; the text names the key, and shows no value.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise InvalidInputError(f"{where}: {first['msg']}") from None


def etag_of(text: str) -> str | None:
    """Read an ETag in quotes or without, or the star, for which SDKs send quotes too; None is any."""
    etag = text.strip().removeprefix("W/").strip('"')
    return None if etag == "*" else etag


class DeviceFacts(NamedTuple):
    """What is no part of a device's identity and is told with it; the times are None where there were none yet."""

    connected: bool
    queue_depth: int
    connection_changed_at: datetime | None
    active_at: datetime | None


def device_document(device: Device, facts: DeviceFacts) -> Mapping[str, object]:
    """Return what IoT Hub says of a device."""
    return {
        "deviceId": device.device_id,
        "generationId": device.generation_id,
        "etag": device.etag,
        "status": "enabled" if device.enabled else "disabled",
        "statusReason": device.status_reason,
        "statusUpdatedTime": _time(device.status_updated_at),
        "connectionState": "Connected" if facts.connected else "Disconnected",
        "connectionStateUpdatedTime": _time(facts.connection_changed_at),
        "lastActivityTime": _time(facts.active_at),
        "cloudToDeviceMessageCount": facts.queue_depth,
        "authentication": _mechanism(device),
        "capabilities": {"iotEdge": device.iot_edge},
        "deviceScope": device.device_scope,
        "parentScopes": device.parent_scopes,
    }


def _authentication(mechanism: AuthenticationMechanism | None) -> Authentication | None:
    match mechanism:
        case None:
            return None
        case AuthenticationMechanism(type="none"):
            raise InvalidInputError(
                "authentication.type: none is for devices that never connect; this hub has none such"
            )
        case AuthenticationMechanism(type=str(word)):
            return Authentication(word)
        case _:
            return Authentication.SAS


def _mechanism(device: Device) -> Mapping[str, object]:
    keys = (device.primary_key, device.secondary_key) if device.authentication is Authentication.SAS else (None, None)
    primary, secondary = (*device.thumbprints, None, None)[:2]
    return {
        "type": device.authentication.value,
        "symmetricKey": {"primaryKey": keys[0], "secondaryKey": keys[1]},
        "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary},
    }


def _time(moment: datetime | None) -> str:
    return NEVER if moment is None else moment.isoformat().replace("+00:00", "Z")
