"""A hub as the contract tests see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from c2dkit._models import FeedbackStatus, Message
    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential

__all__ = ["HubFactory", "HubView"]


class HubView(Protocol):
    """The hub at the other end of a leg, with the devices ``dev-1`` and ``dev-2``.

    Tests of a device's side put messages in here and read here what became of them; tests of a back end's side read
    here what was sent. So no client's word is taken for another's. Feedback is told at once, not every 15 s.
    """

    @property
    def trust(self) -> Path | None:
        """The certificate authority (PEM) that clients must trust; None where there is no TLS."""
        ...

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        ...

    def device_credential(self, device_id: str) -> DeviceCredential:
        """Return what a device connects with."""
        ...

    def service_credential(self) -> ServiceCredential:
        """Return what a back end connects with that may do all."""
        ...

    def now(self) -> datetime:
        """Return the hub's time, in UTC."""
        ...

    def advance(self, delta: timedelta) -> None:
        """Move the hub's time forward; what falls due happens at once."""
        ...

    def send(self, message: Message) -> None:
        """Queue a message for the device that ``message.to`` names, as if a back end had sent it."""
        ...

    def queue(self, device_id: str) -> Sequence[Message]:
        """Return what a device's queue has, held messages included, in order and with what the hub adds."""
        ...

    def held(self, device_id: str) -> int:
        """Return how many messages of the queue somebody holds."""
        ...

    def finish(self, message_id: str, status: FeedbackStatus) -> None:
        """Let a waiting message end with this status; ``EXPIRED`` may do so by moving the time 6 minutes on."""
        ...

    def outcomes(self) -> Mapping[str, FeedbackStatus]:
        """Return what became of messages, by message id, of those that asked for feedback.

        Takes the records out of the feedback queue: not for tests that receive feedback themselves.
        """
        ...

    def disable_device(self, device_id: str) -> None:
        """Let a device neither receive nor be sent to."""
        ...

    async def disconnect_all(self) -> None:
        """Drop every connection, as a broken network would."""
        ...


HubFactory = Callable[[], AbstractAsyncContextManager[HubView]]
