"""A device's queue over HTTP: one message a request, locked until it is settled or the lock ends.

Source: IoT Hub REST reference, "Receive / Complete / Abandon Device Bound Notification".
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from c2dkit._wire.https import PROPERTY, encode_delivery
from c2dkit.hub._http_auth import require_device
from c2dkit.hub._http_request import NO_CONTENT, Reply, lock_of
from c2dkit.hub._options import LOCK_DURATION

if TYPE_CHECKING:
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request

__all__ = ["DeviceQueue"]

LOCK_TIMEOUT: Final = "iothub-messagelocktimeout"
"""A header in the Java SDK and in Azure's command line, a query parameter in .NET's."""

SHORTEST_LOCK: Final = timedelta(seconds=5)
LONGEST_LOCK: Final = timedelta(seconds=300)
"""The range of the lock on feedback (that it is the same for messages is inferred)."""

log = logging.getLogger("c2dkit.hub")

NO_FIELD_VALUE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may have (RFC 9110, 5.5); c2dkit sends no property with it, but another client may."""


class DeviceQueue:
    """The endpoints below ``/devices/{id}/messages``.

    It holds the locks of all its devices, for a lock belongs to no connection here. ``If-Match``, which SDKs send in
    three spellings, is ignored.
    """

    protocol: ClassVar[str] = "HTTPS"

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def receive(self, device_id: str, request: Request) -> Reply:
        """Lock the next message, if there is one."""
        require_device(self._core.auth, request, device_id)
        self._core.gate.poll(device_id)
        lock_for = self._lock_duration(request)
        while locked := self._core.state.receive(device_id, holder=self, lock_for=lock_for):
            headers, body = encode_delivery(locked.message, str(locked.lock_token))
            if not any(map(NO_FIELD_VALUE.search, headers.values())):
                return Reply(200, headers, body)
            log.warning("dead-lettered a message for %s, which HTTP cannot carry", device_id)
            self._core.state.reject(device_id, locked.lock_token)
        return NO_CONTENT

    def _lock_duration(self, request: Request) -> timedelta:
        """Return how long to lock a message: always the same, unless the hub lets clients say."""
        if not self._core.options.request_lock_timeout:
            return LOCK_DURATION
        headers = {name.lower(): value for name, value in request.headers.items()}
        text = headers.get(LOCK_TIMEOUT) or request.query.get(LOCK_TIMEOUT) or ""
        if not (text.isascii() and text.isdigit() and len(text) < 6):
            return LOCK_DURATION
        return min(max(timedelta(seconds=int(text)), SHORTEST_LOCK), LONGEST_LOCK)

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
