"""What ``c2dkit hub`` shows on standard output: lines for people, JSON for machines, or nothing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import typer
from rich.console import Console
from rich.text import Text

from c2dkit.cli._hub_ready import describe_ready, facts_of
from c2dkit.hub._event_text import describe
from c2dkit.hub._events import document_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from c2dkit.hub import HubEvent, LocalHub

__all__ = ["JsonOutput", "Output", "TextOutput", "follow"]

STYLES: Final[Mapping[str, str]] = {
    "completed": "green",
    "connected": "green",
    "added": "green",
    "locked": "cyan",
    "abandoned": "yellow",
    "lock expired": "yellow",
    "released": "yellow",
    "disconnected": "yellow",
    "refused": "red",
    "rejected": "red",
    "expired": "red",
    "delivery count exceeded": "red",
    "purged": "red",
    "missed": "red",
}
WHO_WIDTH: Final = 16
WHAT_WIDTH: Final = 13


class Output:
    """Shows nothing; the other ways to show what happens are made of it."""

    def ready(self, hub: LocalHub) -> None:
        """Show that the hub accepts connections."""

    def event(self, event: HubEvent) -> None:
        """Show one event; may block."""

    def stopped(self) -> None:
        """Show that the hub has stopped."""


async def follow(events: AsyncIterator[HubEvent], output: Output) -> None:
    """Show events until there are no more; whoever holds up the output, by Ctrl+S say, does not hold up the hub."""
    async for event in events:
        await anyio.to_thread.run_sync(output.event, event)


class TextOutput(Output):
    """For people, with colours where a terminal shows them."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False)

    def ready(self, hub: LocalHub) -> None:
        """Print what is needed to connect clients."""
        typer.echo(describe_ready(hub))

    def event(self, event: HubEvent) -> None:
        """Print a line."""
        with self._console.capture() as capture:  # rich ends the process where nobody reads any more; typer does not
            self._console.print(_line(event))
        typer.echo(capture.get(), nl=False)

    def stopped(self) -> None:
        """Print a line."""
        typer.echo("The hub has stopped.")


class JsonOutput(Output):
    """For machines: one object a line, the first for the hub itself; none has a secret."""

    def ready(self, hub: LocalHub) -> None:
        """Print where the hub is."""
        _write({"event": "ready", **facts_of(hub), "devices": list(hub.device_ids)})

    def event(self, event: HubEvent) -> None:
        """Print an object."""
        _write(document_of(event))


def _line(event: HubEvent) -> Text:
    who, what, detail = describe(event)
    return Text.assemble(
        (f"{event.at.astimezone():%H:%M:%S.%f}"[:-3], "dim"),
        "  ",
        (f"{who:<{WHO_WIDTH}}", "bold"),
        "  ",
        (f"{what:<{WHAT_WIDTH}}", STYLES.get(what, "")),
        "  ",
        detail,
    )


def _write(document: Mapping[str, object]) -> None:
    typer.echo(json.dumps(document, default=datetime.isoformat))
