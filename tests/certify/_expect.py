"""Compares what happened with what a case expects."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ._model import Fields

__all__ = ["CaseError", "body_of", "check_fields", "shown"]

ANY: Final = "*"
"""Expected of a field that has to have a value, whichever."""
SHOWN: Final = 200


class CaseError(Exception):
    """A case has failed; the text says what has happened instead."""


def check_fields(expected: Mapping[str, object], happened: Fields, *, hidden: Collection[str]) -> None:
    """Compare the fields that are expected; one that the SDK hides has to be missing.

    Raises:
        CaseError: They differ.
    """
    for name, value in expected.items():
        found = happened.get(name)
        if name in hidden:
            if found not in (None, ""):
                raise CaseError(f"{name} is {shown(found)}, and the leg says that this SDK hides it")
        elif not _is_same(value, found):
            raise CaseError(f"{name} is {shown(found)}, not {shown(value)}")


def _is_same(expected: object, found: object) -> bool:
    """Compare two values; times by what they mean."""
    if expected == ANY:
        return found is not None
    if isinstance(expected, datetime):
        return isinstance(found, str) and datetime.fromisoformat(found.replace(" ", "T")) == expected
    return expected == found


def body_of(fields: Mapping[str, object]) -> str:
    """Return a body in base64, which a case gives as ``text``, ``base64`` or ``size``; by default it is ``x``."""
    if "base64" in fields:
        return str(fields["base64"])
    text = "x" * int(str(fields["size"])) if "size" in fields else str(fields.get("text", "x"))
    return base64.b64encode(text.encode()).decode()


def shown(value: object) -> str:
    """Return a value as an error shows it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"
