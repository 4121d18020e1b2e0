"""Turns the runs into the table that is printed, in Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.contestants import Contestant
    from bench.run import Flood, Idle

__all__ = ["Result", "render"]

REFERENCES = {"mqtt": ("azure-iot-device",), "amqp": ("uamqp", "Proton")}
FLOORS = {"mqtt": "raw replay MQTT", "amqp": "raw replay AMQP"}
COLUMNS = (
    "client",
    "msg/s, median (min..max)",
    "ratio to",
    "of the floor",
    "CPU µs/msg",
    "idle kB/connection",
    "threads",
    "peer's load",
)


@dataclass
class Result:
    """What is known of one client: its floods by round, its idle connection, and why it has none of them."""

    contestant: Contestant
    floods: dict[int, Flood] = field(default_factory=dict)
    idle: Idle | None = None
    problem: str | None = None


def render(results: list[Result]) -> str:
    """Return the table and, under it, what could not be measured and why."""
    by_name = {result.contestant.name: result for result in results}
    rows = [COLUMNS, ("---",) + ("---:",) * (len(COLUMNS) - 1)]
    rows += [_row(result, by_name) for result in results if result.floods or result.idle]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += [f"\n{result.contestant.name}: {result.problem}" for result in results if result.problem]
    return "\n".join(lines)


def _row(result: Result, by_name: dict[str, Result]) -> tuple[str, ...]:
    protocol = result.contestant.protocol
    references = ((name, _ratio(result, by_name.get(name))) for name in REFERENCES[protocol])
    floor = _ratio(result, by_name.get(FLOORS[protocol]))
    return (
        result.contestant.name,
        _rates(result),
        ", ".join(f"{name} {ratio:.2f}" for name, ratio in references if ratio is not None),
        "" if floor is None else f"{floor:.1%}",
        _median_of([flood.cpu_seconds * 1e6 for flood in result.floods.values()], ".1f"),
        "" if result.idle is None else f"{result.idle.bytes / 1000:.0f}",
        "" if result.idle is None else str(result.idle.threads),
        _median_of([flood.peer_load for flood in result.floods.values()], ".0%"),
    )


def _ratio(result: Result, reference: Result | None) -> float | None:
    """Return the median of the ratios within one round each, so that a slow minute of the machine hits both."""
    if reference is None:
        return None
    rounds = result.floods.keys() & reference.floods.keys()
    ratios = [result.floods[number].rate / reference.floods[number].rate for number in rounds]
    return median(ratios) if ratios else None


def _rates(result: Result) -> str:
    rates = [flood.rate for flood in result.floods.values()]
    return f"{median(rates):,.0f} ({min(rates):,.0f}..{max(rates):,.0f})" if rates else ""


def _median_of(values: list[float], form: str) -> str:
    return format(median(values), form) if values else ""
