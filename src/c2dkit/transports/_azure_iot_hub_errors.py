"""What the exceptions of azure-iot-hub become: those of its REST client (msrest on requests) and those of uamqp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

from c2dkit._errors import (
    C2dError,
    ConnectError,
    ConnectionLostError,
    InvalidInputError,
    OutcomeUnknownError,
    PeerProtocolError,
    ServiceError,
    UnauthorizedError,
)
from c2dkit._wire import http_errors
from c2dkit.transports import _uamqp_errors
from c2dkit.transports._foreign import ForeignError, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ERRORS", "Response", "error_from_rest", "error_from_send"]

ERRORS: Final[Mapping[str, ForeignError]] = {
    **_uamqp_errors.ERRORS,
    "HttpOperationError": ForeignError(ServiceError, transient=False),
    "ClientRequestError": ForeignError(ConnectionLostError, transient=True),
    "TokenExpiredError": ForeignError(UnauthorizedError, transient=False),
    "AuthenticationError": ForeignError(UnauthorizedError, transient=False),
    "ValidationError": ForeignError(InvalidInputError, transient=False),
    "SerializationError": ForeignError(InvalidInputError, transient=False),
    "DeserializationError": ForeignError(PeerProtocolError, transient=False),
    "ClientException": ForeignError(ServiceError, transient=False),
    "RequestException": ForeignError(ConnectionLostError, transient=True),
}
"""By the name of an exception's class, or of its nearest base class that is listed."""

NOT_SENT: Final = frozenset({"ConnectTimeout", "NewConnectionError", "NameResolutionError", "SSLError", "ProxyError"})
"""Exceptions of requests and urllib3 that come before a request has left."""

SEND_FAILED: Final = "C2D message send failure"


class Response(Protocol):
    """What is read of an answer (``requests.Response``)."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


def error_from_rest(error: BaseException, *, doing: str, changes: bool) -> C2dError:
    """Return the error to raise for a request that failed; the exception becomes its cause.

    Args:
        error: What msrest raised.
        doing: What failed, to begin the text with.
        changes: Whether the request changes something at the hub.
    """
    if isinstance(error, C2dError):
        return error
    mapped = _mapped(error, doing, changes=changes)
    mapped.__cause__ = error
    return mapped


def _mapped(error: BaseException, doing: str, *, changes: bool) -> C2dError:
    response: Response | None = getattr(error, "response", None)
    if response is not None:
        return http_errors.error_from_http(response.status_code, response.headers, response.content, doing=doing)
    row = row_of(error, ERRORS)
    names = _names_within(error)
    if row.error is ConnectionLostError and names & NOT_SENT:
        # A certificate that is not trusted will not be the next time.
        return ConnectError(f"{doing}: {error}", transient="SSLError" not in names)
    if row.error is ConnectionLostError and changes:
        return OutcomeUnknownError(f"{doing}: {error}; it may have been done")
    return row.error(f"{doing}: {str(error) or type(error).__name__}", transient=row.transient)


def _names_within(error: BaseException) -> set[str]:
    names: set[str] = set()
    pending: list[object] = [error]
    while pending and len(names) < 20:
        each = pending.pop()
        names.add(type(each).__name__)
        # msrest keeps the exception of requests, and that one urllib3's, as an attribute or an argument.
        inner = (getattr(each, "inner_exception", None), getattr(each, "reason", None), *_arguments(each))
        pending.extend(found for found in inner if isinstance(found, BaseException))
    return names


def _arguments(error: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", getattr(error, "args", ()))


def error_from_send(error: BaseException) -> C2dError:
    """Return the error to raise for a send that failed; the exception becomes its cause.

    azure-iot-hub answers every refusal with a bare ``Exception`` that has one text, and drops the hub's reason, so
    ``hub_code`` is None: no such device, a full queue, a message that is too large and the rest look alike.
    """
    if type(error) is Exception and str(error) == SEND_FAILED:
        refused = ServiceError("the hub did not take the message; azure-iot-hub does not say why")
        refused.__cause__ = error
        return refused
    return _uamqp_errors.error_from_uamqp(error, doing="azure-iot-hub cannot send")
