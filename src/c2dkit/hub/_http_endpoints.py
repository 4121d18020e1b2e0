"""What the hub's HTTP addresses do: routing, authorization and errors, with no I/O.

Sources: IoT Hub REST reference, "Device" and "Service"; IoT Hub developer guide, "Control access to IoT Hub with shared
access signatures". Requests of the official SDKs, each named where it matters. What is our reading is marked as inferred.
"""

from __future__ import annotations

import logging
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote
from uuid import uuid4

from c2dkit._errors import C2dError, ServiceError, UnauthorizedError
from c2dkit._wire.http_errors import http_from_error
from c2dkit.hub._guests import Guests
from c2dkit.hub._http_device import DeviceQueue
from c2dkit.hub._http_faults import FAULTS_SEGMENTS, FaultEndpoints
from c2dkit.hub._http_registry import Registry
from c2dkit.hub._http_request import Reply
from c2dkit.hub._http_service import FeedbackQueue
from c2dkit.hub._http_status import StatusPage
from c2dkit.hub._http_unserved import check_served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import TypeAlias

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request

__all__ = ["HttpEndpoints", "error_reply", "segments_of"]

log = logging.getLogger("c2dkit.hub")

Methods: TypeAlias = "Mapping[str, Callable[[Request], Reply]]"


class HttpEndpoints:
    """The addresses of one hub."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._device_queue = DeviceQueue(core)
        self._feedback = FeedbackQueue(core)
        self._registry = Registry(core)
        self._faults = FaultEndpoints(core)
        self._status = StatusPage(core)

    def takes_body(self, request: Request) -> bool:
        """Say whether a request's body is of use: to the registry, and from somebody who may write there."""
        segments = segments_of(request.path)
        match request.method, *_folded(segments):
            case ("PUT", "devices", _) | ("POST", "devices"):
                return self._registry.may_write("/".join(segments), request)
            case _:
                return False

    def answer(self, request: Request) -> Reply:
        """Do what a request asks for."""
        try:
            reply = self._serve(request)
        except C2dError as error:
            log.info("refused %s %.200s: %s", request.method, request.path, error)
            if isinstance(error, UnauthorizedError):
                Guests(self._core.events, request.peer).refused(str(error))
            reply = error_reply(error, self._core.clock.now())
        except Exception:
            log.exception("cannot answer %s %.200s", request.method, request.path)
            fault = ServiceError("the hub has a fault; see its log", hub_code=500001)
            reply = error_reply(fault, self._core.clock.now())
        self._core.changed()
        # By the hub's clock: a client that is refused may compare it with its own.
        date = format_datetime(self._core.clock.now(), usegmt=True)
        return reply._replace(headers={**reply.headers, "Date": date})

    def _serve(self, request: Request) -> Reply:
        # Nobody needs an api-version here, and any is taken.
        segments = segments_of(request.path)
        check_served(_folded(segments))
        methods = self._faults.methods if segments == FAULTS_SEGMENTS else self._methods(segments)
        if not methods:
            raise ServiceError("there is nothing at this address", hub_code=404000)
        if request.method not in methods:
            raise ServiceError(f"this address takes {', '.join(methods)}", hub_code=405000)
        return methods[request.method](request)

    def _methods(self, segments: tuple[str, ...]) -> Methods:
        # SDKs differ in the case of the fixed parts: devicebound and deviceBound.
        match _folded(segments):
            case ("devices", *_):
                return self._devices_methods(segments)
            case ("messages", "servicebound", "feedback", *_):
                return self._feedback_methods(segments[3:])
            case ("statistics", "devices"):
                return {"GET": self._registry.count_devices}
            case ("statistics", "service"):
                return {"GET": self._registry.count_connected}
            case _:
                return self._status.methods(segments)

    def _devices_methods(self, segments: tuple[str, ...]) -> Methods:
        registry = self._registry
        match _folded(segments[1:]):
            case ():
                return {"GET": registry.read_all, "POST": registry.write_many}
            case (_,):
                handlers = {"GET": registry.read, "PUT": registry.write, "DELETE": registry.delete}
                return {method: partial(handler, segments[1]) for method, handler in handlers.items()}
            case (_, "commands"):
                return {"DELETE": partial(registry.purge, segments[1])}
            case (_, "messages", "devicebound", *_):
                return self._device_methods(segments[1], segments[4:])
            case (_, "messages", "events"):
                return {"POST": partial(self._device_queue.take_event, segments[1])}
            case _:
                return {}

    def _device_methods(self, device_id: str, rest: tuple[str, ...]) -> Methods:
        match rest:
            case ():
                return {"GET": partial(self._device_queue.receive, device_id)}
            case (token,):
                return {"DELETE": partial(self._device_queue.complete_or_reject, device_id, token)}
            case (token, verb) if verb.lower() == "abandon":
                return {"POST": partial(self._device_queue.abandon, device_id, token)}
            case _:
                return {}

    def _feedback_methods(self, rest: tuple[str, ...]) -> Methods:
        match rest:
            case ():
                return {"GET": self._feedback.receive}
            case (token,):
                return {"DELETE": partial(self._feedback.complete, token)}
            case (token, verb) if verb.lower() == "abandon":
                return {"POST": partial(self._feedback.abandon, token)}
            case _:
                return {}


def error_reply(error: C2dError, now: datetime) -> Reply:
    """Return how HTTP tells of an error at a time, with an id as IoT Hub makes one for every request."""
    error.tracking_id = error.tracking_id or uuid4().hex
    return Reply(*http_from_error(error, now))


def segments_of(path: str) -> tuple[str, ...]:
    """Split a path, which may end in a slash, and percent-decode each part: a device id may have a slash's escape."""
    return tuple(unquote(segment) for segment in path.strip("/").split("/"))


def _folded(segments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(segment.lower() for segment in segments)
