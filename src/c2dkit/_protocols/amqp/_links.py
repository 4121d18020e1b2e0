"""What both ends of a link have in common: attach and detach (AMQP 1.0 part 2, 2.6).

Calls that want something new of what is closed raise ``LinkClosedError``. Calls that only wind down, answer or adjust
(``accept``, ``refuse``, ``detach``, ``settle``, ``flow``, ``drained``) are ignored then: the peer may have detached while
the event that they answer was on its way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final

from ._events import LinkDetached
from ._performatives import Attach, Detach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._errors import AmqpError
    from ._events import Event
    from ._performatives import Source, Target
    from ._receiver import ReceiverLink
    from ._sender import SenderLink
    from ._session import Session
    from ._types import Described

__all__ = ["FIRST", "MIXED", "SECOND", "SETTLED", "UNSETTLED", "Link", "LinkClosedError", "LinkState"]

UNSETTLED: Final = 0
SETTLED: Final = 1
MIXED: Final = 2
"""Sender settle modes (part 2, 2.8.2)."""
FIRST: Final = 0
SECOND: Final = 1
"""Receiver settle modes (part 2, 2.8.3): settle at once, or only after the sender has."""


class LinkClosedError(RuntimeError):
    """The connection, session or link that was to do something is closed."""


class LinkState(Enum):
    """How far attach and detach have come."""

    REQUESTED = "requested"  # the peer has attached, we have not answered
    ATTACHING = "attaching"  # we have attached, the peer has not answered
    ATTACHED = "attached"
    DETACHING = "detaching"  # we have detached; what comes until the peer answers is discarded
    DETACHED = "detached"


class Link(ABC):
    """One end of a link; ``SenderLink`` and ``ReceiverLink`` are the two kinds.

    Attributes:
        session: Where it is attached.
        name: Names the link for both ends.
        handle: Our number for it.
        source: Where messages come from, as the peer gave it; None if the peer gave none.
        target: Where messages go, as the peer gave it; None if the peer gave none.
        snd_settle_mode: What the peer gave at attach.
        rcv_settle_mode: What the peer gave at attach.
        properties: The peer's link properties.
        remote_max_message_size: In bytes, what the peer takes; None for no limit.
        context: For the user of the engine.
    """

    role: ClassVar[bool]
    __slots__ = (
        "context",
        "handle",
        "name",
        "properties",
        "rcv_settle_mode",
        "remote_max_message_size",
        "reported",
        "session",
        "snd_settle_mode",
        "source",
        "state",
        "target",
    )

    def __init__(self, session: Session, name: str, handle: int, state: LinkState) -> None:
        self.session = session
        self.name = name
        self.handle = handle
        self.state = state
        self.source: Source | Described | None = None
        self.target: Target | Described | None = None
        self.snd_settle_mode = MIXED
        self.rcv_settle_mode = FIRST
        self.properties: Mapping[str, object] | None = None
        self.remote_max_message_size: int | None = None
        self.context: object = None
        self.reported = False
        """Whether the user knows, or need not know, that the link is gone."""

    def __repr__(self) -> str:
        """Name the link."""
        return f"<{type(self).__name__} {self.name!r} {self.state.value}>"

    @property
    def attached(self) -> bool:
        """Whether both ends are attached."""
        return self.state is LinkState.ATTACHED

    def attach(
        self,
        *,
        source: Source | Described | None,
        target: Target | Described | None,
        snd_settle_mode: int | None = None,
        rcv_settle_mode: int | None = None,
        max_message_size: int | None = None,
        properties: Mapping[str, object] | None = None,
        initial_delivery_count: int = 0,
    ) -> None:
        """Send our attach; for ``Session``, and for ``accept``."""
        # Zero would mean no limit (part 2, 2.7.3), and there always is one here.
        limit = max_message_size or self.session.limits.max_message_size
        self._prepare(limit, initial_delivery_count)
        self.session.write(
            Attach(
                name=self.name,
                handle=self.handle,
                role=self.role,
                snd_settle_mode=self.snd_settle_mode if snd_settle_mode is None else snd_settle_mode,
                rcv_settle_mode=self.rcv_settle_mode if rcv_settle_mode is None else rcv_settle_mode,
                source=source,
                target=target,
                # part 2, 2.7.3: "This MUST NOT be null if role is sender, and it is ignored if the role is receiver."
                initial_delivery_count=None if self.role else initial_delivery_count,
                max_message_size=limit,
                properties=properties,
            )
        )

    def accept(
        self,
        *,
        source: Source | Described,
        target: Target | Described,
        snd_settle_mode: int | None = None,
        rcv_settle_mode: int | None = None,
        max_message_size: int | None = None,
        properties: Mapping[str, object] | None = None,
        initial_delivery_count: int = 0,
    ) -> None:
        """Answer a requested link. Settle modes left out are the peer's, the size left out is the connection's."""
        if self.state is not LinkState.REQUESTED:
            return
        self.state = LinkState.ATTACHED
        self.attach(
            source=source,
            target=target,
            snd_settle_mode=snd_settle_mode,
            rcv_settle_mode=rcv_settle_mode,
            max_message_size=max_message_size,
            properties=properties,
            initial_delivery_count=initial_delivery_count,
        )

    def refuse(self, error: AmqpError) -> None:
        """Answer a requested link with the reason why there will be none; no ``LinkDetached`` follows."""
        if self.state is LinkState.REQUESTED:
            self.reported = True
            self._detach(error, closed=True)

    def detach(self, error: AmqpError | None = None, *, closed: bool = True) -> None:
        """End the link. What is unsettled is forgotten; ``LinkDetached`` follows when the peer confirms."""
        if self.state in {LinkState.REQUESTED, LinkState.ATTACHING, LinkState.ATTACHED}:
            self._detach(error, closed=closed)

    def fail(self, error: AmqpError, events: list[Event]) -> None:
        """End the link because of what the peer did on it; for the engine."""
        self._detach(error, closed=True)
        self.reported = True
        events.append(LinkDetached(self.itself(), error, closed=True))

    def on_attach(self, attach: Attach) -> bool:
        """Take the peer's attach; returns whether the link now is of use."""
        self.source = attach.source
        self.target = attach.target
        self.snd_settle_mode = attach.snd_settle_mode
        self.rcv_settle_mode = attach.rcv_settle_mode
        self.properties = attach.properties
        # part 2, 2.7.3: "If this field is zero or unset, there is no maximum size imposed by the link endpoint."
        self.remote_max_message_size = attach.max_message_size or None
        # part 2, 2.6.3: a link that the peer does not make an end for is answered without that end, and detached next.
        terminus = attach.source if self.role else attach.target
        if self.state is not LinkState.ATTACHING or terminus is None:
            return False
        self.state = LinkState.ATTACHED
        return True

    def on_detach(self, detach: Detach, events: list[Event]) -> None:
        """Take the peer's detach and answer it."""
        if self.state is not LinkState.DETACHING:
            # part 2, 2.6.6: a detach with closed set is answered with closed set.
            self._detach(None, closed=detach.closed)
        self.state = LinkState.DETACHED
        if not self.reported:
            events.append(LinkDetached(self.itself(), detach.error, detach.closed))

    def abandon(self) -> None:
        """Take note that the session is gone."""
        self.state = LinkState.DETACHED
        self._drop()

    @abstractmethod
    def itself(self) -> SenderLink | ReceiverLink:
        """Return the link as the one of the two kinds that it is."""

    def _detach(self, error: AmqpError | None, *, closed: bool) -> None:
        if self.state is LinkState.REQUESTED:
            # part 2, 2.6.3: an attach is answered with an attach, even when a detach is all there is to say.
            self.attach(source=None, target=None)
        self.state = LinkState.DETACHING
        self.session.forget(self.itself())
        self._drop()
        self.session.write(Detach(self.handle, closed, error))

    @abstractmethod
    def _prepare(self, max_message_size: int, initial_delivery_count: int) -> None:
        """Take what our attach says."""

    @abstractmethod
    def _drop(self) -> None:
        """Forget credit and what has come in part."""
