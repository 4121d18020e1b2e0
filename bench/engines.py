"""``python -m bench engines``: how fast each client library receives and acknowledges, and what being idle costs."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench import run
from bench.contestants import CONTESTANTS
from bench.foreign import Cache
from bench.table import Result, render

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["add_arguments", "main"]


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "c2dkit-bench"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--rounds", type=int, default=3, help="runs of each client, interleaved (default 3)")
    parser.add_argument("--messages", type=int, default=200_000, help="messages of a run, after the warm-up")
    parser.add_argument("--seconds", type=float, default=4.0, help="or so long, whichever comes first")
    parser.add_argument("--connections", type=int, default=30, help="idle connections to measure; 0 for none")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only clients with this in the name"
    )
    parser.add_argument("--cache", type=Path, default=_default_cache(), help="folder for the other libraries")


def main(arguments: argparse.Namespace) -> None:
    """Measure and print; timing decides nothing, so there is no exit status for it."""
    chosen = [c for c in CONTESTANTS if not arguments.only or any(part in c.name for part in arguments.only)]
    cache = Cache(arguments.cache)
    results = [Result(contestant, problem=cache.missing(contestant)) for contestant in chosen]
    with tempfile.TemporaryDirectory() as folder:
        certificates = run.Certificates(Path(folder), sorted({c.host for c in CONTESTANTS}))
        _measure_all(results, cache, certificates, arguments)
    print(render(results))


def _measure_all(
    results: list[Result], cache: Cache, certificates: run.Certificates, arguments: argparse.Namespace
) -> None:
    for number in range(arguments.rounds):
        for result in filter(_can_run, results):
            with _noting_failure(result, f"round {number + 1}"):
                result.floods[number] = run.flood(
                    result.contestant,
                    cache.command(result.contestant),
                    certificates,
                    messages=arguments.messages,
                    seconds=arguments.seconds,
                )
    for result in filter(_can_run, results):
        if arguments.connections and result.contestant.measures_idle:
            with _noting_failure(result, "idle"):
                result.idle = run.idle(
                    result.contestant,
                    cache.command(result.contestant),
                    certificates,
                    connections=arguments.connections,
                )


def _can_run(result: Result) -> bool:
    return result.problem is None


@contextmanager
def _noting_failure(result: Result, what: str) -> Iterator[None]:
    print(f"{what}: {result.contestant.name}", file=sys.stderr)
    try:
        yield
    except run.RunError as error:
        result.problem = f"{what}: {error}"
