"""The composite types of the connection, its sessions and links: performatives, termini and delivery states.

Names and defaults are the specification's, with ``-`` as ``_`` (AMQP 1.0 part 2, 2.7; part 3, 3.4 and 3.5;
part 5, 5.3.3). A field without a default is mandatory. A field that may hold several values is a tuple, and empty
where the wire has null. What kind of value a field takes on the wire stands in ``_composites``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ._types import Described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._errors import AmqpError

__all__ = [
    "Accepted",
    "Attach",
    "Begin",
    "Close",
    "DeliveryState",
    "Detach",
    "Disposition",
    "End",
    "Flow",
    "Modified",
    "Open",
    "Outcome",
    "Performative",
    "Received",
    "Rejected",
    "Released",
    "SaslChallenge",
    "SaslInit",
    "SaslMechanisms",
    "SaslOutcome",
    "SaslPerformative",
    "SaslResponse",
    "Source",
    "Target",
    "Transfer",
]

UINT_MAX = 4294967295


# Outcomes are dataclasses: as tuples Accepted() and Released() would be equal, and false.
@dataclass(frozen=True, slots=True)
class Received:
    """Not an outcome: how much of a delivery the receiver has (part 3, 3.4.1)."""

    section_number: int
    section_offset: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Processed by the receiver (part 3, 3.4.2)."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Invalid and unprocessable (part 3, 3.4.3)."""

    error: AmqpError | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """Not processed and not to be: as if never sent (part 3, 3.4.4)."""


@dataclass(frozen=True, slots=True)
class Modified:
    """Not processed; the message is changed before it is sent again (part 3, 3.4.5)."""

    delivery_failed: bool | None = None
    undeliverable_here: bool | None = None
    message_annotations: Mapping[str, object] | None = None


Outcome: TypeAlias = Accepted | Rejected | Released | Modified
DeliveryState: TypeAlias = Outcome | Received | Described


class Source(NamedTuple):
    """Where the messages of a link come from (part 3, 3.5.3)."""

    address: str | None = None
    durable: int = 0
    expiry_policy: str = "session-end"
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: Mapping[str, object] | None = None
    distribution_mode: str | None = None
    filter: Mapping[str, object] | None = None
    default_outcome: Outcome | Described | None = None
    outcomes: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


class Target(NamedTuple):
    """Where the messages of a link go (part 3, 3.5.4)."""

    address: str | None = None
    durable: int = 0
    expiry_policy: str = "session-end"
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: Mapping[str, object] | None = None
    capabilities: tuple[str, ...] = ()


class Open(NamedTuple):
    """Negotiates the parameters of a connection (part 2, 2.7.1); ``idle_time_out`` in milliseconds."""

    container_id: str
    hostname: str | None = None
    max_frame_size: int = UINT_MAX
    channel_max: int = 65535
    idle_time_out: int | None = None
    outgoing_locales: tuple[str, ...] = ()
    incoming_locales: tuple[str, ...] = ()
    offered_capabilities: tuple[str, ...] = ()
    desired_capabilities: tuple[str, ...] = ()
    properties: Mapping[str, object] | None = None


class Begin(NamedTuple):
    """Begins a session on a channel (part 2, 2.7.2)."""

    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int = UINT_MAX
    offered_capabilities: tuple[str, ...] = ()
    desired_capabilities: tuple[str, ...] = ()
    properties: Mapping[str, object] | None = None


class Attach(NamedTuple):
    """Attaches a link to a session (part 2, 2.7.3); ``role`` is True for a receiver."""

    name: str
    handle: int
    role: bool
    snd_settle_mode: int = 2
    rcv_settle_mode: int = 0
    source: Source | Described | None = None
    target: Target | Described | None = None
    unsettled: Mapping[bytes, DeliveryState | None] | None = None
    incomplete_unsettled: bool = False
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: tuple[str, ...] = ()
    desired_capabilities: tuple[str, ...] = ()
    properties: Mapping[str, object] | None = None


class Flow(NamedTuple):
    """Updates the flow state of a session, and of a link where ``handle`` is given (part 2, 2.7.4)."""

    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool = False
    echo: bool = False
    properties: Mapping[str, object] | None = None


class Transfer(NamedTuple):
    """Carries a part of a message as the payload of its frame (part 2, 2.7.5)."""

    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool = False
    rcv_settle_mode: int | None = None
    state: DeliveryState | None = None
    resume: bool = False
    aborted: bool = False
    batchable: bool = False


class Disposition(NamedTuple):
    """Tells the peer of the state of deliveries (part 2, 2.7.6); ``role`` is True from a receiver.

    ``last`` absent means ``first``.
    """

    role: bool
    first: int
    last: int | None = None
    settled: bool = False
    state: DeliveryState | None = None
    batchable: bool = False


class Detach(NamedTuple):
    """Detaches a link, and closes it where ``closed`` is True (part 2, 2.7.7)."""

    handle: int
    closed: bool = False
    error: AmqpError | None = None


class End(NamedTuple):
    """Ends a session (part 2, 2.7.8)."""

    error: AmqpError | None = None


class Close(NamedTuple):
    """Closes a connection (part 2, 2.7.9)."""

    error: AmqpError | None = None


class SaslMechanisms(NamedTuple):
    """What a server offers (part 5, 5.3.3.1)."""

    sasl_server_mechanisms: tuple[str, ...]


class SaslInit(NamedTuple):
    """What a client chose (part 5, 5.3.3.2)."""

    mechanism: str
    initial_response: bytes | None = None
    hostname: str | None = None

    def __repr__(self) -> str:
        """Leave the credentials out."""
        return f"SaslInit(mechanism={self.mechanism!r}, hostname={self.hostname!r})"


class SaslChallenge(NamedTuple):
    """A challenge of the server (part 5, 5.3.3.3)."""

    challenge: bytes


class SaslResponse(NamedTuple):
    """The client's answer to a challenge (part 5, 5.3.3.4)."""

    response: bytes

    def __repr__(self) -> str:
        """Leave the credentials out."""
        return f"SaslResponse({len(self.response)} bytes)"


class SaslOutcome(NamedTuple):
    """How the authentication ended (part 5, 5.3.3.5); ``code`` 0 is success."""

    code: int
    additional_data: bytes | None = None


SaslPerformative: TypeAlias = SaslMechanisms | SaslInit | SaslChallenge | SaslResponse | SaslOutcome
Performative: TypeAlias = (
    Open | Begin | Attach | Flow | Transfer | Disposition | Detach | End | Close | SaslPerformative
)
