"""Reads the cases and the SDKs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from ._model import Case, CaseFile, Leg, Sdk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["load_areas", "load_cases", "load_legs"]

HERE: Final = Path(__file__).parent


def load_areas() -> Sequence[CaseFile]:
    """Return the files of cases, in the order of their names."""
    return [CaseFile.model_validate_json(path.read_bytes()) for path in sorted((HERE / "cases").glob("*.json"))]


def load_cases() -> Sequence[Case]:
    """Return every case.

    Raises:
        ValueError: Two have one id.
    """
    cases = [case for area in load_areas() for case in area.cases]
    if len({case.id for case in cases}) != len(cases):
        raise ValueError("two cases have one id")
    return cases


def load_legs() -> Sequence[Leg]:
    """Return every leg, in the order of the file."""
    sdks = TypeAdapter(list[Sdk]).validate_json((HERE / "sdks.json").read_bytes())
    return [Leg(sdk, transport) for sdk in sdks for transport in sdk.transports]
