"""A device's queue over HTTP: one message a request, locked until it is settled or the lock ends.

Source: IoT Hub REST reference, "Receive / Complete / Abandon Device Bound Notification".
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, ClassVar, Final

from c2dkit._wire.https import PROPERTY, encode_delivery
from c2dkit.hub._http_auth import require_device
from c2dkit.hub._http_request import NO_CONTENT, Reply, lock_of

if TYPE_CHECKING:
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request

__all__ = ["DeviceQueue"]

log = logging.getLogger("c2dkit.hub")

NO_FIELD_VALUE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may have (RFC 9110, 5.5); c2dkit sends no property with it, but another client may."""


class DeviceQueue:
    """The endpoints below ``/devices/{id}/messages``.

    It holds the locks of all its devices, for a lock belongs to no connection here. ``If-Match``, which SDKs send in
    three spellings, and the lock time that some ask for, are ignored: IoT Hub's lock time cannot be changed.
    """

    protocol: ClassVar[str] = "HTTPS"

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def receive(self, device_id: str, request: Request) -> Reply:
        """Lock the next message, if there is one."""
        require_device(self._core.auth, request, device_id)
        self._core.gate.poll(device_id)
        while locked := self._core.state.receive(device_id, holder=self):
            headers, body = encode_delivery(locked.message, str(locked.lock_token))
            if not any(map(NO_FIELD_VALUE.search, headers.values())):
                return Reply(200, headers, body)
            log.warning("dead-lettered a message for %s, which HTTP cannot carry", device_id)
            self._core.state.reject(device_id, locked.lock_token)
        return NO_CONTENT

    def complete_or_reject(self, device_id: str, token: str, request: Request) -> Reply:
        """Complete a message, or reject it where the query has ``reject``, whatever its value."""
        require_device(self._core.auth, request, device_id)
        settle = self._core.state.reject if "reject" in request.query else self._core.complete
        settle(device_id, lock_of(token))
        return NO_CONTENT

    def take_event(self, device_id: str, request: Request) -> Reply:
        """Drop telemetry, unless it is refused."""
        require_device(self._core.auth, request, device_id)
        names = ((name.lower(), value) for name, value in request.headers.items())
        properties = {name.removeprefix(PROPERTY): value for name, value in names if name.startswith(PROPERTY)}
        self._core.gate.event(device_id, properties)
        return NO_CONTENT

    def abandon(self, device_id: str, token: str, request: Request) -> Reply:
        """Give a message back."""
        require_device(self._core.auth, request, device_id)
        self._core.state.abandon(device_id, lock_of(token))
        return NO_CONTENT
