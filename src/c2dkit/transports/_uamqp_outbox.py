"""Sends on one link of uamqp, in order, and tells what the hub said of each message."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from c2dkit._errors import ClosedError, ConnectionLostError, OutcomeUnknownError, ServiceError
from c2dkit.transports._uamqp_errors import error_from_condition, error_from_uamqp
from c2dkit.transports._uamqp_link import Endpoint, UamqpLink
from c2dkit.transports._waiting import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit._errors import C2dError
    from c2dkit.transports._uamqp_client import UamqpClient

__all__ = ["UamqpOutbox"]

REFUSED = "the hub refused the message"


class Sender(Endpoint, Protocol):
    """What is used of a ``MessageSenderAsync`` of uamqp."""

    async def send_async(self, message: object, callback: Callable[..., None]) -> bool:
        """Take a message; the callback gets the message, a ``MessageSendResult`` and what the hub said."""
        ...


class Unsent(NamedTuple):
    """A message that waits for its turn, and the future of its outcome."""

    message: object
    outcome: asyncio.Future[None]


class UamqpOutbox(UamqpLink):
    """Sends what it is given in the order of the calls."""

    def __init__(self, client: UamqpClient, target: str) -> None:
        self._sender: Sender = client.asynchronous.MessageSenderAsync(
            client.session, uuid.uuid4().hex, client.uamqp.address.Target(target)
        )
        super().__init__(self._sender)
        self._client = client
        self._unsent: deque[Unsent] = deque()
        self._unsettled: dict[int, Unsent] = {}  # uamqp's C code keeps no reference to a message that it has

    @classmethod
    async def attach(cls, client: UamqpClient, target: str) -> UamqpOutbox:
        """Attach the link; errors as ``DeviceTransport.open``."""
        outbox = cls(client, target)
        await client.attach(outbox, address=target)
        return outbox

    async def send(self, message: object) -> None:
        """Send one message and wait until the hub has taken it.

        Cancellation: a message whose turn had not come is not sent; otherwise the outcome is unknown.

        Raises:
            ServiceError: The hub refused it.
            OutcomeUnknownError: The link ended after bytes had left.
            C2dError: The link had ended before.
        """
        self.ending.check()
        unsent = Unsent(message, asyncio.get_running_loop().create_future())
        self._unsent.append(unsent)
        self._client.wake()
        await unsent.outcome

    async def work(self) -> bool:
        """Send what waits; busy while an outcome is waited for."""
        busy = await super().work()
        while self.attached.done() and self._unsent:
            await self._send(self._unsent.popleft())
        return busy or bool(self._unsettled)

    async def _send(self, unsent: Unsent) -> None:
        if unsent.outcome.done():
            return  # cancelled while it waited
        self._unsettled[id(unsent.message)] = unsent
        if not await self._sender.send_async(unsent.message, self._on_outcome):
            del self._unsettled[id(unsent.message)]
            fail(unsent.outcome, ConnectionLostError("the connection has ended: uamqp did not take the message"))

    def _on_outcome(self, message: object, result: int, delivery_state: object = None) -> None:
        outcome = self._unsettled.pop(id(message)).outcome
        if self._client.uamqp.constants.MessageSendResult(result).name == "Ok":
            if not outcome.done():
                outcome.set_result(None)
        else:
            fail(outcome, self._refusal(delivery_state))

    def _refusal(self, state: object) -> C2dError:
        if isinstance(state, Exception):
            return error_from_uamqp(state, doing=REFUSED)
        said = self._client.uamqp.errors.ErrorResponse(state)
        return error_from_condition(said.condition, said.description, said.info, REFUSED) or ServiceError(
            "the hub did not take the message and gave no reason", transient=True
        )

    def lost(self, error: C2dError) -> None:
        """Fail what has not been sent with the link's error, and what has been with an unknown outcome."""
        super().lost(error)
        for unsent in self._unsent:
            fail(unsent.outcome, error)
        self._unsent.clear()
        for unsent in self._unsettled.values():
            unknown = OutcomeUnknownError("the link ended before the hub said whether it took the message")
            unknown.__cause__ = error
            fail(unsent.outcome, unknown)

    def close(self) -> None:
        """Detach; what still waits fails."""
        self.lost(ClosedError("the sender is closed"))
        self._client.detach(self)
