"""Who is at the other end of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from anyio import TypedAttributeSet, typed_attribute
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from anyio.abc import ByteStream

__all__ = ["Peer", "TunnelAttribute", "peer_of"]


class TunnelAttribute(TypedAttributeSet):
    """What a stream has that goes through a WebSocket, and no other."""

    subprotocol: str = typed_attribute()


class Peer(NamedTuple):
    """The other end of a connection.

    Attributes:
        protocol: ``"AMQP"``, ``"MQTT"`` or ``"HTTPS"``.
        websocket: Whether the protocol goes through a WebSocket.
        address: As in ``127.0.0.1:53412`` and ``[::1]:53412``; empty where the connection is gone already.
    """

    protocol: str
    websocket: bool
    address: str


def peer_of(stream: ByteStream, protocol: str) -> Peer:
    """Return who is at the other end of a stream."""
    subprotocol: str | None = stream.extra(TunnelAttribute.subprotocol, None)  # noqa: S610 - anyio's, not Django's
    remote: object = stream.extra(SocketAttribute.remote_address, None)  # noqa: S610
    match remote:
        case (str(host), int(port), *_):
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case _:
            address = ""
    return Peer(protocol, subprotocol is not None, address)
