"""The clients that keep a hub busy and write down what it tells them."""

from __future__ import annotations

import ssl
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio

from c2dkit import (
    CloudSender,
    DeviceReceiver,
    LinkError,
    MessageLockLostError,
    OutcomeUnknownError,
    RetryPolicy,
    ServiceCredential,
    Settlement,
)
from c2dkit.transports import AmqpServiceTransport, HttpsDeviceTransport, PollingInterval
from tests.accounts.desk import choose, purge, send, settle
from tests.accounts.ledger import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random

    from c2dkit.transports import DeviceFactory
    from tests.accounts.ledger import Ledger, Letter
    from tests.accounts.lives import Lives

PIPELINED = 8
ABANDONED = 8
"""One in so many messages is abandoned until it may not be delivered any more, where the device can say that."""
ANSWERS_PER_PURGE = 200
EVERY_MOMENT = PollingInterval.every(timedelta(milliseconds=20))
TRANSPORTS: Mapping[str, str | DeviceFactory] = {
    "amqp": "amqp",
    "mqtt": "mqtt",
    "https": partial(HttpsDeviceTransport, polling=EVERY_MOMENT),
}


class Clients:
    """Back ends and devices, which come back after every kill.

    Attributes:
        sending: Whether the back ends go on sending.
        calm: Whether the devices complete everything, and the reader of feedback too.
    """

    def __init__(self, ledger: Ledger, lives: Lives, random: Random) -> None:
        self.sending = True
        self.calm = False
        self._ledger = ledger
        self._lives = lives
        self._random = random

    async def send_all_the_time(self) -> None:
        """A back end: many sends at a time, to any device."""
        await self._again_and_again(self._send_for_a_life, lambda: self.sending)

    async def receive_all_the_time(self, device_id: str) -> None:
        """A device."""
        await self._again_and_again(lambda: self._receive_for_a_life(device_id), lambda: True)

    async def read_feedback_all_the_time(self) -> None:
        """The back end that reads the feedback."""
        await self._again_and_again(self._read_for_a_life, lambda: True)

    async def purge_now_and_then(self) -> None:
        """A back end that gives up what waits for some device."""
        await self._again_and_again(self._purge_for_a_life, lambda: self.sending)

    async def send_last(self, device_id: str) -> Letter:
        """Send a message to a hub that is not killed any more, for as long as it has no room."""
        async with CloudSender.from_connection_string(
            self._lives.service, ssl_context=self._trust(), retry=RetryPolicy.none()
        ) as sender:
            while (letter := await self._send(sender, device_id)).answer is not Answer.ACCEPTED:
                await self._ledger.wait()
        return letter

    async def _again_and_again(self, work: Callable[[], Awaitable[None]], wanted: Callable[[], bool]) -> None:
        while wanted():
            await self._lives.up()
            try:
                await work()
            except (LinkError, OutcomeUnknownError):
                continue

    async def _send_for_a_life(self) -> None:
        devices = tuple(self._lives.devices)
        async with CloudSender.from_connection_string(
            self._lives.service, ssl_context=self._trust(), retry=RetryPolicy.none()
        ) as sender:
            while self.sending and self._lives.running:
                async with anyio.create_task_group() as group:
                    for _ in range(PIPELINED):
                        group.start_soon(self._send, sender, self._random.choice(devices))

    async def _send(self, sender: CloudSender, device_id: str) -> Letter:
        return await send(self._ledger, sender, device_id)

    async def _purge_for_a_life(self) -> None:
        sender = CloudSender.from_connection_string(
            self._lives.service, transport="https", ssl_context=self._trust(), retry=RetryPolicy.none()
        )
        await self._ledger.until(ANSWERS_PER_PURGE)
        if self.sending:
            await purge(self._ledger, sender, self._random.choice(tuple(self._lives.devices)))

    async def _receive_for_a_life(self, device_id: str) -> None:
        transport = device_id.partition("-")[0]
        async with DeviceReceiver.from_connection_string(
            self._lives.devices[device_id],
            transport=TRANSPORTS[transport],
            payload_type=str,
            ssl_context=self._trust(),
            retry=RetryPolicy.none(),
        ) as receiver:
            async for message in receiver:
                letter = self._ledger.letters[message.payload]
                letter.delivered(message.delivery_count)
                await settle(letter, message, self._choose(letter, transport), transport)
                self._ledger.answered()

    def _choose(self, letter: Letter, transport: str) -> Settlement:
        if letter.number % ABANDONED == 0 and transport != "mqtt" and not self.calm:
            return Settlement.ABANDON
        return choose(self._random, transport, calm=self.calm)

    async def _read_for_a_life(self) -> None:
        credential = ServiceCredential.from_connection_string(self._lives.service)
        link = await AmqpServiceTransport(credential, ssl_context=self._trust()).open_feedback()
        try:
            while True:
                batch = await link.receive()
                complete = self.calm or self._random.random() < 0.8
                confirmed = False
                try:
                    await link.settle(batch, Settlement.COMPLETE if complete else Settlement.ABANDON)
                    confirmed = complete
                except (MessageLockLostError, OutcomeUnknownError):
                    pass  # it comes again, or does not
                for record in batch.records:
                    self._ledger.letters[record.original_message_id].records.append((record, confirmed))
                self._ledger.answered()
        finally:
            await link.close()

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._lives.ca_file)
