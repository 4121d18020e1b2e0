"""The commands, one module each."""

from __future__ import annotations

import typer

from c2dkit.cli.demo import demo
from c2dkit.cli.fault import fault
from c2dkit.cli.hub import hub

__all__ = ["app"]

app = typer.Typer(
    help="Azure IoT Hub cloud-to-device messages.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


@app.callback()
def root() -> None:
    """Azure IoT Hub cloud-to-device messages."""


app.command()(demo)
app.command()(hub)
app.command()(fault)
