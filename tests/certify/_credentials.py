"""What a client connects with: made from the hub, as its owner would hand it out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from c2dkit._rules import sas
from c2dkit.hub import TokenIssuer

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub

    from ._hub_side import HubSide
    from ._model import Fields

__all__ = ["ISSUER", "SECONDARY_KEY", "device_credential", "service_credential"]

HOUR: Final = timedelta(hours=1)
SECONDARY_KEY: Final = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
WRONG_KEY: Final = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
ISSUER: Final = TokenIssuer.create()
STRANGER: Final = TokenIssuer.create("https://stranger.invalid")
POLICIES: Final = {"key": "service", "owner": "iothubowner", "device-policy": "device"}


def device_credential(side: HubSide, device_id: str, kind: str) -> Fields:
    """Return the fields of a step that connects a device."""
    hub = side.hub
    where = {"host": hub.host, "port": hub.port, "device_id": device_id}
    text = f"{_host(hub)};DeviceId={device_id};"
    if certificate := side.certificates.get(device_id):
        shown = hub.issue_certificate("somebody-else") if kind == "other-certificate" else certificate
        return where | {"connection_string": f"{text}x509=true", "certificate": shown.decode()}
    if kind.endswith("token"):
        token = _device_token(hub, device_id, kind)
        return where | {"connection_string": f"{text}SharedAccessSignature={token}", "token": token}
    return where | {"connection_string": f"{text}SharedAccessKey={_device_key(side, device_id, kind)}"}


def service_credential(hub: LocalHub, kind: str) -> Fields:
    """Return the fields of a step that connects a back end or an administrator."""
    where = {"host": hub.host, "port": hub.port}
    if kind.endswith("entra"):
        expires_at = datetime.now(UTC) + HOUR
        token = (ISSUER if kind == "entra" else STRANGER).token(HOUR)
        return where | {"entra_token": {"token": token, "expires_at": int(expires_at.timestamp())}}
    if kind.endswith("token"):
        token = _policy_token(hub, hub.host, "service", kind)
        return where | {"connection_string": f"{_host(hub)};SharedAccessSignature={token}", "token": token}
    return where | {"connection_string": _service_string(hub, kind)}


def _service_string(hub: LocalHub, kind: str) -> str:
    if kind in POLICIES:
        return hub.connection_string(POLICIES[kind])
    policy = "service" if kind == "wrong-key" else "nobody"
    return f"{_host(hub)};SharedAccessKeyName={policy};SharedAccessKey={WRONG_KEY}"


def _device_key(side: HubSide, device_id: str, kind: str) -> str:
    if kind == "wrong-key" or device_id not in side.device_ids():
        return WRONG_KEY
    if kind == "old-key":
        return side.first_keys[device_id]
    return SECONDARY_KEY if kind == "secondary-key" else _key_in(side.hub.device_connection_string(device_id))


def _device_token(hub: LocalHub, device_id: str, kind: str) -> str:
    resource = f"{hub.host}/devices/{device_id}"
    if kind.endswith("policy-token"):
        return _policy_token(hub, resource, "device" if kind == "policy-token" else "service", kind)
    return _sign(resource, _key_in(hub.device_connection_string(device_id)), kind)


def _policy_token(hub: LocalHub, resource: str, policy: str, kind: str) -> str:
    return _sign(resource, _key_in(hub.connection_string(policy)), kind, policy)


def _sign(resource: str, key: str, kind: str, policy: str | None = None) -> str:
    lifetime = -timedelta(minutes=10) if kind == "expired-token" else HOUR
    return sas.sign(resource, key, datetime.now(UTC) + lifetime, policy, lifetime=HOUR).text


def _key_in(connection_string: str) -> str:
    return connection_string.partition("SharedAccessKey=")[2]


def _host(hub: LocalHub) -> str:
    return hub.service_connection_string.partition(";")[0]
