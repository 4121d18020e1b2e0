"""A request and its reply, as the endpoints see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from c2dkit._errors import MessageLockLostError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit.hub._certificates import ClientCertificate
    from c2dkit.hub._peer import Peer

__all__ = ["NO_CONTENT", "Reply", "Request", "lock_of"]


@dataclass(slots=True)
class Request:
    """A request.

    Attributes:
        method: In capitals.
        path: As it came, percent-encoded, without the query.
        query: The parameters by name; "" for one without a value.
        authorization: The header, a secret, or None.
        headers: All headers, names in any case.
        certificate: What the client showed in the TLS handshake, or None.
        if_match: The header, or None.
        host: The ``Host`` header, which a browser takes from the address that it was given; "" for none.
        peer: Who asks.
        body: As it came, empty where the endpoint has no need of one.
        granted: Whether token, certificate or key has been found good.
    """

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    certificate: ClientCertificate | None
    if_match: str | None
    host: str
    peer: Peer
    body: bytes = field(default=b"", repr=False)
    granted: bool = False


class Reply(NamedTuple):
    """What is sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


NO_CONTENT: Final = Reply(204, {}, b"")


def lock_of(text: str) -> UUID:
    """Read a lock token as it stands in a path.

    Raises:
        MessageLockLostError: It is none, so nothing is locked by it (the status is inferred).
    """
    try:
        return UUID(text)
    except ValueError:
        raise MessageLockLostError("no message was ever locked by this lock token") from None
