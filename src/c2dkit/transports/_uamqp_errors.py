"""What the exceptions of uamqp become: a table, and the hub's own conditions where they carry one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from c2dkit._errors import (
    C2dError,
    ConnectError,
    ConnectionLostError,
    MessageTooLargeError,
    ServiceError,
    UnauthorizedError,
)
from c2dkit._protocols.amqp import AmqpError, Symbol
from c2dkit._wire import amqp_errors
from c2dkit.transports._foreign import ForeignError, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ERRORS", "error_from_condition", "error_from_uamqp"]

ERRORS: Final[Mapping[str, ForeignError]] = {
    "AuthenticationException": ForeignError(UnauthorizedError, transient=False),
    "ConnectionClose": ForeignError(ConnectionLostError, transient=True),
    "LinkDetach": ForeignError(ConnectionLostError, transient=True),
    "AMQPConnectionError": ForeignError(ConnectError, transient=True),
    "ClientTimeout": ForeignError(ConnectError, transient=True),
    "TimeoutError": ForeignError(ConnectError, transient=True),  # the hub did not answer a token
    "MessageContentTooLarge": ForeignError(MessageTooLargeError, transient=False),
    "MessageResponse": ForeignError(ServiceError, transient=False),
    "AMQPError": ForeignError(ConnectionLostError, transient=True),
}
"""By the name of an exception's class, or of its nearest base class that is listed."""

NO_REASON: Final = frozenset({"amqp:unknown-error", "amqp:client-error", "amqp:vendor-error"})
"""Conditions that uamqp makes up where the peer gave none."""


def error_from_uamqp(error: BaseException, *, doing: str) -> C2dError:
    """Return the error to raise for an exception of uamqp, which becomes its cause.

    Args:
        error: What uamqp raised; an error of c2dkit that came through it is returned as it is.
        doing: What failed, to begin the text with.
    """
    if isinstance(error, C2dError):
        return error
    condition = getattr(error, "condition", None)
    mapped = (
        _from_authentication(error, doing)
        or error_from_condition(condition, getattr(error, "description", None), getattr(error, "info", None), doing)
        or _from_table(error, doing)
    )
    mapped.__cause__ = error
    return mapped


def _from_table(error: BaseException, doing: str) -> C2dError:
    row = row_of(error, ERRORS)
    return row.error(f"{doing}: {str(error) or type(error).__name__}", transient=row.transient)


def _from_authentication(error: BaseException, doing: str) -> C2dError | None:
    """Return the error for a token that was refused; without uamqp's text, which it reads from memory freed before."""
    if row_of(error, ERRORS).error is not UnauthorizedError:
        return None
    status: object = getattr(error, "status_code", 401)
    if isinstance(status, int) and status >= 500:
        return ServiceError(f"{doing}: the hub cannot check the token (status {status})", transient=True)
    return UnauthorizedError(f"{doing}: the hub refused the token, or it has expired")


def error_from_condition(condition: object, description: object, info: object, doing: str) -> C2dError | None:
    """Return the error for a condition that the hub gave, or None where it gave none.

    Args:
        condition: An ``ErrorCodes`` of uamqp, or bytes.
        description: Bytes, text or None.
        info: A map whose keys and texts are bytes, or None.
        doing: What failed, to begin the text with.
    """
    name = _text(getattr(condition, "value", condition))
    if name is None or name in NO_REASON:
        return None
    return amqp_errors.error_from_amqp(AmqpError(name, _text(description), _info(info)), doing=doing)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _info(info: object) -> dict[str, object] | None:
    if not isinstance(info, dict):
        return None
    items = cast("dict[object, object]", info).items()
    return {Symbol(_text(key) or ""): value if _text(value) is None else _text(value) for key, value in items}
