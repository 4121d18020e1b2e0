"""The two ports: what a transport must do for a device, and what for a back end.

A transport is configuration: making one opens nothing. ``open`` makes a link, which is one connection's worth of
state; when the link has failed it stays failed, and a new one is opened in its place. So whatever was received on a
link belongs to it, and a lock cannot outlive the link that it was taken on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from c2dkit._models import FeedbackRecord, Message
    from c2dkit._rules.settlement import Settlement
    from c2dkit.transports._ending import Ending

__all__ = [
    "Delivery",
    "DeviceLink",
    "DeviceTransport",
    "FeedbackBatch",
    "FeedbackLink",
    "SenderLink",
    "ServiceOperation",
    "ServiceTransport",
]


@dataclass(slots=True)
class Delivery:
    """One message handed over under one lock.

    Attributes:
        message: The message.
        lock_token: The hub's name for the lock, or None on a wire whose locks last as long as the connection (MQTT).
        tag: Whatever the link needs to settle it; nobody else looks into it.
        received_at: When it reached this process, in seconds of ``time.monotonic``; by default now.
    """

    message: Message
    lock_token: str | None
    tag: object
    received_at: float = field(default_factory=time.monotonic)


class FeedbackBatch(NamedTuple):
    """The records of one feedback message, which the hub locks and settles as one.

    Attributes:
        records: The records, in the hub's order.
        lock_token: The hub's name for the lock on the batch.
        tag: Whatever the link needs to settle it; nobody else looks into it.
    """

    records: Sequence[FeedbackRecord]
    lock_token: str
    tag: object


class DeviceLink(Protocol):
    """One open connection of one device to its cloud-to-device queue.

    Guarantees: messages come in the order in which the hub gives them, and each is handed over once per lock.
    """

    @property
    def ending(self) -> Ending:
        """The end of this link, to be looked at and waited for: a loss of the connection, or ``close``."""
        ...

    async def receive(self) -> Delivery:
        """Return the next message, waiting for it as long as it takes.

        Cancellation: safe, no message is lost.

        Raises:
            C2dError: The link has ended, or ends while waiting. What had arrived and was not handed over is dropped:
                it can no longer be settled, and the hub delivers it again. A link that polls has not ended with a poll
                that failed: ``receive`` may be called again. See ``Ending``.
            ClosedError: ``close`` was called.
        """
        ...

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        """Tell the hub what became of a message and wait for as much confirmation as the wire has.

        Only called with a settlement in the transport's ``settlements``, and not again for a delivery that is settled,
        or may be.

        Cancellation: the hub may or may not have been told.

        Raises:
            MessageLockLostError: The hub no longer holds the lock, or the link had ended before the call.
            OutcomeUnknownError: The link ended between sending and confirmation.
            C2dError: Another one: nothing has changed at the hub, and the delivery may be settled as before.
        """
        ...

    async def close(self) -> None:
        """Send what is pending, give back what is held, close the connection. Idempotent; raises nothing.

        Cancellation: the connection is still closed.
        """
        ...


class DeviceTransport(Protocol):
    """Connects one device. Everything on it can be read before connecting."""

    @property
    def name(self) -> str:
        """What users call this transport, for example ``amqp``."""
        ...

    @property
    def settlements(self) -> frozenset[Settlement]:
        """What this wire can say of a message; others never reach a link."""
        ...

    async def open(self, *, prefetch: int) -> DeviceLink:
        """Connect, authenticate and start receiving.

        A transport that polls has no connection to make: its first ``receive`` raises what is said below.

        Args:
            prefetch: How many messages may wait in memory for the application, at least 1. A wire without credit may
                let as many wait as a device's queue holds.

        Cancellation: safe, nothing stays open.

        Raises:
            ConnectError: No connection could be made.
            UnauthorizedError: The hub refused the credential.
            C2dError: Whatever else the hub answered.
        """
        ...


class SenderLink(Protocol):
    """An open way to send cloud-to-device messages to every device of a hub."""

    @property
    def ending(self) -> Ending:
        """The end of this link, to be looked at and waited for: a loss of the connection, or ``close``."""
        ...

    async def send(self, message: Message) -> None:
        """Send one message and wait until the hub has queued it.

        ``message.to`` is set. Sends from several tasks are pipelined in the order of the calls.

        Cancellation: the message may or may not have been queued.

        Raises:
            ServiceError: The hub refused it.
            OutcomeUnknownError: The link ended after bytes had left.
            LinkError: The link had ended before.
        """
        ...

    async def close(self) -> None:
        """Close this link; the connection closes with its last link. Idempotent; raises nothing.

        Cancellation: as ``DeviceLink.close``.
        """
        ...


class FeedbackLink(Protocol):
    """An open receiver of a hub's delivery feedback. Several receivers share one queue."""

    @property
    def ending(self) -> Ending:
        """The end of this link, to be looked at and waited for: a loss of the connection, or ``close``."""
        ...

    async def receive(self) -> FeedbackBatch:
        """Return the next batch, waiting for it as long as it takes.

        Cancellation: safe, no batch is lost.

        Raises:
            C2dError: The link has ended, or ends while waiting; or a poll failed, see ``DeviceLink.receive``.
        """
        ...

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        """Complete or abandon a batch; cancellation and errors as ``DeviceLink.settle``."""
        ...

    async def close(self) -> None:
        """Give back what is held and close this link; the connection closes with its last link.

        Idempotent; raises nothing.

        Cancellation: as ``DeviceLink.close``.
        """
        ...


class ServiceOperation(StrEnum):
    """What a back end can do through a transport."""

    SEND = "send"
    """Send messages."""
    FEEDBACK = "feedback"
    """Receive delivery feedback."""
    PURGE = "purge"
    """Remove every message from a device's queue."""
    QUEUE_DEPTH = "queue-depth"
    """Learn how many messages wait for a device."""


class ServiceTransport(Protocol):
    """Connects a back end. Links of one transport object share its connection where the wire allows it.

    A method whose operation is not among ``operations`` is never called.
    """

    @property
    def name(self) -> str:
        """What users call this transport, for example ``amqp``."""
        ...

    @property
    def operations(self) -> frozenset[ServiceOperation]:
        """What this transport can do; it can be read before connecting."""
        ...

    @property
    def credential(self) -> object:
        """Which hub this is for and who signs in, for example a ``ServiceCredential``.

        Feedback is read once for all transports of a process whose credentials are equal.
        """
        ...

    async def open_sender(self) -> SenderLink:
        """Connect, authenticate and get ready to send; cancellation and errors as ``DeviceTransport.open``."""
        ...

    async def open_feedback(self) -> FeedbackLink:
        """Connect, authenticate and start receiving feedback; cancellation and errors as ``DeviceTransport.open``."""
        ...

    async def purge(self, device_id: str) -> int:
        """Remove every message from a device's queue; return how many there were.

        Cancellation: the messages may or may not have been removed.

        Raises:
            ServiceError: The hub refused it.
            OutcomeUnknownError: The connection ended after bytes had left.
            LinkError: No connection could be made.
        """
        ...

    async def queue_depth(self, device_id: str) -> int:
        """Return how many messages wait for a device.

        Cancellation: safe.

        Raises:
            ServiceError: The hub refused it.
            LinkError: No connection could be made, or it ended.
        """
        ...
