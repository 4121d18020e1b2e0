"""The words that cases and SDKs are written in; README.md explains them."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["CREDENTIALS", "ERRORS", "NEEDS", "VERBS", "Verb"]

NEEDS: Final = {
    "ack": "hand out which feedback was asked for",
    "abandon": "abandon a message",
    "any_order": "settle in any order",
    "bytes": "hand out a body as bytes",
    "connection": "hold a connection that can break",
    "etag": "write only where an ETag still holds",
    "hold": "keep a message without settling it",
    "hub_properties": "hand out what the hub adds to a message",
    "lock": "hold a message under a lock that runs out",
    "purge": "purge a queue",
    "reconnect": "connect again by itself",
    "reject": "reject a message",
    "renewal": "renew a token while connected",
    "to": "hand out the address that a message was sent to",
    "token": "sign in with a ready-made token",
    "unicode": "hand out properties beyond ASCII",
    "user_id": "carry a user id",
    "x509": "sign in with a certificate",
}
"""What a client may lack, by the word that a case needs it by."""

ERRORS: Final = (
    "already_exists",
    "bad_request",
    "etag_mismatch",
    "expired",
    "lock_lost",
    "not_found",
    "queue_full",
    "too_large",
    "unauthorized",
    "unsupported",
)
"""What a client may be told; a leg says by which name its SDK tells it."""


_POLICY_CREDENTIALS: Final = (
    "key",
    "owner",
    "token",
    "expired-token",
    "wrong-key",
    "unknown-policy",
    "device-policy",
    "entra",
    "stranger-entra",
)
CREDENTIALS: Final = {
    "device": (
        "key",
        "secondary-key",
        "old-key",
        "wrong-key",
        "token",
        "expired-token",
        "policy-token",
        "service-policy-token",
        "other-certificate",
    ),
    "service": _POLICY_CREDENTIALS,
    "registry": _POLICY_CREDENTIALS,
}
"""What each side can connect with."""


class Verb(NamedTuple):
    """The fields that a step must have, and those that it may have."""

    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()


def _verb(must: str = "", may: str = "") -> Verb:
    return Verb(frozenset(must.split()), frozenset(may.split()))


VERBS: Final = {
    ("device", "connect"): _verb(may="with device client renew reconnect"),
    ("device", "refused"): _verb("error", "with device"),
    ("device", "receive"): _verb("expect", "client as"),
    ("device", "receive_all"): _verb("count", "client"),
    ("device", "complete"): _verb(may="of client error"),
    ("device", "abandon"): _verb(may="of client error"),
    ("device", "reject"): _verb(may="of client error"),
    ("device", "lost"): _verb(may="client"),
    ("device", "renewed"): _verb(may="client"),
    ("device", "close"): _verb(may="client"),
    ("service", "connect"): _verb(may="with"),
    ("service", "refused"): _verb("error", "with"),
    ("service", "send"): _verb("message", "device error"),
    ("service", "send_all"): _verb("count", "device"),
    ("service", "feedback"): _verb("expect", "device"),
    ("service", "purge"): _verb("expect", "device"),
    ("service", "lost"): _verb(),
    ("service", "close"): _verb(),
    ("registry", "connect"): _verb(may="with"),
    ("registry", "refused"): _verb("error", "with"),
    ("registry", "create"): _verb(may="device identity expect error"),
    ("registry", "read"): _verb(may="device expect error"),
    ("registry", "update"): _verb("identity", "device expect error"),
    ("registry", "delete"): _verb(may="device error"),
    ("registry", "list"): _verb("devices"),
    ("registry", "statistics"): _verb("expect"),
    ("registry", "create_all"): _verb("devices expect"),
    ("registry", "delete_all"): _verb("devices expect"),
    ("hub", "advance"): _verb("seconds"),
    ("hub", "drop"): _verb(),
    ("hub", "disable"): _verb(may="device"),
    ("hub", "enable"): _verb(may="device"),
    ("hub", "remove"): _verb(may="device"),
    ("hub", "rotate"): _verb(may="device"),
    ("hub", "holds"): _verb("expect", "device"),
}
"""Every step that there is, by who takes it."""
