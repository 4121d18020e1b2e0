"""Clients of uamqp: for each side one per link, with a connection of its own, which is how that package is used.

uamqp is an AMQP client that knows no IoT Hub: the addresses, and the tokens that it puts, are the application's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import uamqp
from uamqp import authentication, errors

if TYPE_CHECKING:
    from tests.certify.drivers._lines import Fields

__all__ = ["PAUSE", "Clients", "device_path", "take"]

TRANSPORT = uamqp.TransportType.AmqpOverWebsocket if sys.argv[1] == "AMQP-WS" else uamqp.TransportType.Amqp
PAUSE = 0.002
"""Seconds between two turns: uamqp has to be polled."""
TOKEN_SECONDS = 3600


class AccessToken(NamedTuple):
    token: str
    expires_on: int


class Signer:
    """What uamqp asks for a token, at first and when it is time for a new one."""

    def __init__(self, step: Fields) -> None:
        self._step = step
        self._seconds = step.get("token_seconds", TOKEN_SECONDS)
        self.count = 0

    def __call__(self) -> AccessToken:
        self.count += 1
        expiry = int(time.time()) + self._seconds
        if ready_made := self._step.get("token"):
            return AccessToken(ready_made, expiry)
        if bearer := self._step.get("entra_token"):
            return AccessToken(f"Bearer {bearer['token']}", expiry)
        return AccessToken(_sign(self._step, expiry), expiry)


def _sign(step: Fields, expiry: int) -> str:
    parts = dict(part.split("=", 1) for part in step["connection_string"].split(";"))
    path = f"/devices/{parts['DeviceId']}" if "DeviceId" in parts else ""
    resource = quote(parts["HostName"] + path, safe="")
    digest = hmac.new(base64.b64decode(parts["SharedAccessKey"]), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    token = f"SharedAccessSignature sr={resource}&sig={quote(base64.b64encode(digest.digest()), safe='')}&se={expiry}"
    return f"{token}&skn={parts['SharedAccessKeyName']}" if "SharedAccessKeyName" in parts else token


class Clients:
    """What one side has open, by path."""

    def __init__(self, step: Fields) -> None:
        self.signer = Signer(step)
        self.device_id: str = step["device_id"]
        self._step = step
        self._open: dict[str, Any] = {}

    def receiver(self, path: str) -> Any:
        """Return a receive client, ready."""
        return self._opened(path, uamqp.ReceiveClient, auto_complete=False)

    def sender(self, path: str) -> Any:
        """Return a send client, ready."""
        return self._opened(path, uamqp.SendClient)

    def close(self) -> None:
        """Close all."""
        for client in self._open.values():
            client.close()

    def _opened(self, path: str, kind: Any, **options: object) -> Any:
        if path not in self._open:
            client = self._open[path] = kind(
                f"amqps://{self._step['host']}{path}",
                auth=self._authentication(),
                transport_type=TRANSPORT,
                error_policy=errors.ErrorPolicy(max_retries=0),
                **options,
            )
            client.open()
            while not client.client_ready():
                time.sleep(PAUSE)
        return self._open[path]

    def _authentication(self) -> authentication.JWTTokenAuth:
        kind = b"bearer" if "entra_token" in self._step else b"servicebus.windows.net:sastoken"
        made = authentication.JWTTokenAuth(
            audience=self._step["host"],
            uri=f"https://{self._step['host']}",
            get_token=self.signer,
            token_type=kind,
            verify=os.environ["CERTIFY_CA_FILE"],
            transport_type=TRANSPORT,
            retry_policy=authentication.TokenRetryPolicy(retries=0),
            refresh_window=self._step.get("renewal_margin_seconds", 0),
        )
        made.update_token()
        return made


def device_path(device_id: str) -> str:
    """Return the address of a device's queue, at its hub."""
    return f"/devices/{quote(device_id, safe='')}/messages/devicebound"


def take(client: Any) -> Any:
    """Wait for the next message."""
    while not (batch := client.receive_message_batch(max_batch_size=1, timeout=10)):
        time.sleep(PAUSE)
    return batch[0]
