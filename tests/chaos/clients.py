"""A back end, a reader of feedback and a device with c2dkit's own resilience, each one object for as long as it lasts."""

from __future__ import annotations

import ssl
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from c2dkit import (
    C2dError,
    CloudSender,
    Connection,
    ConnectionState,
    ConnectionStatus,
    DeviceReceiver,
    FeedbackStream,
    RetryPolicy,
)
from c2dkit.transports import HttpsDeviceTransport, HttpsServiceTransport, PollingInterval
from tests.accounts.desk import choose, send, settle
from tests.accounts.ledger import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random

    from c2dkit.transports import DeviceFactory, ServiceFactory
    from tests.accounts.ledger import Ledger

RETRY: Final = RetryPolicy(first_delay=timedelta(milliseconds=10), max_delay=timedelta(milliseconds=100))
POLLING: Final = PollingInterval.every(timedelta(milliseconds=20))
DEVICE_TRANSPORTS: Final[Mapping[str, str | DeviceFactory]] = {
    "amqp": "amqp",
    "amqp-ws": "amqp-ws",
    "mqtt": "mqtt",
    "mqtt-ws": "mqtt-ws",
    "https": partial(HttpsDeviceTransport, polling=POLLING),
}
FEEDBACK_TRANSPORTS: Final[Mapping[str, str | ServiceFactory]] = {
    "amqp": "amqp",
    "amqp-ws": "amqp-ws",
    "https": partial(HttpsServiceTransport, polling=POLLING),
}
SERVICE_TRANSPORTS: Final = ("amqp", "amqp-ws")
AT_A_TIME: Final = 4
MOST_WAITING: Final = 20
"""How many messages may wait for their outcome before the back end sends more."""
BREATH: Final = 0.02
"""How long a program waits, in seconds, before it starts again what has ended with an error."""


class Clients:
    """All of them.

    Attributes:
        sending: Whether the back end goes on sending.
        calm: Whether the device completes everything.
        ends: How often something ended with which error, for the program to begin it anew.
    """

    def __init__(self, ledger: Ledger, random: Random, ca_file: str) -> None:
        self.sending = True
        self.calm = False
        self.ends: Counter[str] = Counter()
        self._ledger = ledger
        self._random = random
        self._trust = ssl.create_default_context(cafile=ca_file)

    async def send(self, connection_string: str, transport: str, device_id: str) -> None:
        """Send until there is calm."""

        async def work() -> None:
            async with CloudSender.from_connection_string(
                connection_string, transport=transport, retry=RETRY, ssl_context=self._trust
            ) as sender:
                while self.sending and sender.connection.state is not ConnectionState.CLOSED:
                    async with anyio.create_task_group() as group:
                        for _ in range(AT_A_TIME):
                            group.start_soon(send, self._ledger, sender, device_id)
                    await self._pause()
                status = sender.connection.status
            if status.state is ConnectionState.CLOSED and status.cause is not None:
                assert not status.cause.transient, f"a sender has given up for what would have passed: {status.cause}"
                raise status.cause

        await self._again_and_again(work)

    async def send_last(self, connection_string: str, transport: str, device_id: str) -> None:
        """Send one more: whatever may be in the device's queue is before it."""
        async with CloudSender.from_connection_string(
            connection_string, transport=transport, retry=RETRY, ssl_context=self._trust
        ) as sender:
            while (await send(self._ledger, sender, device_id)).answer is not Answer.ACCEPTED:
                await self._ledger.wait()

    async def receive(self, connection_string: str, transport: str) -> None:
        """Receive and settle, for ever."""

        async def work() -> None:
            async with DeviceReceiver.from_connection_string(
                connection_string,
                transport=DEVICE_TRANSPORTS[transport],
                payload_type=str,
                retry=RETRY,
                ssl_context=self._trust,
            ) as receiver:
                with ends_with_an_error(receiver.connection):
                    async for message in receiver:
                        letter = self._ledger.letters[message.payload]
                        letter.delivered(message.delivery_count)
                        await settle(letter, message, choose(self._random, transport, calm=self.calm), transport)
                        self._ledger.answered()

        await self._again_and_again(work)

    async def read_feedback(self, connection_string: str, transport: str) -> None:
        """Read feedback, for ever."""

        async def work() -> None:
            async with FeedbackStream.from_connection_string(
                connection_string, transport=FEEDBACK_TRANSPORTS[transport], retry=RETRY, ssl_context=self._trust
            ) as feedback:
                with ends_with_an_error(feedback.connection):
                    async for record in feedback:
                        self._ledger.letters[record.original_message_id].records.append((record, False))
                        self._ledger.answered()

        await self._again_and_again(work)

    async def _pause(self) -> None:
        while self.sending and self._ledger.waiting() > MOST_WAITING:
            await self._ledger.wait()

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except C2dError as error:
                self.ends[type(error).__name__] += 1
                await anyio.sleep(BREATH)


class ends_with_an_error:  # noqa: N801 - reads as a sentence
    """Demand that an iteration does not end by itself but with an error that lasts, and that its connection tells it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None: ...

    def __exit__(self, exc_type: object, error: BaseException | None, traceback: object) -> None:
        assert error is not None, "an iteration has ended in silence"
        if isinstance(error, C2dError):
            assert self._connection.status == ConnectionStatus(ConnectionState.CLOSED, error)
            assert not error.transient, f"an iteration has ended for what would have passed: {error}"
