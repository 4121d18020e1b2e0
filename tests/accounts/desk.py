"""Sends and settles, and writes down what the hub said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from c2dkit import (
    ConnectError,
    LinkError,
    MessageLockLostError,
    OutcomeUnknownError,
    ServiceError,
    Settlement,
)
from tests.accounts.ledger import Answer

if TYPE_CHECKING:
    from random import Random

    from c2dkit import CloudSender, ReceivedMessage
    from tests.accounts.ledger import Ledger, Letter


class Page(Protocol):
    """Where it is written down what a message was told: a letter, or what tells a letter in another process."""

    def ask(self, settlement: Settlement) -> None: ...

    def take_back(self, settlement: Settlement) -> None: ...

    def confirm(self, settlement: Settlement) -> None: ...


async def send(ledger: Ledger, sender: CloudSender, device_id: str) -> Letter:
    letter = ledger.new(device_id)
    try:
        await sender.send(device_id, letter.message_id, ack="full", message_id=letter.message_id)
        letter.answer = Answer.ACCEPTED
    except OutcomeUnknownError:
        letter.answer = Answer.UNKNOWN
    except (ServiceError, LinkError):  # no room, or the connection had ended before
        letter.answer = Answer.REFUSED
    ledger.answered()
    return letter


async def purge(ledger: Ledger, sender: CloudSender, device_id: str) -> None:
    count = 0
    ledger.ask_purge(device_id)
    try:
        count = await sender.purge(device_id)
    finally:
        ledger.purged(count)
    ledger.answered()


async def settle(page: Page, message: ReceivedMessage[str], settlement: Settlement, transport: str) -> None:
    page.ask(settlement)
    try:
        await getattr(message, settlement.value)()
    except OutcomeUnknownError:
        return
    except (MessageLockLostError, ConnectError, ServiceError):  # nothing was settled
        page.take_back(settlement)
    else:
        if not transport.startswith("mqtt"):  # which has no confirmation
            page.confirm(settlement)


def choose(random: Random, transport: str, *, calm: bool) -> Settlement:
    """Choose how to settle a message."""
    if calm or transport.startswith("mqtt"):
        return Settlement.COMPLETE
    return random.choices(tuple(Settlement), (4, 3, 1))[0]
