"""Every error that c2dkit raises, split by what the caller does next.

C2dError
├── InvalidInputError (also ValueError)   your mistake; no byte was sent
│   ├── ConnectionStringError
│   ├── InvalidMessageError               carries field, limit and actual value
│   ├── TransportUnavailableError         unknown name, or its extra is not installed
│   └── UnsupportedOperationError         this transport cannot do it; carries what it can
├── PayloadError (also ValueError)        the body is not what payload_type says; carries the body
├── SettlementError
│   ├── UnsupportedSettlementError        this wire cannot say it; no byte was sent
│   ├── AlreadySettledError               carries the first settlement
│   └── MessageLockLostError              the message will be, or was, delivered again
├── HubDataError                          the folder of a local hub cannot be used; carries path
├── OutcomeUnknownError                   cut off after bytes had left: it may have happened
├── OutcomeTimeoutError (also TimeoutError)   no feedback yet; carries the receipt, to ask again
├── OutcomeOverdueError                   feedback should have come and has not; carries the receipt
├── LinkError                             the link, not the request
│   ├── ConnectError                      no connection was made; nothing was sent
│   ├── ConnectionLostError
│   ├── PeerProtocolError                 the peer broke the protocol
│   └── ClosedError                       the receiver, sender or stream is closed, or was not opened
├── JournalError                          a journal's file cannot be read or written; carries the path
└── ServiceError                          IoT Hub said no
    ├── UnauthorizedError                 401xxx
    ├── QuotaExceededError                403002
    ├── DeviceQueueFullError              403004 DeviceMaximumQueueDepthExceeded; carries the depth
    ├── DeviceNotFoundError               404001; a disabled device gives it too
    ├── MessageTooLargeError              413001
    └── ThrottledError                    429xxx

Numbers are data on the error, never only text: ``hub_code``, ``transient``, ``retry_after``, ``tracking_id``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from c2dkit._receipt import Receipt
    from c2dkit._rules.settlement import Settlement
    from c2dkit.transports._ports import ServiceOperation

__all__ = [
    "AlreadySettledError",
    "C2dError",
    "ClosedError",
    "ConnectError",
    "ConnectionLostError",
    "ConnectionStringError",
    "DeviceNotFoundError",
    "DeviceQueueFullError",
    "HubDataError",
    "InvalidInputError",
    "InvalidMessageError",
    "JournalError",
    "LinkError",
    "MessageLockLostError",
    "MessageTooLargeError",
    "OutcomeOverdueError",
    "OutcomeTimeoutError",
    "OutcomeUnknownError",
    "PayloadError",
    "PeerProtocolError",
    "QuotaExceededError",
    "ServiceError",
    "SettlementError",
    "ThrottledError",
    "TransportUnavailableError",
    "UnauthorizedError",
    "UnsupportedOperationError",
    "UnsupportedSettlementError",
]

DEFAULT_QUEUE_DEPTH: Final = 50
"""Messages that IoT Hub queues for one device. IoT Hub developer guide, "Send cloud-to-device messages"."""

DEPTH_IN_TEXT: Final = re.compile(r"queue limit of (\d{1,6})")
"""How the hub's text for a full queue names its limit (seen in an issue of the .NET SDK)."""


class C2dError(Exception):
    """Base of every error of c2dkit.

    Attributes:
        hub_code: IoT Hub's six-digit error code (for example 404001), or None where the hub gave none.
        transient: True where the same call may succeed later without a change.
        retry_after: How long the hub asks to wait before the next try, or None where it did not say.
        tracking_id: The hub's id of the failed request, for Azure support, or None.
    """

    default_transient: ClassVar[bool] = False
    default_hub_code: ClassVar[int | None] = None

    def __init__(
        self,
        message: str,
        *,
        hub_code: int | None = None,
        transient: bool | None = None,
        retry_after: timedelta | None = None,
        tracking_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.hub_code: int | None = self.default_hub_code if hub_code is None else hub_code
        self.transient: bool = self.default_transient if transient is None else transient
        self.retry_after = retry_after
        self.tracking_id = tracking_id


class InvalidInputError(C2dError, ValueError):
    """An argument was refused before any byte was sent."""


class ConnectionStringError(InvalidInputError):
    """A connection string cannot be used; the text names the key, never a secret."""


class InvalidMessageError(InvalidInputError):
    """A message breaks a documented limit.

    Attributes:
        field: The argument at fault, for example ``"message_id"``.
        limit: What is allowed.
        actual: What was given.
    """

    def __init__(self, message: str, *, field: str, limit: object, actual: object) -> None:
        super().__init__(message)
        self.field = field
        self.limit = limit
        self.actual = actual


class TransportUnavailableError(InvalidInputError):
    """No such transport, or the extra that it needs is not installed."""


class UnsupportedOperationError(InvalidInputError):
    """This transport has no way to do it; nothing was connected and nothing sent.

    Attributes:
        operation: What was asked for.
        transport: The transport's name.
        supported: What this transport can do.
    """

    def __init__(self, operation: ServiceOperation, *, transport: str, supported: frozenset[ServiceOperation]) -> None:
        can = ", ".join(sorted(s.value for s in supported)) or "nothing"
        super().__init__(
            f"{transport} cannot do {operation.value}; it can do {can}. "
            "Choose a transport whose `operations` has it, for example amqp."
        )
        self.operation = operation
        self.transport = transport
        self.supported = supported


class PayloadError(C2dError, ValueError):
    """The body does not parse as what ``payload_type`` asks for; the message can still be settled.

    Attributes:
        body: The raw bytes.
        content_type: The message's content type, or None.
        content_encoding: The message's content encoding, or None.
    """

    def __init__(
        self, message: str, *, body: bytes, content_type: str | None = None, content_encoding: str | None = None
    ) -> None:
        super().__init__(message)
        self.body = body
        self.content_type = content_type
        self.content_encoding = content_encoding


class SettlementError(C2dError):
    """A message could not be settled as asked."""


class UnsupportedSettlementError(SettlementError):
    """This transport has no way to say it on the wire; nothing was sent and the message is still held.

    Attributes:
        settlement: What was asked for.
        transport: The transport's name.
        supported: What this transport can say.
    """

    def __init__(self, settlement: Settlement, *, transport: str, supported: frozenset[Settlement]) -> None:
        can = ", ".join(sorted(s.value for s in supported)) or "nothing"
        super().__init__(
            f"{transport} cannot {settlement.value} a message; it can {can}. "
            "Choose a transport whose `settlements` has it, for example amqp."
        )
        self.settlement = settlement
        self.transport = transport
        self.supported = supported


class AlreadySettledError(SettlementError):
    """The message has been settled before.

    Attributes:
        first: The settlement that counts.
    """

    def __init__(self, first: Settlement) -> None:
        super().__init__(f"the message is already settled: {first.value} came first and stands")
        self.first = first


class MessageLockLostError(SettlementError):
    """The lock on the message is gone, so it cannot be settled; it is, or will be, delivered again."""

    default_hub_code: ClassVar[int | None] = 412002


class HubDataError(C2dError):
    """A local hub cannot read or write the folder that it keeps its data in; the text says what to do.

    Attributes:
        path: The folder.
    """

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class OutcomeUnknownError(C2dError):
    """The connection ended after bytes had left: the hub may or may not have done what was asked."""

    default_transient: ClassVar[bool] = True


class OutcomeTimeoutError(C2dError, TimeoutError):
    """The time that the caller gave is over, and the hub has not said yet what became of the message.

    Attributes:
        receipt: The message's receipt; its ``outcome`` may be asked for again.
    """

    default_transient: ClassVar[bool] = True

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(
            f"no outcome yet of message {receipt.message_id!r} to {receipt.device_id}; ask its receipt again"
        )
        self.receipt = receipt


class OutcomeOverdueError(C2dError):
    """A message has expired, and the record that says what became of it should have come and has not.

    With ``ack`` full, the record was lost: another reader of the feedback has taken it, the hub has dropped it because
    nobody read it in time, or the device was deleted. With positive or negative the silence means, most likely, the
    end that was not asked about. While there was no connection for feedback, ``__cause__`` is why.

    Attributes:
        receipt: The message's receipt.
    """

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(
            f"the hub should have said by now what became of message {receipt.message_id!r} to {receipt.device_id} "
            f"(ack={receipt.ack.value}): expect any outcome that it was to tell, and see who else reads the feedback"
        )
        self.receipt = receipt


class LinkError(C2dError):
    """The link failed, not the request."""

    default_transient: ClassVar[bool] = True


class ConnectError(LinkError):
    """No connection was made, so nothing was sent."""


class ConnectionLostError(LinkError):
    """An open connection ended."""


class PeerProtocolError(LinkError):
    """The peer broke the protocol, so the connection was closed."""

    default_transient: ClassVar[bool] = False


class ClosedError(LinkError):
    """The receiver, sender or stream is closed, or was never opened with ``async with``."""

    default_transient: ClassVar[bool] = False


class JournalError(C2dError):
    """The file of a journal or of dead letters cannot be read or written.

    Attributes:
        path: The file.
    """

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class ServiceError(C2dError):
    """IoT Hub refused the request; ``hub_code`` says why."""


class UnauthorizedError(ServiceError):
    """The hub refused the credential, or the credential lacks the right.

    Attributes:
        clock_skew: How far this machine's clock is ahead of the hub's, negative if it is behind, where that is more
            than IoT Hub bears (five minutes). None where it is less, or where the wire does not tell the hub's time:
            only HTTPS does.
    """

    default_hub_code: ClassVar[int | None] = 401003
    clock_skew: timedelta | None = None


class QuotaExceededError(ServiceError):
    """The hub's daily message quota is used up until the next day (UTC)."""

    default_hub_code: ClassVar[int | None] = 403002


class DeviceQueueFullError(ServiceError):
    """The device's queue holds as many messages as IoT Hub keeps; it empties as the device settles them."""

    default_hub_code: ClassVar[int | None] = 403004

    @property
    def depth(self) -> int:
        """How many messages the queue holds: the number that the hub's text names, or else IoT Hub's limit, 50."""
        named = DEPTH_IN_TEXT.search(str(self))
        return DEFAULT_QUEUE_DEPTH if named is None else int(named[1])


class DeviceNotFoundError(ServiceError):
    """The hub has no such device, or the device is disabled."""

    default_hub_code: ClassVar[int | None] = 404001


class MessageTooLargeError(ServiceError):
    """The hub finds the message too large."""

    default_hub_code: ClassVar[int | None] = 413001


class ThrottledError(ServiceError):
    """The hub asks for fewer requests."""

    default_hub_code: ClassVar[int | None] = 429001
    default_transient: ClassVar[bool] = True
