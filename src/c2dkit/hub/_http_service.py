"""What a back end does over HTTP: feedback, purge, and reading the registry.

Sources: IoT Hub REST reference, "Service" and "Devices"; requests of the Python SDK (azure-iot-hub).
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Final

from c2dkit._wire.feedback import CONTENT_TYPE, encode_records
from c2dkit._wire.http_times import format_http_time
from c2dkit._wire.https import ETAG, FEEDBACK_PATH, quote_etag
from c2dkit.hub._http_auth import require_service
from c2dkit.hub._http_request import NO_CONTENT, Reply, lock_of
from c2dkit.hub._identities import Authentication, Right

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request
    from c2dkit.hub._identities import Device

__all__ = ["FeedbackQueue", "Registry"]

MAX_DEVICES: Final = 1000
"""As many as IoT Hub lists at a time."""


class FeedbackQueue:
    """The endpoints below ``/messages/serviceBound/feedback``.

    It holds the locks of all its receivers, for a lock belongs to no connection here.
    """

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def receive(self, request: Request) -> Reply:
        """Lock the next batch, if there is one; that its headers are those of a message to a device is inferred."""
        self._authorize(request)
        locked = self._core.state.receive_feedback(self)
        if locked is None:
            return NO_CONTENT
        headers = {
            ETAG: quote_etag(str(locked.lock_token)),
            "Content-Type": CONTENT_TYPE,
            "iothub-enqueuedtime": format_http_time(locked.enqueued_at),
        }
        body = encode_records(locked.records, omit_success_status=self._core.options.omit_success_status)
        return Reply(200, headers, body)

    def complete(self, token: str, request: Request) -> Reply:
        """Complete a batch."""
        self._authorize(request)
        self._core.state.complete_feedback(lock_of(token))
        return NO_CONTENT

    def abandon(self, token: str, request: Request) -> Reply:
        """Give a batch back."""
        self._authorize(request)
        self._core.state.abandon_feedback(lock_of(token))
        return NO_CONTENT

    def _authorize(self, request: Request) -> None:
        require_service(self._core.auth, request, Right.SERVICE_CONNECT, FEEDBACK_PATH.strip("/"))


class Registry:
    """The endpoints of the devices' identities; none of them changes one."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def purge(self, device_id: str, request: Request) -> Reply:
        """Empty a device's queue."""
        self._authorize(Right.SERVICE_CONNECT, f"devices/{device_id}/commands", request)
        purged = self._core.state.purge(device_id)
        return _json({"totalMessagesPurged": purged, "deviceId": device_id, "moduleId": None})

    def read(self, device_id: str, request: Request) -> Reply:
        """Tell of one device."""
        self._authorize(Right.REGISTRY_READ, f"devices/{device_id}", request)
        return _json(self._document(self._core.state.device(device_id)))

    def read_all(self, request: Request) -> Reply:
        """Tell of the first devices, at most 1000."""
        self._authorize(Right.REGISTRY_READ, "devices", request)
        devices = islice(self._core.state.devices.values(), MAX_DEVICES)
        return _json([self._document(device) for device in devices])

    def _authorize(self, right: Right, path: str, request: Request) -> None:
        require_service(self._core.auth, request, right, path)

    def _document(self, device: Device) -> Mapping[str, object]:
        """Return what IoT Hub says of a device, less what this hub does not know: when it was last there, for one."""
        return {
            "deviceId": device.device_id,
            "generationId": device.generation_id,
            "status": "enabled" if device.enabled else "disabled",
            "cloudToDeviceMessageCount": self._core.state.queue_depth(device.device_id),
            "authentication": _authentication(device),
        }


def _authentication(device: Device) -> Mapping[str, object]:
    keys = (device.primary_key, device.secondary_key) if device.authentication is Authentication.SAS else (None, None)
    primary, secondary = (*device.thumbprints, None, None)[:2]
    return {
        "type": device.authentication.value,
        "symmetricKey": {"primaryKey": keys[0], "secondaryKey": keys[1]},
        "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary},
    }


def _json(document: object) -> Reply:
    return Reply(200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())
