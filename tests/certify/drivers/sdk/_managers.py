"""The registry managers of azure-iot-hub, by the names that the steps give them; for the transport in the first argument."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from tests.certify.drivers.sdk._trust import trust_hub

trust_hub()

import uamqp  # noqa: E402 - it reads certifi when it is imported
from azure.iot.hub import IoTHubRegistryManager  # noqa: E402
from msrest.exceptions import HttpOperationError  # noqa: E402

from tests.certify.drivers.sdk import _uamqp_errors  # noqa: E402

if TYPE_CHECKING:
    from tests.certify.drivers._lines import Fields

__all__ = ["PACKAGES", "close", "connect", "manager", "name_of", "reset"]

PACKAGES = ("azure-iot-hub", "uamqp")
TRANSPORT = {"AMQP-WS": uamqp.TransportType.AmqpOverWebsocket}.get(sys.argv[1], uamqp.TransportType.Amqp)

managers: dict[str, IoTHubRegistryManager] = {}


class AccessToken(NamedTuple):
    token: str
    expires_on: int


class Entra:
    """Gives the token that the runner has made."""

    def __init__(self, token: Fields) -> None:
        self._token = AccessToken(token["token"], token["expires_at"])

    def get_token(self, *_: str) -> AccessToken:
        return self._token


def manager(step: Fields) -> IoTHubRegistryManager:
    """Return the one that a step means."""
    return managers[step["client"]]


def connect(step: Fields) -> None:
    """Make one; the package connects with its first request."""
    if token := step.get("entra_token"):
        made = IoTHubRegistryManager.from_token_credential(step["host"], Entra(token), TRANSPORT)
    else:
        made = IoTHubRegistryManager.from_connection_string(step["connection_string"], TRANSPORT)
    made.protocol.config.retry_policy.retries = 0
    managers[step["client"]] = made


def close(step: Fields) -> None:
    """Close one."""
    gone = managers.pop(step["client"])
    gone.amqp_svc_client.disconnect_sync()
    gone.protocol.close()


def name_of(error: Exception) -> str:
    """Return the class, and the status or the AMQP condition that it has."""
    if isinstance(error, HttpOperationError):
        return f"HttpOperationError({error.response.status_code})"
    return _uamqp_errors.name_of(error)


def reset(_: Fields) -> None:
    """Close all."""
    for client in list(managers):
        close({"client": client})
