"""The commands, one module each."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from c2dkit.cli.demo import demo
from c2dkit.cli.fault import fault
from c2dkit.cli.hub import hub

__all__ = ["app"]

app = typer.Typer(
    help="Azure IoT Hub cloud-to-device messages.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


def _tell_version(wanted: bool | None) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"c2dkit {version('c2dkit')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool | None, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is.")
    ] = None,
) -> None:
    """Azure IoT Hub cloud-to-device messages."""


app.command()(demo)
app.command()(hub)
app.command()(fault)
