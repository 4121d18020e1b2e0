"""The tables of foreign exceptions, without the libraries; tests/interop walks the libraries' own classes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit import (
    C2dError,
    ConnectError,
    ConnectionLostError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    MessageLockLostError,
    OutcomeUnknownError,
    PeerProtocolError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
)
from c2dkit.transports._azure_iot_device_errors import error_from_client
from c2dkit.transports._azure_iot_hub_errors import error_from_rest, error_from_send
from c2dkit.transports._uamqp_errors import error_from_condition, error_from_uamqp

if TYPE_CHECKING:
    from collections.abc import Mapping


def exception(name: str, *bases: type[BaseException], **attributes: object) -> Exception:
    made: Exception = type(name, bases or (Exception,), {})("why")
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


class Answer:
    def __init__(self, status_code: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status_code = status_code
        self.headers = headers
        self.content = content


@pytest.mark.parametrize(
    ("name", "kind", "transient"),
    [
        ("CredentialError", UnauthorizedError, False),
        ("UnauthorizedError", UnauthorizedError, False),
        ("ConnectionFailedError", ConnectError, True),
        ("ConnectionDroppedError", ConnectionLostError, True),
        ("OperationTimeout", ConnectError, True),
        ("ProtocolProxyError", ConnectError, False),
        ("SomethingNew", ServiceError, False),
    ],
)
def test_azure_iot_device(name: str, kind: type[C2dError], transient: bool) -> None:
    cause = exception(name)
    error = error_from_client(cause, doing="connecting")
    assert (type(error), error.transient, str(error)) == (kind, transient, "connecting: why")
    assert error.__cause__ is cause


@pytest.mark.parametrize(
    ("condition", "kind", "hub_code"),
    [
        (b"amqp:not-found", DeviceNotFoundError, 404001),
        (b"amqp:resource-limit-exceeded", DeviceQueueFullError, 403004),
        (b"com.microsoft:message-lock-lost", MessageLockLostError, 412002),
        (b"com.microsoft:device-container-throttled", ThrottledError, 429001),
        (b"amqp:link:stolen", ConnectionLostError, 409002),
        (b"x:unheard-of", ServiceError, None),
    ],
)
def test_a_condition_that_uamqp_carries(condition: bytes, kind: type[C2dError], hub_code: int | None) -> None:
    error = error_from_uamqp(exception("LinkDetach", condition=condition, description=b"text"), doing="ended")
    assert (type(error), error.hub_code) == (kind, hub_code)
    assert str(error) == f"ended: text ({condition.decode()})"


@pytest.mark.parametrize("condition", [None, b"amqp:unknown-error", b"amqp:client-error"])
def test_a_condition_that_uamqp_has_made_up(condition: bytes | None) -> None:
    assert error_from_condition(condition, None, None, "ended") is None
    error = error_from_uamqp(exception("VendorLinkDetach", condition=condition), doing="ended")
    assert type(error) is ServiceError  # no base class in the table
    detached = exception("VendorLinkDetach", type(exception("LinkDetach")), condition=condition)
    assert type(error_from_uamqp(detached, doing="ended")) is ConnectionLostError


def test_the_tracking_id_in_the_map_of_an_error() -> None:
    error = error_from_condition(b"amqp:not-found", b"text", {b"com.microsoft:tracking-id": b"abc"}, "ended")
    assert error is not None
    assert error.tracking_id == "abc"


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (404, UnauthorizedError), (503, ServiceError)])
def test_a_refused_token(status: int, kind: type[C2dError]) -> None:
    base = type(exception("AuthenticationException"))
    error = error_from_uamqp(
        exception("TokenAuthFailure", base, status_code=status, description=b"freed memory"), doing="ended"
    )
    assert (type(error), error.transient) == (kind, status == 503)
    assert "memory" not in str(error)


def test_an_error_of_c2dkit_that_came_through_uamqp() -> None:
    error = ConnectError("why")
    assert error_from_uamqp(error, doing="ended") is error
    assert error_from_rest(error, doing="asked", changes=True) is error


def test_an_answer_of_the_rest_endpoints() -> None:
    answer = Answer(429, {"iothub-errorcode": "ThrottlingException", "Retry-After": "7"}, b"")
    error = error_from_rest(exception("HttpOperationError", response=answer), doing="asked", changes=True)
    assert (type(error), error.hub_code, error.retry_after) == (ThrottledError, 429001, timedelta(seconds=7))


@pytest.mark.parametrize(
    ("inner", "changes", "kind"),
    [
        ("NewConnectionError", True, ConnectError),
        ("SSLError", False, ConnectError),
        ("ReadTimeout", True, OutcomeUnknownError),
        ("ReadTimeout", False, ConnectionLostError),
    ],
)
def test_a_request_without_an_answer(inner: str, changes: bool, kind: type[C2dError]) -> None:
    requests_error = exception("ConnectionError")
    requests_error.args = (exception("MaxRetryError", reason=exception(inner)),)
    error = error_from_rest(
        exception("ClientRequestError", inner_exception=requests_error), doing="asked", changes=changes
    )
    assert type(error) is kind


def test_an_answer_that_msrest_cannot_read() -> None:
    assert type(error_from_rest(exception("DeserializationError"), doing="asked", changes=False)) is PeerProtocolError


def test_a_send_that_azure_iot_hub_does_not_explain() -> None:
    error = error_from_send(Exception("C2D message send failure"))
    assert (type(error), error.hub_code, error.transient) == (ServiceError, None, False)
    assert "does not say why" in str(error)
    assert type(error_from_send(TimeoutError("Authorization timeout."))) is ConnectError
