"""The port for back ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit import ClosedError, FeedbackStatus, InvalidInputError, MessageLockLostError, Settlement
from c2dkit.transports import Ending, FeedbackBatch, ServiceOperation
from c2dkit_in_memory._hub import LOCK, MemoryHub

if TYPE_CHECKING:
    import ssl

    from c2dkit import C2dError, ServiceCredential
    from c2dkit.transports import FeedbackLink, Message, SenderLink

__all__ = ["InMemoryServiceTransport"]


class InMemoryServiceTransport:
    """A back end of a ``MemoryHub``; it can do all."""

    name: str = "in-memory"
    operations: frozenset[ServiceOperation] = frozenset(ServiceOperation)

    def __init__(
        self, credential: ServiceCredential, *, ssl_context: ssl.SSLContext | None = None, proxy: str | None = None
    ) -> None:
        if proxy is not None:
            raise InvalidInputError("the in-memory transport has no way through a proxy")
        self._credential = credential

    @property
    def credential(self) -> ServiceCredential:
        """See ``ServiceTransport.credential``."""
        return self._credential

    async def open_sender(self) -> SenderLink:
        """See ``ServiceTransport.open_sender``."""
        return _SenderLink(self._hub())

    async def open_feedback(self) -> FeedbackLink:
        """See ``ServiceTransport.open_feedback``; each record is a batch of its own."""
        return _FeedbackLink(self._hub())

    async def purge(self, device_id: str) -> int:
        """See ``ServiceTransport.purge``."""
        hub = self._hub()
        with hub.changing():
            return hub.device(device_id).queue.purge()

    async def queue_depth(self, device_id: str) -> int:
        """See ``ServiceTransport.queue_depth``."""
        hub = self._hub()
        hub.catch_up()
        return len(hub.device(device_id).queue.items)

    def _hub(self) -> MemoryHub:
        hub = MemoryHub.find(self._credential.host_name)
        hub.authorize_service(self._credential)
        return hub


class _Link:
    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self.ending = Ending()
        hub.links[self] = None

    def lose(self, error: C2dError) -> None:
        if self.ending.come(error):
            self._hub.links.pop(self, None)
            with self._hub.changing():
                self._hub.feedback.release(self)

    async def close(self) -> None:
        self.lose(ClosedError("the link is closed"))


class _SenderLink(_Link):
    async def send(self, message: Message) -> None:
        self.ending.check()
        self._hub.send(message)


class _FeedbackLink(_Link):
    async def receive(self) -> FeedbackBatch:
        while True:
            self.ending.check()
            item = self._hub.feedback.take(self, now=self._hub.catch_up(), lock_for=LOCK)
            if item is not None:
                return FeedbackBatch([item.value], item.lock_token or "", item.lock_token)
            await self._hub.change()

    async def settle(self, batch: FeedbackBatch, settlement: Settlement) -> None:
        if self.ending.error is not None:
            raise MessageLockLostError("the link that held the lock has ended") from self.ending.error
        with self._hub.changing():
            if settlement is Settlement.COMPLETE:
                self._hub.feedback.end(batch.lock_token, FeedbackStatus.SUCCESS)
            else:
                self._hub.feedback.abandon(batch.lock_token)
