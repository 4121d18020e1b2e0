"""The driver protocol of README.md: a step a line on standard input, what happened a line on standard output."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Fields", "class_name", "hello", "say", "serve"]

Fields = dict[str, Any]
"""A step, an answer, a message or a record: what a line of JSON holds."""


def class_name(error: Exception) -> str:
    """Return what an application would catch an error by."""
    return type(error).__name__


def serve(
    packages: Sequence[str],
    verbs: Mapping[str, Callable[[Fields], object]],
    *,
    name_of: Callable[[Exception], str] = class_name,
) -> None:
    """Answer one step after another until the input ends; ``name_of`` tells apart what one class stands for."""
    hello(packages)
    for line in sys.stdin:
        step = json.loads(line)
        try:
            say({"ok": verbs[step["do"]](step)})
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what has happened
            say({"error": name_of(error), "text": str(error)})


def hello(packages: Sequence[str]) -> None:
    """Say which packages are driven, in which versions."""
    say({"packages": {name: version(name) for name in packages}})


def say(answer: Fields) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
