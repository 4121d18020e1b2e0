"""What the exceptions of azure-iot-device become, as one table.

Most names stand for two classes: that of ``azure.iot.device.exceptions``, and that of the library's inner layer, which
its synchronous client lets out where a subscription fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._errors import C2dError, ConnectError, ConnectionLostError, ServiceError, UnauthorizedError
from c2dkit.transports._foreign import ForeignError, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ERRORS", "error_from_client"]

# Transient is what that client itself tries again (its list of transient errors of a connection).
ERRORS: Final[Mapping[str, ForeignError]] = {
    "CredentialError": ForeignError(UnauthorizedError, transient=False),
    "UnauthorizedError": ForeignError(UnauthorizedError, transient=False),
    "ConnectionFailedError": ForeignError(ConnectError, transient=True),
    "ConnectionDroppedError": ForeignError(ConnectionLostError, transient=True),
    "NoConnectionError": ForeignError(ConnectError, transient=True),
    "OperationTimeout": ForeignError(ConnectError, transient=True),
    "OperationCancelled": ForeignError(ConnectError, transient=True),
    "OperationError": ForeignError(ConnectError, transient=True),
    "TlsExchangeAuthError": ForeignError(ConnectError, transient=True),
    "ProtocolProxyError": ForeignError(ConnectError, transient=False),
    "ProtocolClientError": ForeignError(ConnectError, transient=False),
    "PipelineException": ForeignError(ConnectError, transient=False),
    "ClientError": ForeignError(ConnectError, transient=False),
    "ServiceError": ForeignError(ServiceError, transient=False),
}
"""By the name of an exception's class, or of its nearest base class that is listed."""


def error_from_client(error: BaseException, *, doing: str) -> C2dError:
    """Return the error to raise for an exception of that client, which becomes its cause.

    Args:
        error: What was raised, or what the client reports from its background.
        doing: What failed, to begin the text with.
    """
    row = row_of(error, ERRORS)
    reason = str(error) or type(error).__name__
    mapped = row.error(f"{doing}: {reason}", transient=row.transient)
    mapped.__cause__ = error
    return mapped
