"""What ``DeviceReceiver.run`` does with one message: its turn, its handler, the journal, its settlement."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from c2dkit._cancellation import is_cancelled
from c2dkit._dead_letters import DeadLetter
from c2dkit._errors import C2dError, InvalidInputError, PayloadError
from c2dkit._rules.settlement import Settlement
from c2dkit._turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from c2dkit._dead_letters import DeadLetters
    from c2dkit._journal import Journal
    from c2dkit._message import ReceivedMessage
    from c2dkit._rules.on_error import Verdicts

__all__ = ["LOCK_MARGIN", "Handling"]

log = logging.getLogger("c2dkit")

LOCK_MARGIN: Final = timedelta(seconds=5)
"""How long before the end of its lock a message is given up: for the handler's clean-up, and the way to the hub."""

PayloadT = TypeVar("PayloadT")


class NoCoroutineError(InvalidInputError):
    """The handler is a plain function: an error of the program, which would spend the deliveries of every message."""


class Handling(Generic[PayloadT]):
    """Handles messages, as many at a time as it may.

    Args:
        handler: The application's; ``concurrency`` of it run at a time.
        key: The order that must be kept; None for none.
        verdicts: What to say of messages that were not handled.
        journal: What knows the messages that were handled.
        dead_letters: Where to write what will never be handled.
    """

    def __init__(
        self,
        handler: Callable[[ReceivedMessage[PayloadT]], Awaitable[None]],
        *,
        concurrency: int,
        key: Callable[[ReceivedMessage[PayloadT]], str | None] | None,
        verdicts: Verdicts,
        journal: Journal | None,
        dead_letters: DeadLetters | None,
    ) -> None:
        self._handler = handler
        self._running = asyncio.Semaphore(concurrency)
        self._key = key
        self._verdicts = verdicts
        self._journal = journal
        self._dead_letters = dead_letters
        self._keys = Turns()
        self._ids = Turns()
        self._stopped = False

    def stop(self) -> None:
        """Begin with no other handler; messages that wait for their turn stay held."""
        self._stopped = True

    async def handle(self, message: ReceivedMessage[PayloadT]) -> None:
        """Handle a message when its turn comes, and settle it; called in the order of the messages.

        Cancellation: the message stays held, or its settlement is unknown.

        Raises:
            InvalidInputError: The handler is no coroutine function; the message stays held.
            Exception: What the journal or the dead letters raised; the message stays held.
        """
        try:
            key = None if self._key is None else self._key(message)
        except Exception as error:  # noqa: BLE001 - it is the application's, as the handler is
            await self._failed(message, error)
            return
        # A message that comes again while it is handled waits, so that the journal knows it by then.
        message_id = None if self._journal is None else message.message_id
        async with _turn(self._keys, key), _turn(self._ids, message_id), self._running:
            if not self._stopped:
                await self._handle(message)

    async def _handle(self, message: ReceivedMessage[PayloadT]) -> None:
        remaining = message.lock_remaining
        if remaining is not None and remaining <= LOCK_MARGIN:
            log.warning("message %r waited until its lock was over; the hub delivers it again", message.message_id)
        elif await self._seen(message):
            log.info("message %r was handled before; it is not handled again", message.message_id)
            await _settle(message, Settlement.COMPLETE)
        else:
            await self._call(message)

    async def _seen(self, message: ReceivedMessage[PayloadT]) -> bool:
        if self._journal is None or message.message_id is None:
            return False
        return await self._journal.seen(message.message_id)

    async def _call(self, message: ReceivedMessage[PayloadT]) -> None:
        limit = asyncio.timeout(None)
        try:
            async with limit:
                with _ends_before_the_lock(message, limit):
                    await _awaitable(self._handler(message))
        except NoCoroutineError:
            raise
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            log.warning("the handler of message %r gave up with CancelledError", message.message_id)
            await _settle(message, self._verdicts.late)
        except Exception as error:  # noqa: BLE001 - whatever an application may raise
            if limit.expired():
                log.warning("the handler of message %r was cancelled before its lock was over", message.message_id)
                await _settle(message, self._verdicts.late)
            else:
                await self._failed(message, error)
        else:
            await self._succeeded(message)

    async def _succeeded(self, message: ReceivedMessage[PayloadT]) -> None:
        done = message.settlement in {None, Settlement.COMPLETE}
        if self._journal is not None and message.message_id is not None and done:
            await self._journal.add(message.message_id)
        await _settle(message, Settlement.COMPLETE)

    async def _failed(self, message: ReceivedMessage[PayloadT], error: Exception) -> None:
        unreadable = isinstance(error, PayloadError)
        # pydantic's error, which is the cause of a PayloadError, tells of the body.
        log.error("message %r was not handled: %r", message.message_id, error, exc_info=None if unreadable else error)
        if is_cancelled():
            return  # the error tells of the end of the run, not of the message
        settlement = self._verdicts.unreadable if unreadable else self._verdicts.failed
        off_the_queue = settlement in {Settlement.REJECT, Settlement.COMPLETE} and message.settlement is None
        if self._dead_letters is not None and off_the_queue:
            await self._dead_letters.add(DeadLetter.of(message, _reason(error)))
        await _settle(message, settlement)


def _reason(error: Exception) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # noqa: BLE001 - it is the application's, and must not keep the message on the queue
        return f"{name}, whose text cannot be had"


@contextmanager
def _ends_before_the_lock(message: ReceivedMessage[object], limit: asyncio.Timeout) -> Generator[None]:
    """Let ``limit`` cancel the body in time, unless it has settled the message by then."""
    remaining = message.lock_remaining
    if remaining is None:
        yield
        return
    seconds = (remaining - LOCK_MARGIN).total_seconds()
    timer = asyncio.get_running_loop().call_later(seconds, _cancel_if_held, message, limit)
    try:
        yield
    finally:
        timer.cancel()


def _cancel_if_held(message: ReceivedMessage[object], limit: asyncio.Timeout) -> None:
    if message.settlement is None:
        limit.reschedule(asyncio.get_running_loop().time())


def _awaitable(answer: object) -> Awaitable[None]:
    if isinstance(answer, Awaitable):
        return cast("Awaitable[None]", answer)
    raise NoCoroutineError(f"handler must be a coroutine function (async def); it returned {type(answer).__name__}")


def _turn(turns: Turns, key: str | None) -> AbstractAsyncContextManager[None]:
    return nullcontext() if key is None else turns.of(key)


async def _settle(message: ReceivedMessage[object], settlement: Settlement | None) -> None:
    """Say it, unless the handler has said something or there is nothing to say.

    An error ends nothing: the message comes again if the hub has not been told, and an error of the connection that
    does not pass shows where the messages come from.
    """
    if settlement is None or message.settlement is not None:
        return
    try:
        match settlement:
            case Settlement.COMPLETE:
                await message.complete()
            case Settlement.ABANDON:
                await message.abandon()
            case Settlement.REJECT:
                await message.reject()
    except C2dError as error:
        log.warning("could not %s message %r: %s", settlement.value, message.message_id, error)
