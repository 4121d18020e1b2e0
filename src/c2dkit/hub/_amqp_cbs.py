"""The ``$cbs`` node of the hub: a client puts its tokens here, on one link, and reads the answers on another.

Source: OASIS "AMQP Claims-based Security" working draft 1; IoT Hub developer guide, "AMQP support".
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from c2dkit._errors import ServiceError, UnauthorizedError
from c2dkit._protocols import amqp
from c2dkit._wire.cbs import TokenAnswer, decode_put_token, encode_answer
from c2dkit.hub._amqp_links import Incoming
from c2dkit.hub._amqp_queues import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from c2dkit.hub._amqp_grants import Grants
    from c2dkit.hub._core import HubCore

__all__ = ["CbsAnswers", "CbsRequests"]

log = logging.getLogger("c2dkit.hub")

MAX_WAITING: Final = 100
"""Answers that may wait for credit; as many as the hub gives credit for requests."""


class CbsAnswers(Outgoing):
    """Answers requests, as credit allows."""

    role = "cbs-answers"

    def __init__(self, core: HubCore, grants: Grants, link: amqp.SenderLink, wake: Callable[[], None]) -> None:
        super().__init__(core, grants, link, wake)
        self._waiting: deque[bytes] = deque()
        self._sent = 0

    def authorize(self) -> None:
        """Anyone may try."""

    def answer(self, answer: TokenAnswer) -> None:
        """Send an answer."""
        if len(self._waiting) >= MAX_WAITING:
            self.detach(amqp.AmqpError("amqp:resource-limit-exceeded", "too many answers wait for credit"))
            return
        self._waiting.append(encode_answer(answer))
        self.pull()

    def pull(self) -> None:
        """Send the answers that wait."""
        while self._waiting and self.link.attached and self.link.credit:
            self._sent += 1
            self.link.send(self._waiting.popleft(), tag=self._sent.to_bytes(4, "big"))

    def on_update(self, event: amqp.DeliveryUpdated) -> None:
        """Settle what the peer leaves to the hub to settle."""
        if not event.settled:
            self.link.settle(event.delivery_id, amqp.Accepted())


class CbsRequests(Incoming):
    """Takes tokens.

    ``answers`` says over which link to answer. IoT Hub settles a request before it answers it, and uamqp takes an
    answer that comes first for a failure.
    """

    role = "cbs-requests"
    credit = 100

    def __init__(
        self,
        core: HubCore,
        grants: Grants,
        link: amqp.ReceiverLink,
        wake: Callable[[], None],
        answers: Callable[[amqp.Session], CbsAnswers | None],
    ) -> None:
        super().__init__(core, grants, link, wake)
        self._answers = answers
        self._answer: TokenAnswer | None = None

    def authorize(self) -> None:
        """Anyone may try."""

    def on_transfer(self, event: amqp.TransferReceived) -> None:
        """Settle the request, then answer it."""
        super().on_transfer(event)
        answer, self._answer = self._answer, None
        answers = self._answers(self.link.session)
        if answer is not None and answers is not None:
            answers.answer(answer)

    def take(self, payload: bytes) -> amqp.Outcome:
        """Verify the token; whether it is good is said by the answer, not by the outcome."""
        try:
            request = decode_put_token(payload)
        except ValueError as error:
            return amqp.Rejected(amqp.AmqpError("com.microsoft:argument-error", str(error)))
        self._answer = TokenAnswer(request.message_id, *self._put(request.token))
        return amqp.Accepted()

    def _put(self, token: str) -> tuple[int, str]:
        try:
            self._grants.put(self._core.auth.verify(token))
        except UnauthorizedError as error:
            log.info("refused a token: %s", error)
            self._grants.guests.refused(str(error))
            return 401, str(error)
        except ServiceError as error:
            return 403, str(error)
        return 200, "OK"
