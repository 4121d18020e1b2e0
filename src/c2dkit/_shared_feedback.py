"""One feedback reader for everything in this process that signs in alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from c2dkit._feedback_ledger import FeedbackLedger
from c2dkit._feedback_reader import FeedbackReader

if TYPE_CHECKING:
    from c2dkit._feedback_reader import FeedbackMember
    from c2dkit._retry import RetryPolicy
    from c2dkit.transports._ports import ServiceTransport

__all__ = ["SharedFeedback", "shared_feedback"]


class SharedFeedback:
    """What all senders and streams have in common that have one credential and run in one event loop.

    It lasts as long as one of them, or a receipt, holds it. There is a link only while somebody needs one.

    Attributes:
        ledger: The messages of all the senders.
    """

    def __init__(self, credential: object) -> None:
        self.ledger = FeedbackLedger()
        self._credential = credential
        self._loop = asyncio.get_running_loop()
        self._reader: FeedbackReader | None = None

    def serves(self, credential: object) -> bool:
        """Whether it is for this credential in the event loop that runs."""
        return self._loop is asyncio.get_running_loop() and self._credential == credential

    def join(
        self, member: FeedbackMember, transport: ServiceTransport, retry: RetryPolicy, *, patient: bool
    ) -> FeedbackReader:
        """Have feedback read for a member: as its own arguments say, where nobody else is reading yet."""
        if self._reader is None or self._reader.over:
            self._reader = FeedbackReader(transport, retry, self.ledger, patient=patient)
        self._reader.join(member)
        return self._reader


SHARED: Final[WeakSet[SharedFeedback]] = WeakSet()


def shared_feedback(transport: ServiceTransport) -> SharedFeedback:
    """Return what a transport shares with all others that have its credential, in this event loop."""
    for shared in SHARED:
        if shared.serves(transport.credential):
            return shared
    shared = SharedFeedback(transport.credential)
    SHARED.add(shared)
    return shared
