"""Cloud-to-device messages for Azure IoT Hub: send, receive, settle, and learn what became of them."""

from c2dkit._connection import Connection, ConnectionState, ConnectionStatus
from c2dkit._dead_letters import DeadLetter, DeadLetters, MemoryDeadLetters
from c2dkit._dead_letters_sqlite import SqliteDeadLetters
from c2dkit._errors import (
    AlreadySettledError,
    C2dError,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    ConnectionStringError,
    DeviceNotFoundError,
    DeviceQueueFullError,
    HubDataError,
    InvalidInputError,
    InvalidMessageError,
    JournalError,
    LinkError,
    MessageLockLostError,
    MessageTooLargeError,
    OutcomeOverdueError,
    OutcomeTimeoutError,
    OutcomeUnknownError,
    PayloadError,
    PeerProtocolError,
    QuotaExceededError,
    ServiceError,
    SettlementError,
    ThrottledError,
    TransportUnavailableError,
    UnauthorizedError,
    UnsupportedOperationError,
    UnsupportedSettlementError,
)
from c2dkit._feedback import FeedbackStream
from c2dkit._journal import Journal, MemoryJournal
from c2dkit._journal_sqlite import SqliteJournal
from c2dkit._message import ReceivedMessage
from c2dkit._models import Ack, FeedbackRecord, FeedbackStatus
from c2dkit._outcome_policy import OutcomePolicy, UnclaimedFeedback
from c2dkit._receipt import Receipt
from c2dkit._receiver import DeviceReceiver
from c2dkit._retry import RetryPolicy
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._rules.entra import AsyncTokenCredential, EntraCredential
from c2dkit._rules.on_error import OnError
from c2dkit._rules.settlement import Settlement
from c2dkit._sender import CloudSender

__all__ = [
    "Ack",
    "AlreadySettledError",
    "AsyncTokenCredential",
    "C2dError",
    "ClosedError",
    "CloudSender",
    "ConnectError",
    "Connection",
    "ConnectionLostError",
    "ConnectionState",
    "ConnectionStatus",
    "ConnectionStringError",
    "DeadLetter",
    "DeadLetters",
    "DeviceCredential",
    "DeviceNotFoundError",
    "DeviceQueueFullError",
    "DeviceReceiver",
    "EntraCredential",
    "FeedbackRecord",
    "FeedbackStatus",
    "FeedbackStream",
    "HubDataError",
    "InvalidInputError",
    "InvalidMessageError",
    "Journal",
    "JournalError",
    "LinkError",
    "MemoryDeadLetters",
    "MemoryJournal",
    "MessageLockLostError",
    "MessageTooLargeError",
    "OnError",
    "OutcomeOverdueError",
    "OutcomePolicy",
    "OutcomeTimeoutError",
    "OutcomeUnknownError",
    "PayloadError",
    "PeerProtocolError",
    "QuotaExceededError",
    "Receipt",
    "ReceivedMessage",
    "RetryPolicy",
    "ServiceCredential",
    "ServiceError",
    "Settlement",
    "SettlementError",
    "SqliteDeadLetters",
    "SqliteJournal",
    "ThrottledError",
    "TransportUnavailableError",
    "UnauthorizedError",
    "UnclaimedFeedback",
    "UnsupportedOperationError",
    "UnsupportedSettlementError",
]
