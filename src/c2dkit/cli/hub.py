"""``c2dkit hub``: runs a local hub in the foreground."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import typer

from c2dkit._errors import C2dError
from c2dkit.cli._hub_console import JsonOutput, Output, TextOutput, follow
from c2dkit.cli._hub_ready import facts_of, ready_file, secrets_of
from c2dkit.cli._hub_settings import options_of
from c2dkit.hub import Fault, LocalHub

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import FrameType

__all__ = ["hub"]

STANDARD_AMQP_PORT = 5671
STANDARD_MQTT_PORT = 8883

PORT_ERRORS: Final = (errno.EADDRINUSE, errno.EACCES)
"""What the operating system says of a port that is taken, or that takes privileges."""

LAST_EVENTS_SECONDS: Final = 5.0
"""How long the end of the hub waits for whoever reads what it shows, and may have stopped reading."""


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
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other of the hub's options, for example max_delivery_count=3, default_ttl=PT10M or tier=S1; may be "
            "repeated.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Keep keys, devices, messages and feedback in this folder, beyond the end of the hub, however it comes. "
            "A new folder is made. [default: in memory only]",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT", help='What is to go wrong, such as "drop device=dev-1 after=5"; may be repeated.'
        ),
    ] = None,
    ready: Annotated[
        Path | None,
        typer.Option(
            "--ready-file",
            metavar="PATH",
            help="Write the connection strings here, as JSON, once the hub accepts connections; removed at the end.",
        ),
    ] = None,
    as_json: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--json", help="Show what happens as JSON, one object a line, without secrets.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,  # noqa: FBT002 - a flag
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to standard error as well.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Run a local hub until it is interrupted, and show what happens in it. Without --data-dir nothing is kept.

    Clients of c2dkit and the official Azure SDKs work against it. Every port takes AMQP, MQTT, HTTPS and WebSockets.
    """
    if verbose:
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
        logging.getLogger("c2dkit").setLevel(logging.DEBUG)
    try:
        faults = [Fault.parse(text) for text in fault or []]
        local_hub = LocalHub(
            devices=device,
            host=host,
            amqp_port=amqp_port,
            mqtt_port=mqtt_port,
            https_port=https_port,
            options=options_of(settings or (), feedback_interval=feedback_interval),
            registry_file=registry,
            development_key=development_key,
            data_dir=data_dir,
        )
        asyncio.run(_serve(local_hub, ready, faults, _output(as_json=as_json, quiet=quiet)))
    except BrokenPipeError:
        raise  # whoever read the output has enough, which typer takes for an end
    except (C2dError, OSError) as error:
        typer.secho(f"c2dkit hub: {_explain(error)}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error


def _output(*, as_json: bool, quiet: bool) -> Output:
    if as_json and quiet:
        raise typer.BadParameter("--json shows what happens and --quiet does not: give one of them")
    if quiet:
        return Output()
    return JsonOutput() if as_json else TextOutput()


async def _serve(hub: LocalHub, ready: Path | None, faults: Sequence[Fault], output: Output) -> None:
    with hub.events() as events:
        with _signals() as stopped:
            async with hub:
                with ready_file(ready, {**secrets_of(hub), **facts_of(hub)}):
                    output.ready(hub)
                    for fault in faults:
                        hub.inject(fault)
                    following = asyncio.create_task(follow(events, output))
                    failing = asyncio.create_task(hub.wait_failed())
                    for end in (following, failing):
                        end.add_done_callback(lambda _: stopped.set())
                    await stopped.wait()
                    failing.cancel()
        if not await _ends(following):
            # The thread that writes cannot be ended, and Python would wait for it. The hub itself has stopped by now.
            os._exit(1)
    output.stopped()


async def _ends(following: asyncio.Task[None]) -> bool:
    """Wait until the last event has been shown; return False where nobody reads any more."""
    done, _ = await asyncio.wait([following], timeout=LAST_EVENTS_SECONDS)
    if done:
        await following
    return bool(done)


@contextmanager
def _signals() -> Generator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set, and SIGHUP: a terminal that is closed leaves no ready file behind."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopped.set)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        numbers.append(signal.SIGHUP)
    # Not loop.add_signal_handler, which Windows does not have.
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(error: Exception) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if error.errno in PORT_ERRORS:
        return f"{error.strerror}. Other ports: --amqp-port, --mqtt-port, --https-port, where 0 takes a free one."
    return str(error.strerror)
