"""What an engine tells its user. Each event carries the connection, session or link that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ._connection import Connection
    from ._errors import AmqpError
    from ._performatives import DeliveryState
    from ._receiver import ReceiverLink
    from ._sender import SenderLink
    from ._session import Session

__all__ = [
    "Closed",
    "DeliveryUpdated",
    "Event",
    "LinkAttached",
    "LinkDetached",
    "LinkFlowed",
    "LinkRequested",
    "Opened",
    "SaslFailed",
    "SaslInitReceived",
    "SessionBegun",
    "SessionEnded",
    "TransferReceived",
]


class SaslInitReceived(NamedTuple):
    """A client wants in; answer with ``connection.sasl_outcome``."""

    connection: Connection
    mechanism: str
    initial_response: bytes | None

    def __repr__(self) -> str:
        """Leave the credentials out."""
        return f"SaslInitReceived(mechanism={self.mechanism!r})"


class SaslFailed(NamedTuple):
    """The server did not let us in; the connection is closed. Codes: AMQP 1.0 part 5, 5.3.3.6."""

    connection: Connection
    code: int


class Opened(NamedTuple):
    """The peer's OPEN came; it is ``connection.remote_open``. A server answers with ``open()`` or ``close(error)``."""

    connection: Connection


class Closed(NamedTuple):
    """The peer's CLOSE came; nothing more will."""

    connection: Connection
    error: AmqpError | None


class SessionBegun(NamedTuple):
    """The peer answered our BEGIN, or began a session by itself, which the engine has answered."""

    session: Session


class SessionEnded(NamedTuple):
    """The peer ended the session, or confirmed that we did. Events of its links come before."""

    session: Session
    error: AmqpError | None


class LinkAttached(NamedTuple):
    """The peer answered our attach and the link is of use."""

    link: SenderLink | ReceiverLink


class LinkRequested(NamedTuple):
    """The peer attached a link; answer with ``link.accept`` or ``link.refuse``."""

    link: SenderLink | ReceiverLink


class LinkDetached(NamedTuple):
    """The link is gone: detached by the peer, by the engine because of the peer, or the peer confirmed our detach.

    ``error`` is the cause, if there is one; ``closed`` False means that the peer may want to attach it again.
    """

    link: SenderLink | ReceiverLink
    error: AmqpError | None
    closed: bool


class LinkFlowed(NamedTuple):
    """The peer changed a sender's credit or drain, or used up what a receiver wanted drained."""

    link: SenderLink | ReceiverLink


class TransferReceived(NamedTuple):
    """A whole message came; ``settled`` means that there is nothing to settle."""

    link: ReceiverLink
    delivery_id: int
    tag: bytes
    payload: bytes
    settled: bool

    def __repr__(self) -> str:
        """Leave the payload out: it can be a token."""
        return f"TransferReceived({self.link!r}, {self.delivery_id}, {len(self.payload)} bytes, settled={self.settled})"


class DeliveryUpdated(NamedTuple):
    """The peer told the outcome of a delivery, or that it has settled it; at most once each."""

    link: SenderLink | ReceiverLink
    delivery_id: int
    state: DeliveryState | None
    settled: bool


Event: TypeAlias = (
    SaslInitReceived
    | SaslFailed
    | Opened
    | Closed
    | SessionBegun
    | SessionEnded
    | LinkAttached
    | LinkRequested
    | LinkDetached
    | LinkFlowed
    | TransferReceived
    | DeliveryUpdated
)
