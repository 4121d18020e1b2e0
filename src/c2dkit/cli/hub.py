"""``c2dkit hub``: runs a local hub in the foreground."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from c2dkit._errors import C2dError
from c2dkit.hub import HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import FrameType

__all__ = ["hub"]

STANDARD_AMQP_PORT = 5671
STANDARD_MQTT_PORT = 8883
MOST_SHOWN = 20
PORT_NAMES = ("amqp", "mqtt", "https")  # the last only where it was asked for


def hub(
    host: Annotated[
        str, typer.Option(help="Name or address to listen on. Anything but this machine's loopback opens it to others.")
    ] = "localhost",
    amqp_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = STANDARD_AMQP_PORT,
    mqtt_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = STANDARD_MQTT_PORT,
    https_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="One more port; 443 is what official SDKs dial for HTTPS and WebSockets, and takes privileges. "
            "0 takes a free port. [default: none]",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="A device to start with; may be repeated. [default: dev-1, or those of --registry]"
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Devices and policies to start with, as JSON."),
    ] = None,
    development_key: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(
            "--development-key",
            help="One well-known key for all that has none of its own, so that connection strings are the same on every "
            "machine. Only on loopback.",
        ),
    ] = False,
    feedback_interval: Annotated[
        float, typer.Option(metavar="SECONDS", help="Least time between two batches of feedback; 0 to 15.")
    ] = 15.0,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write the connection strings here, as JSON, once the hub accepts connections; removed at the end.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Run a local hub until it is interrupted. Nothing is kept beyond its end.

    Clients of c2dkit and the official Azure SDKs work against it. Every port takes AMQP, MQTT, HTTPS and WebSockets.
    """
    if verbose:
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
        logging.getLogger("c2dkit").setLevel(logging.DEBUG)
    try:
        local_hub = LocalHub(
            devices=device,
            host=host,
            amqp_port=amqp_port,
            mqtt_port=mqtt_port,
            https_port=https_port,
            options=HubOptions(feedback_interval=timedelta(seconds=feedback_interval)),
            registry_file=registry,
            development_key=development_key,
        )
        asyncio.run(_serve(local_hub, ready_file))
    except (C2dError, OSError) as error:
        typer.secho(f"c2dkit hub: {_explain(error)}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error


async def _serve(hub: LocalHub, ready_file: Path | None) -> None:
    with _signals() as stopped:
        async with hub:
            with _ready(ready_file, _facts(hub)):
                typer.echo(_describe(hub))
                await stopped.wait()
    typer.echo("The hub has stopped.")


@contextmanager
def _signals() -> Generator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopped.set)

    # Not loop.add_signal_handler, which Windows does not have.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ready(path: Path | None, facts: Mapping[str, object]) -> Generator[None]:
    """Have the ready file, if one is wanted, as long as the hub takes connections."""
    if path is None:
        yield
        return
    _write_atomically(path, json.dumps(facts, indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _facts(hub: LocalHub) -> dict[str, object]:
    return {
        "service_connection_string": hub.service_connection_string,
        "owner_connection_string": hub.owner_connection_string,
        "devices": {device_id: hub.device_connection_string(device_id) for device_id in hub.device_ids},
        "ca_file": str(hub.ca_file),
        "host": hub.host,
        "ports": dict(zip(PORT_NAMES, hub.ports, strict=False)),
    }


def _describe(hub: LocalHub) -> str:
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

Its certificate authority, which is new on every start: {hub.ca_file}
  c2dkit, and Python's ssl:   export SSL_CERT_FILE={hub.ca_file}
  Node.js SDKs:               export NODE_EXTRA_CA_CERTS={hub.ca_file}
  Python over HTTPS:          export REQUESTS_CA_BUNDLE={hub.ca_file}
  azure-iot-device:           server_verification_cert=pathlib.Path("{hub.ca_file}").read_text()
  azure-iot-hub (AMQP):       trusts certifi.where() only: append the file to a copy of that bundle and have
                              certifi.where return the copy

The official SDKs dial ports 5671 (AMQP), 8883 (MQTT) and 443 (HTTPS, WebSockets: --https-port), whatever the hub's
are; only Node.js takes HostName=host:port, and only for AMQP and MQTT.
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


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}. Other ports: --amqp-port, --mqtt-port, --https-port, where 0 takes a free one."
    return str(error)
