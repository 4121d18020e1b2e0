"""An administrator on PyPI's azure-iot-hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.iot.hub.models import ExportImportDevice

from tests.certify.drivers._lines import Fields, serve
from tests.certify.drivers.sdk._managers import PACKAGES, connect, manager, name_of, reset

if TYPE_CHECKING:
    from azure.iot.hub.models import Device


def refused(step: Fields) -> None:
    connect(step)
    read(step)


def fields(device: Device) -> Fields:
    keys, x509 = device.authentication.symmetric_key, device.authentication.x509_thumbprint
    return {
        "device_id": device.device_id,
        "generation_id": device.generation_id,
        "etag": device.etag,
        "status": device.status,
        "status_reason": device.status_reason,
        "connection_state": device.connection_state,
        "queue_depth": device.cloud_to_device_message_count,
        "sign_in": device.authentication.type,
        "primary_key": keys and keys.primary_key,
        "primary_thumbprint": x509 and x509.primary_thumbprint,
    }


def create(step: Fields) -> Fields:
    to, device_id, status = manager(step), step["device_id"], step.get("status", "enabled")
    sign_in, reason = step.get("sign_in", "sas"), step.get("status_reason")
    if sign_in == "certificateAuthority":
        made = to.create_device_with_certificate_authority(device_id, status, status_reason=reason)
    elif sign_in == "selfSigned":
        made = to.create_device_with_x509(device_id, step["thumbprint"], None, status, status_reason=reason)
    else:
        keys = step.get("primary_key", ""), step.get("secondary_key", "")
        made = to.create_device_with_sas(device_id, *keys, status, status_reason=reason)
    return fields(made)


def read(step: Fields) -> Fields:
    return fields(manager(step).get_device(step["device_id"]))


def update(step: Fields) -> Fields:
    device = manager(step).get_device(step["device_id"])
    keys = device.authentication.symmetric_key
    made = manager(step).update_device_with_sas(
        step["device_id"],
        step.get("etag", device.etag),
        step.get("primary_key", keys.primary_key),
        keys.secondary_key,
        step.get("status", device.status),
        status_reason=step.get("status_reason", device.status_reason),
    )
    return fields(made)


def delete(step: Fields) -> None:
    manager(step).delete_device(step["device_id"])


def listed(step: Fields) -> list[str]:
    return [device.device_id for device in manager(step).get_devices()]


def create_all(step: Fields) -> Fields:
    return bulk(step, "create")


def delete_all(step: Fields) -> Fields:
    return bulk(step, "delete")


def bulk(step: Fields, mode: str) -> Fields:
    devices = [ExportImportDevice(id=device["device_id"], import_mode=mode) for device in step["devices"]]
    result = manager(step).bulk_create_or_update_devices(devices)
    return {"successful": result.is_successful, "errors": [error.device_id for error in result.errors or []]}


def statistics(step: Fields) -> Fields:
    found = manager(step).get_device_registry_statistics()
    return {
        "total": found.total_device_count,
        "enabled": found.enabled_device_count,
        "disabled": found.disabled_device_count,
    }


serve(
    PACKAGES,
    {
        "connect": connect,
        "refused": refused,
        "create": create,
        "read": read,
        "update": update,
        "delete": delete,
        "list": listed,
        "create_all": create_all,
        "delete_all": delete_all,
        "statistics": statistics,
        "reset": reset,
    },
    name_of=name_of,
)
