"""Sends on one AMQP link: in order, pipelined, as fast as the peer's credit allows."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from c2dkit._errors import ClosedError, OutcomeUnknownError
from c2dkit.transports._amqp_handler import LinkHandler
from c2dkit.transports._waiting import fail

if TYPE_CHECKING:
    from c2dkit._errors import C2dError
    from c2dkit._protocols import amqp
    from c2dkit.transports._amqp_client import AmqpClient

__all__ = ["Outbox"]


class Unsent(NamedTuple):
    """A message that waits for credit."""

    payload: bytes
    settled: bool
    outcome: asyncio.Future[object]


class Outbox(LinkHandler):
    """Sends what it is given in the order of the calls and hands back what the peer says of each."""

    def __init__(self, client: AmqpClient, target: str) -> None:
        super().__init__()
        self.closed = False
        self._client = client
        self._tags = itertools.count(1)
        self._unsent: deque[Unsent] = deque()
        self._unsettled: dict[int, asyncio.Future[object]] = {}
        self._link = client.attach_sender(self, target=target)

    @classmethod
    async def attach(cls, client: AmqpClient, target: str) -> Outbox:
        """Attach a sending link; errors as ``DeviceTransport.open``."""
        outbox = cls(client, target)
        await client.attached(outbox._link, outbox)
        return outbox

    async def send(self, payload: bytes, *, settled: bool = False) -> object:
        """Send one encoded message and return its delivery state, or None at once for one sent settled.

        Cancellation: a message that still waited for credit is not sent; otherwise the outcome is unknown.

        Raises:
            OutcomeUnknownError: The link ended after bytes had left.
            C2dError: The link had ended before, or ended while the message waited for credit.
        """
        self.ending.check()
        outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._unsent.append(Unsent(payload, settled, outcome))
        self._send_waiting()
        return await self._client.outcome(outcome, doing="a message")

    def on_flow(self) -> None:
        """Send what the new credit allows."""
        self._send_waiting()
        if self._link.drain_requested:
            self._link.drained()
            self._client.wake()

    def _send_waiting(self) -> None:
        while self._unsent and self._link.credit > 0:
            unsent = self._unsent.popleft()
            if unsent.outcome.done():
                continue  # cancelled while it waited
            tag = next(self._tags).to_bytes(4, "big")
            delivery_id = self._link.send(unsent.payload, tag=tag, settled=unsent.settled)
            if unsent.settled:
                unsent.outcome.set_result(None)
            else:
                self._unsettled[delivery_id] = unsent.outcome
            self._client.wake()

    def on_update(self, event: amqp.DeliveryUpdated) -> None:
        """Hand an outcome to the sender who waits for it, and settle where the peer left that to us."""
        if event.state is None and not event.settled:
            return
        outcome = self._unsettled.pop(event.delivery_id, None)
        if not event.settled:
            self._link.settle(event.delivery_id)
            self._client.wake()
        if outcome is not None and not outcome.done():
            outcome.set_result(event.state)

    def lost(self, error: C2dError) -> None:
        """Fail what has not been sent with the link's error, and what has been with an unknown outcome."""
        super().lost(error)
        for unsent in self._unsent:
            fail(unsent.outcome, error)
        self._unsent.clear()
        for outcome in self._unsettled.values():
            unknown = OutcomeUnknownError("the link ended before the hub said whether it took the message")
            unknown.__cause__ = error
            fail(outcome, unknown)
        self._unsettled.clear()

    def close(self) -> None:
        """Detach; what still waits fails."""
        self.closed = True
        self._client.detach(self._link, self)
        self.lost(ClosedError("the sender is closed"))
