"""Receives on one AMQP link, and settles with the peer's confirmation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from c2dkit._errors import C2dError, MessageLockLostError, OutcomeUnknownError, PeerProtocolError
from c2dkit._protocols import amqp
from c2dkit._wire import amqp_errors
from c2dkit._wire.amqp import OUTCOME_OF
from c2dkit.transports._amqp_handler import LinkHandler
from c2dkit.transports._mailbox import Mailbox
from c2dkit.transports._waiting import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit._rules.settlement import Settlement
    from c2dkit.transports._amqp_client import AmqpClient

__all__ = ["Inbox"]

ItemT = TypeVar("ItemT")
ReadT = TypeVar("ReadT")


class Inbox(LinkHandler, Generic[ItemT]):
    """Gives the peer credit for ``prefetch`` deliveries that nobody has taken yet, and hands them out in order."""

    def __init__(
        self, client: AmqpClient, source: str, *, read: Callable[[amqp.TransferReceived], ItemT], prefetch: int
    ) -> None:
        super().__init__()
        self.closed = False
        self._client = client
        self._read = read
        self._prefetch = prefetch
        self._taken = 0
        self._mailbox: Mailbox[ItemT] = Mailbox()
        self._settling: dict[int, asyncio.Future[object]] = {}
        self._link = client.attach_receiver(self, source=source)

    @staticmethod
    async def attach(
        client: AmqpClient, source: str, *, read: Callable[[amqp.TransferReceived], ReadT], prefetch: int
    ) -> Inbox[ReadT]:
        """Attach the link and give the first credit; errors as ``DeviceTransport.open``."""
        inbox = Inbox(client, source, read=read, prefetch=prefetch)
        await client.attached(inbox._link, inbox)
        inbox._link.flow(prefetch)
        client.wake()
        return inbox

    async def receive(self) -> ItemT:
        """Return the next item; raises the link's error once the link is over.

        Cancellation: safe, no item is lost.
        """
        item = await self._mailbox.get()
        self._taken += 1
        # Half of the prefetch at a time: one flow frame for many messages, and the peer never runs dry.
        if self._taken * 2 >= self._prefetch:
            self._taken = 0
            self._link.flow(self._prefetch - len(self._mailbox))
            self._client.wake()
        return item

    def on_transfer(self, event: amqp.TransferReceived) -> None:
        """Read a delivery and put it where ``receive`` finds it."""
        try:
            self._mailbox.put(self._read(event))
        except (amqp.AmqpProtocolError, C2dError) as error:
            broken = PeerProtocolError(f"the hub sent a message that cannot be read: {error}")
            broken.__cause__ = error
            self.close(broken)

    async def settle(self, delivery_id: int, settlement: Settlement) -> None:
        """Send an outcome and wait for the hub's confirmation.

        Cancellation: the hub may or may not have been told.

        Raises:
            MessageLockLostError: The lock is gone, by the hub's word or with the link, or the hub has refused.
            OutcomeUnknownError: The link ended before the hub confirmed.
        """
        if self.ending.error is not None:
            raise MessageLockLostError(
                "the connection that held the message's lock has ended; the hub delivers the message again"
            ) from self.ending.error
        outcome = OUTCOME_OF[settlement]
        confirmed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._settling[delivery_id] = confirmed
        self._link.settle(delivery_id, outcome, settled=False)
        self._client.wake()
        state = await self._client.outcome(confirmed, doing="a settlement")
        # The hub repeats the outcome, or answers with rejected and an error where it refuses (seen in the .NET SDK).
        if isinstance(state, amqp.Rejected) and state.error is not None:
            refusal = amqp_errors.error_from_amqp(state.error, doing=f"the hub did not {settlement.value} the message")
            if isinstance(refusal, MessageLockLostError):
                raise refusal
            # The delivery is settled for the session (part 3, 3.4), so whatever the reason, nothing more can be said.
            raise MessageLockLostError(str(refusal)) from refusal

    def on_update(self, event: amqp.DeliveryUpdated) -> None:
        """Hand the hub's confirmation to the task that settles."""
        if not event.settled:
            return
        confirmed = self._settling.pop(event.delivery_id, None)
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(event.state)

    def lost(self, error: C2dError) -> None:
        """Fail ``receive`` with the error, and each settlement under way with an unknown outcome."""
        super().lost(error)
        self._mailbox.close(error)
        for confirmed in self._settling.values():
            unknown = OutcomeUnknownError("the link ended before the hub confirmed the settlement")
            unknown.__cause__ = error
            fail(confirmed, unknown)
        self._settling.clear()

    def close(self, error: C2dError) -> None:
        """Detach, which gives back what is locked; everything fails with ``error`` from now on."""
        self.closed = True
        self._client.detach(self._link, self)
        self.lost(error)
