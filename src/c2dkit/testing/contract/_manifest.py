"""What a requirement is, and why one may not apply to a leg."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Reason", "Requirement"]


class Reason(Enum):
    """Why a requirement does not apply to a leg; a leg names those that are true of it."""

    IN_PROCESS = "it runs in this process: no address, no certificate, no bytes of a peer"
    NO_CONNECTION = "it asks anew each time: there is no connection to lose or to take over"
    RECONNECTS = "the client under it reconnects by itself and does not tell that a connection was lost"
    OWN_CREDENTIALS = "the client under it has credentials of its own kind, and no ready-made signature"
    PATIENT = "the HTTP client under it waits a minute for the end of an answer, whatever it begins with"
    SETTLES_ITSELF = "the client under it acknowledges by itself: nothing is held for the application"
    UNCONFIRMED = "the client under it does not hear what the hub says to a settlement"
    LOCK_TIME = "its lock ends with time"
    NO_LOCK_TIME = "its lock lasts as long as the connection"
    NO_CREDIT = "the wire has no credit: the hub sends all it may"
    HUB_PROPERTIES = "the wire carries what the hub adds to a message"
    NO_HUB_PROPERTIES = "the wire does not carry what the hub adds to a message"
    NO_ADDRESS = "the client under it does not show a message's `to`"
    VALUELESS = "the wire has properties without a value"
    NO_VALUELESS = "the wire has no property without a value"
    NO_USER_ID = "the client under it cannot send a user id"
    UNTOLD = "the client under it says of a send that failed no more than that it has"
    NO_SEND = "it has no way to send messages"
    NO_FEEDBACK = "it has no way to receive feedback"
    NO_QUEUE = "it has no way to purge a queue or to read its depth"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that every transport owes its users.

    Attributes:
        sentence: What is required.
        source: Who says so.
        excluded: A leg of which one of these is true is not asked.
    """

    sentence: str
    source: str
    excluded: frozenset[Reason] = frozenset()
