"""Feedback over HTTP.

Sources: IoT Hub REST reference, "Service"; requests of the Python SDK (azure-iot-hub).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit._wire.feedback import CONTENT_TYPE, encode_records
from c2dkit._wire.http_times import format_http_time
from c2dkit._wire.https import ETAG, FEEDBACK_PATH, quote_etag
from c2dkit.hub._http_auth import require_service
from c2dkit.hub._http_request import NO_CONTENT, Reply, lock_of
from c2dkit.hub._identities import Right

if TYPE_CHECKING:
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request

__all__ = ["FeedbackQueue"]


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
