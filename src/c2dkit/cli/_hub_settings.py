"""``--set NAME=VALUE``: the options of a hub on the command line, by the names that ``HubOptions`` has."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import typer
from pydantic import TypeAdapter, ValidationError

from c2dkit.hub import HubOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["options_of"]

OWN_OPTION: Final = "feedback_interval"
"""Has an option of its own, ``--feedback-interval``."""

NAMES: Final = [field.name for field in fields(HubOptions) if field.name != OWN_OPTION]


def options_of(settings: Iterable[str], *, feedback_interval: float) -> HubOptions:
    """Read settings: numbers, true and false, and times in seconds or as ISO 8601 has them (``PT1H``).

    Args:
        settings: Each ``NAME=VALUE``.
        feedback_interval: In seconds; any number, as the command line may have it.

    Raises:
        BadParameter: One cannot be read, is out of its range, is none, or is there twice.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in NAMES or name in values:
            raise typer.BadParameter(f"{setting!r}: write NAME=VALUE, each once; there are {', '.join(NAMES)}")
        values[name] = _number(value)
    try:
        return TypeAdapter(HubOptions).validate_python({OWN_OPTION: feedback_interval, **values})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = "".join(f"{name}: " for name in first["loc"])
        raise typer.BadParameter(f"{where}{first['msg'].removeprefix('Value error, ')}") from None


def _number(text: str) -> object:
    """Return a number as one, so that a time may be given in seconds; everything else as it is."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
