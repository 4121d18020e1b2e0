"""What a peer's bytes mean: one named tuple for each packet that an application has to know of."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

__all__ = [
    "ClientEvent",
    "ConnackReceived",
    "ConnectReceived",
    "DisconnectReceived",
    "PubackReceived",
    "PublishReceived",
    "ServerEvent",
    "SubackReceived",
    "SubscribeReceived",
    "UnsubackReceived",
    "UnsubscribeReceived",
    "Will",
]


class ConnackReceived(NamedTuple):
    """The server's answer to CONNECT; a return code of 1 to 5 refuses the connection."""

    session_present: bool
    return_code: int


class PublishReceived(NamedTuple):
    """A message. With QoS 1 it stays unacknowledged until this end says otherwise; with QoS 0 it has no packet id."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int | None


class PubackReceived(NamedTuple):
    """The peer has acknowledged a message that this end had published and not seen acknowledged before."""

    packet_id: int


class SubackReceived(NamedTuple):
    """The answer to SUBSCRIBE: for each filter the granted QoS, or 0x80 where it was refused."""

    packet_id: int
    return_codes: tuple[int, ...]


class UnsubackReceived(NamedTuple):
    """The answer to UNSUBSCRIBE."""

    packet_id: int


class Will(NamedTuple):
    """What the server is to publish when the connection ends without DISCONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class ConnectReceived(NamedTuple):
    """A client wants to connect; ``keep_alive`` is in seconds, 0 meaning none."""

    client_id: str
    clean_session: bool
    keep_alive: int
    username: str | None
    password: bytes | None
    will: Will | None

    def __repr__(self) -> str:
        """Show who it is, and nothing that could be a secret."""
        return f"ConnectReceived(client_id={self.client_id!r}, clean_session={self.clean_session}, ...)"


class SubscribeReceived(NamedTuple):
    """A client asks for subscriptions: well-formed topic filters, each with the QoS it wants (0, 1 or 2)."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


class UnsubscribeReceived(NamedTuple):
    """A client gives subscriptions up."""

    packet_id: int
    filters: tuple[str, ...]


class DisconnectReceived(NamedTuple):
    """The client ends the connection in order, so its will is void (MQTT-3.14.4-3)."""


ClientEvent: TypeAlias = ConnackReceived | PublishReceived | PubackReceived | SubackReceived | UnsubackReceived
ServerEvent: TypeAlias = (
    ConnectReceived | PublishReceived | PubackReceived | SubscribeReceived | UnsubscribeReceived | DisconnectReceived
)
