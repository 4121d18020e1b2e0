"""Receives on one link of uamqp, and settles without confirmation."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from c2dkit._errors import C2dError, MessageLockLostError, PeerProtocolError
from c2dkit._protocols.amqp import AmqpProtocolError
from c2dkit._rules.settlement import Settlement
from c2dkit.transports._mailbox import Mailbox
from c2dkit.transports._uamqp_link import Endpoint, UamqpLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit.transports._uamqp_client import UamqpClient
    from c2dkit.transports._uamqp_message import UamqpMessage

__all__ = ["UamqpInbox"]

ItemT = TypeVar("ItemT")
ReadT = TypeVar("ReadT")


class Receiver(Endpoint, Protocol):
    """What is used of a ``MessageReceiverAsync`` of uamqp."""

    def reset_link_credit(self, link_credit: int) -> None:
        """Give the hub exactly this credit."""
        ...


class UamqpInbox(UamqpLink, Generic[ItemT]):
    """Gives the hub credit for ``prefetch`` messages that nobody has taken yet, and hands them out in order."""

    def __init__(
        self, client: UamqpClient, source: str, *, read: Callable[[UamqpMessage], ItemT], prefetch: int
    ) -> None:
        # No prefetch of uamqp's own: it renews that as messages come, whether anybody takes them or not.
        self._receiver: Receiver = client.asynchronous.MessageReceiverAsync(
            client.session, client.uamqp.address.Source(source), uuid.uuid4().hex, self._on_message, prefetch=0
        )
        super().__init__(self._receiver)
        self._client = client
        self._read = read
        self._prefetch = prefetch
        self._taken = 0
        self._mailbox: Mailbox[ItemT] = Mailbox()

    @staticmethod
    async def attach(
        client: UamqpClient, source: str, *, read: Callable[[UamqpMessage], ReadT], prefetch: int
    ) -> UamqpInbox[ReadT]:
        """Attach the link and give the first credit; errors as ``DeviceTransport.open``."""
        inbox = UamqpInbox(client, source, read=read, prefetch=prefetch)
        await client.attach(inbox, address=source)
        return inbox

    def on_attached(self) -> None:
        """Give the first credit."""
        self._receiver.reset_link_credit(self._prefetch)

    async def receive(self) -> ItemT:
        """Return the next item; raises the link's error once the link is over.

        Cancellation: safe, no item is lost.
        """
        item = await self._mailbox.get()
        self._taken += 1
        # Half of the prefetch at a time, as the transport amqp.
        if self._taken * 2 >= self._prefetch and self.ending.error is None:
            self._taken = 0
            self._receiver.reset_link_credit(self._prefetch - len(self._mailbox))
            self._client.wake()
        return item

    def _on_message(self, message: UamqpMessage) -> None:
        # Called by uamqp, which would settle the message if this raised.
        try:
            self._mailbox.put(self._read(message))
        except (AmqpProtocolError, C2dError, ValueError) as error:
            broken = PeerProtocolError(f"the hub sent a message that cannot be read: {error}")
            broken.__cause__ = error
            self.lost(broken)
            self._client.detach(self)
        self._client.wake()

    def settle(self, message: object, settlement: Settlement) -> None:
        """Send an outcome, settled: uamqp has no way to wait for the hub's word.

        Raises:
            MessageLockLostError: The link has ended.
        """
        if self.ending.error is not None:
            raise _lock_lost() from self.ending.error
        received = cast("UamqpMessage", message)
        verbs = {
            Settlement.COMPLETE: received.accept,
            Settlement.ABANDON: received.release,
            Settlement.REJECT: received.reject,
        }
        try:
            verbs[settlement]()
        except RuntimeError as error:  # the hub's detach has come, and uamqp tells of it with the link's next work only
            raise _lock_lost() from error
        self._client.wake()

    def lost(self, error: C2dError) -> None:
        """Fail ``receive`` from now on."""
        super().lost(error)
        self._mailbox.close(error)

    def close(self, error: C2dError) -> None:
        """Detach, which gives back what is locked; everything fails with ``error`` from now on."""
        self.lost(error)
        self._client.detach(self)


def _lock_lost() -> MessageLockLostError:
    return MessageLockLostError(
        "the connection that held the message's lock has ended; the hub delivers the message again"
    )
