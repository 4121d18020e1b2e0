"""Waiting for a peer's answer, and telling whoever waits that none will come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from c2dkit._errors import C2dError, ConnectError, ConnectionLostError, PeerProtocolError
from c2dkit._protocols import amqp, mqtt
from c2dkit._tls import certificate_refusal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

__all__ = ["ANSWER_SECONDS", "answer", "fail", "link_error"]

ANSWER_SECONDS: Final = 30.0
"""How long a hub may take to answer one step of opening a link."""

ResultT = TypeVar("ResultT")


async def answer(waiting: Awaitable[ResultT], *, host: str, doing: str) -> ResultT:
    """Wait for an answer of ``host``; raises ConnectError when none has come in time."""
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            return await waiting
    except TimeoutError as error:
        raise ConnectError(f"{host} did not answer {doing} within {ANSWER_SECONDS:g} s") from error


def fail(waiting: asyncio.Future[ResultT], error: C2dError) -> None:
    """Raise ``error`` in whoever waits; nobody has to."""
    if not waiting.done():
        waiting.set_exception(error)
        waiting.exception()  # marks it as seen: a future that nobody awaits must not log


def link_error(cause: Exception | None, *, host: str) -> C2dError:
    """Return the error to raise for what ended a connection, with ``cause`` as its cause."""
    if isinstance(cause, C2dError):
        return cause
    error: C2dError
    if refusal := certificate_refusal(cause, host=host):
        error = refusal
    elif isinstance(cause, (amqp.AmqpSilenceError, mqtt.MqttSilenceError)):
        error = ConnectionLostError(f"{host} went silent: {cause}")
    elif isinstance(cause, (amqp.AmqpProtocolError, mqtt.MqttProtocolError)):
        error = PeerProtocolError(f"{host} broke the protocol: {cause}")
    elif cause is None:
        error = ConnectionLostError(f"{host} closed the connection")
    else:
        error = ConnectionLostError(f"the connection to {host} broke: {type(cause).__name__}")
    error.__cause__ = cause
    return error
