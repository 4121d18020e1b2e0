"""What ``c2dkit hub`` tells once it accepts connections: on the screen, and in a file for programs."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from c2dkit.hub import LocalHub

__all__ = ["describe_ready", "facts_of", "ready_file", "secrets_of"]

MOST_SHOWN = 20
PORT_NAMES = ("amqp", "mqtt", "https")  # the last only where it was asked for


def facts_of(hub: LocalHub) -> dict[str, object]:
    """Return where the hub is, which is no secret."""
    return {
        "host": hub.host,
        "ports": dict(zip(PORT_NAMES, hub.ports, strict=False)),
        "ca_file": str(hub.ca_file),
    }


def secrets_of(hub: LocalHub) -> dict[str, object]:
    """Return what clients connect with, and the address of the status page; all of it has keys."""
    return {
        "service_connection_string": hub.service_connection_string,
        "owner_connection_string": hub.owner_connection_string,
        "devices": {device_id: hub.device_connection_string(device_id) for device_id in hub.device_ids},
        "status_url": hub.status_url,
    }


@contextmanager
def ready_file(path: Path | None, facts: Mapping[str, object]) -> Generator[None]:
    """Have the ready file, if one is wanted, as long as the hub takes connections."""
    if path is None:
        yield
        return
    _write_atomically(path, json.dumps(facts, indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def describe_ready(hub: LocalHub) -> str:
    """Return what a person needs to connect clients."""
    ports = ", ".join(map(str, hub.ports))
    strings = [f"  {device_id}: {hub.device_connection_string(device_id)}" for device_id in hub.device_ids[:MOST_SHOWN]]
    if len(hub.device_ids) > MOST_SHOWN:
        strings.append(f"  and {len(hub.device_ids) - MOST_SHOWN} more; --ready-file has them all")
    devices = "\n".join(strings)
    return f"""\
The hub listens on {hub.host}, ports {ports}; each takes AMQP, MQTT, HTTPS and WebSockets. Ctrl+C ends it.

Back end:
  {hub.service_connection_string}
  with the right to read the registry as well (queue depth):
  {hub.owner_connection_string}
Devices:
{devices}
Status page, for a browser:
  {hub.status_url}

Its certificate authority, which is new on every start without --data-dir: {hub.ca_file}
  c2dkit, and Python's ssl:   export SSL_CERT_FILE={hub.ca_file}
  Node.js SDKs:               export NODE_EXTRA_CA_CERTS={hub.ca_file}
  Python over HTTPS:          export REQUESTS_CA_BUNDLE={hub.ca_file}
  azure-iot-device:           server_verification_cert=pathlib.Path("{hub.ca_file}").read_text()
  azure-iot-hub (AMQP):       trusts certifi.where() only: append the file to a copy of that bundle and have
                              certifi.where return the copy

The official SDKs dial ports 5671 (AMQP), 8883 (MQTT) and 443 (HTTPS, WebSockets: --https-port), whatever the hub's
are; only Node.js takes HostName=host:port, and only for AMQP and MQTT. c2dkit takes it for everything: write
HostName={hub.host}:{hub.port} for purge, queue depth, https, amqp-ws and mqtt-ws where nothing listens on 443.
"""


def _write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner may read, for it has keys; nobody ever sees a part of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
