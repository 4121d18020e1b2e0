"""Puts tokens on an AMQP connection through its ``$cbs`` node."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

from c2dkit._errors import PeerProtocolError, ServiceError, UnauthorizedError
from c2dkit._protocols import amqp
from c2dkit._wire import cbs
from c2dkit._wire.amqp import CBS_ADDRESS
from c2dkit.transports._amqp_handler import LinkHandler
from c2dkit.transports._amqp_outbox import Outbox
from c2dkit.transports._waiting import fail

if TYPE_CHECKING:
    from c2dkit._errors import C2dError
    from c2dkit.transports._amqp_client import AmqpClient
    from c2dkit.transports._tokens import HubToken

__all__ = ["CbsNode"]

ANSWER_CREDIT: Final = 10
"""Answers that may come unasked at most; given anew with each, since a connection puts tokens for ever."""


class CbsNode(LinkHandler):
    """The answers' side of ``$cbs``; an answer is matched with its request by correlation id."""

    def __init__(self, client: AmqpClient, requests: Outbox) -> None:
        super().__init__()
        self._requests = requests
        self._client = client
        self._link = client.attach_receiver(self, source=CBS_ADDRESS)
        self._ids = itertools.count(1)
        self._waiting: dict[object, asyncio.Future[cbs.TokenAnswer]] = {}

    @classmethod
    async def attach(cls, client: AmqpClient) -> CbsNode:
        """Attach both links, or none."""
        requests = await Outbox.attach(client, CBS_ADDRESS)
        try:
            node = cls(client, requests)
            await client.attached(node._link, node)
        except BaseException:
            requests.close()
            raise
        node._link.flow(ANSWER_CREDIT)
        client.wake()
        return node

    @property
    def over(self) -> bool:
        """Whether one of the two links has ended, so that no token can be put here any more."""
        return self.ending.error is not None or self._requests.ending.error is not None

    def close(self) -> None:
        """Detach what is left of the two links: a connection that lasts would collect them."""
        self._requests.close()
        self._client.detach(self._link, self)

    async def put(self, token: HubToken) -> None:
        """Put one token and wait for the hub's word.

        Raises:
            UnauthorizedError: The hub refused the token.
            LinkError: The connection ended.
        """
        message_id = f"put-token-{next(self._ids)}"
        request = cbs.PutToken(message_id, token.audience, token.text, cbs.TOKEN_TYPES[token.kind])
        answer: asyncio.Future[cbs.TokenAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = answer
        try:
            # Sent settled, as the .NET SDK does: the answer is the confirmation.
            await self._requests.send(cbs.encode_put_token(request), settled=True)
            _check(await answer)
        finally:
            self._waiting.pop(message_id, None)

    def on_transfer(self, event: amqp.TransferReceived) -> None:
        """Give an answer to the request that waits for it; one that answers nothing is ignored."""
        self._link.settle(event.delivery_id, amqp.Accepted())
        self._link.flow(ANSWER_CREDIT)
        self._client.wake()
        try:
            answer = cbs.decode_answer(event.payload)
        except ValueError as error:
            self.lost(PeerProtocolError(f"the hub's answer to a token cannot be read: {error}"))
            return
        waiting = self._waiting.get(answer.correlation_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def lost(self, error: C2dError) -> None:
        """Fail the requests that wait."""
        super().lost(error)
        for waiting in self._waiting.values():
            fail(waiting, error)


def _check(answer: cbs.TokenAnswer) -> None:
    # Node takes exactly 200, uamqp any 2xx, .NET 200 and 202.
    if 200 <= answer.status_code < 300:
        return
    text = f"the hub refused the token: {answer.description or 'no description'} (status {answer.status_code})"
    if answer.status_code in {401, 404}:
        raise UnauthorizedError(text)
    raise ServiceError(text, transient=answer.status_code >= 500)
