"""What every link of an AMQP client does with its events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from c2dkit.transports._ending import Ending
from c2dkit.transports._waiting import fail

if TYPE_CHECKING:
    from c2dkit._errors import C2dError
    from c2dkit._protocols import amqp

__all__ = ["LinkHandler"]


class LinkHandler:
    """What a link does with its events; the base does nothing but keep its end."""

    def __init__(self) -> None:
        self.attached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ending = Ending()

    def on_transfer(self, event: amqp.TransferReceived) -> None:
        """A whole delivery has arrived."""

    def on_update(self, event: amqp.DeliveryUpdated) -> None:
        """The peer has said something of a delivery."""

    def on_flow(self) -> None:
        """The peer has changed the credit."""

    def lost(self, error: C2dError) -> None:
        """The link is over; called once at least, and the first error stays."""
        self.ending.come(error)
        fail(self.attached, error)
