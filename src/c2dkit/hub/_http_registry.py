"""The registry over HTTP: what a back end with the right to it reads of devices, and does to them.

Sources: IoT Hub REST reference, "Devices", "Bulk Registry" and "Statistics"; requests of the official SDKs (azure-iot-hub,
azure-iothub). What is our reading is marked as inferred.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from pydantic_core import from_json, to_json

from c2dkit._errors import InvalidInputError, ServiceError, UnauthorizedError
from c2dkit.hub._http_auth import require_service
from c2dkit.hub._http_request import NO_CONTENT, Reply
from c2dkit.hub._identities import Right
from c2dkit.hub._registry_bulk import apply_bulk
from c2dkit.hub._registry_documents import DeviceDocument, DeviceFacts, device_document, etag_of, read

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request
    from c2dkit.hub._identities import Device

__all__ = ["Registry"]

MAX_DEVICES: Final = 1000
"""As many as IoT Hub lists at a time."""


class Registry:
    """The endpoints of the devices' identities."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def purge(self, device_id: str, request: Request) -> Reply:
        """Empty a device's queue."""
        self._authorize(Right.SERVICE_CONNECT, f"devices/{device_id}/commands", request)
        purged = self._core.state.purge(device_id)
        return _json({"totalMessagesPurged": purged, "deviceId": device_id, "moduleId": None})

    def read(self, device_id: str, request: Request) -> Reply:
        """Tell of one device."""
        self._admit(Right.REGISTRY_READ, f"devices/{device_id}", request)
        return self._tell(self._core.state.device(device_id))

    def read_all(self, request: Request) -> Reply:
        """Tell of the first devices: as many as ``top`` says, where that is 1 to 1000, and otherwise 1000."""
        self._admit(Right.REGISTRY_READ, "devices", request)
        devices = islice(self._core.state.devices.values(), _top(request.query.get("top")))
        connected = self._core.connections.device_ids
        return _json([self._document(device, connected) for device in devices])

    def write(self, device_id: str, request: Request) -> Reply:
        """Create a device, or update it where there is an ``If-Match``."""
        self._admit(Right.REGISTRY_WRITE, f"devices/{device_id}", request)
        document = read(DeviceDocument, _parse(request.body))
        if document.device_id not in (None, device_id):
            raise InvalidInputError("the deviceId of the body is not that of the address")
        settings = document.settings()
        if request.if_match is None:
            device = self._core.state.add_device(device_id, settings)
        else:
            device = self._core.state.update_device(device_id, settings, etag=etag_of(request.if_match))
        return self._tell(device)

    def delete(self, device_id: str, request: Request) -> Reply:
        """Delete a device, for which IoT Hub wants an ``If-Match`` (the error where there is none is inferred)."""
        self._admit(Right.REGISTRY_WRITE, f"devices/{device_id}", request)
        if request.if_match is None:
            raise ServiceError(
                'deleting needs the header If-Match: the device\'s ETag, or "*" for any', hub_code=412001
            )
        self._core.state.remove_device(device_id, etag=etag_of(request.if_match))
        return NO_CONTENT

    def write_many(self, request: Request) -> Reply:
        """Create, update and delete devices, each as it says; one that fails leaves the others alone (inferred)."""
        self._admit(Right.REGISTRY_WRITE, "devices", request)
        errors = apply_bulk(self._core.state, _parse(request.body))
        warnings: list[object] = []
        result = {"isSuccessful": not errors, "errors": errors, "warnings": warnings}
        return _json(result, status=400 if errors else 200)

    def count_devices(self, request: Request) -> Reply:
        """Count the devices."""
        self._admit(Right.REGISTRY_READ, "statistics/devices", request)
        devices = self._core.state.devices.values()
        enabled = sum(device.enabled for device in devices)
        counts = {"totalDeviceCount": len(devices), "enabledDeviceCount": enabled}
        return _json({**counts, "disabledDeviceCount": len(devices) - enabled})

    def count_connected(self, request: Request) -> Reply:
        """Count the devices that are connected; the right is inferred from .NET's SDK, whose service client asks."""
        self._authorize(Right.SERVICE_CONNECT, "statistics/service", request)
        return _json({"connectedDeviceCount": len(self._core.connections.device_ids)})

    def may_write(self, path: str, request: Request) -> bool:
        """Say whether the bearer may write at an address of the registry, and so may have a body kept."""
        try:
            # A fault befalls the request when it is answered, and not twice.
            require_service(self._core.auth, request, Right.REGISTRY_WRITE, path, faulty=False)
        except UnauthorizedError:
            return False
        return True

    def _admit(self, right: Right, path: str, request: Request) -> None:
        self._authorize(right, path, request)
        self._core.gate.registry()

    def _authorize(self, right: Right, path: str, request: Request) -> None:
        require_service(self._core.auth, request, right, path)

    def _tell(self, device: Device) -> Reply:
        return _json(self._document(device, self._core.connections.device_ids))

    def _document(self, device: Device, connected: Collection[str]) -> Mapping[str, object]:
        name, presence = device.device_id, self._core.presence
        facts = DeviceFacts(
            connected=name in connected,
            queue_depth=self._core.state.queue_depth(name),
            connection_changed_at=presence.changed_at.get(name),
            active_at=presence.active_at.get(name),
        )
        return device_document(device, facts)


def _json(document: object, *, status: int = 200) -> Reply:
    return Reply(status, {"Content-Type": "application/json; charset=utf-8"}, to_json(document))


def _parse(body: bytes) -> object:
    """Read JSON, whose depth pydantic bounds.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        return from_json(body, cache_strings=False)
    except ValueError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from None


def _top(text: str | None) -> int:
    """Read how many to list; what is out of range means the most, as the Python SDK has it."""
    if text is None:
        return MAX_DEVICES
    try:
        top = int(text)
    except ValueError:
        raise InvalidInputError("top is a number, 1 to 1000") from None
    return top if 1 <= top <= MAX_DEVICES else MAX_DEVICES
