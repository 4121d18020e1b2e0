"""Gives each test its legs."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, TypeVar

import pytest

from c2dkit.testing.contract._legs import Leg
from c2dkit.testing.contract._mark import requirements_of
from c2dkit.testing.contract._requirements import REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _pytest.mark import ParameterSet

    from c2dkit.testing.contract._hub_view import HubFactory
    from c2dkit.testing.contract._manifest import Reason

__all__ = ["applicable", "common_hub", "pytest_generate_tests"]

LegT = TypeVar("LegT", bound=Leg)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test over the legs in ``DEVICE_LEGS`` and ``SERVICE_LEGS`` of its module, as far as it asks for them.

    A leg is left out where a requirement of the test excludes it, and where this machine cannot run it; the summary
    tells of both.
    """
    wanted = [side for side in ("device", "service") if f"{side}_leg" in metafunc.fixturenames]
    if not wanted:
        return
    names = requirements_of(metafunc.function)
    module: object = getattr(metafunc, "module")  # noqa: B009 - its type is half known to pytest itself
    legs = [_legs(module, side) for side in wanted]
    metafunc.parametrize(
        [f"{side}_leg" for side in wanted],
        [
            pytest.param(*combination, id="-".join(leg.name for leg in combination), marks=_marks(combination))
            for combination in product(*(applicable(each, names) for each in legs))
            if common_hub(combination) is not None
        ]
        or [_left_out(legs, names)],
        indirect=True,
    )


def _marks(legs: Iterable[Leg]) -> list[pytest.MarkDecorator]:
    return [pytest.mark.filterwarnings(text) for leg in legs for text in leg.warnings]


def _left_out(legs: Sequence[Iterable[Leg]], names: Iterable[str]) -> ParameterSet:
    """Return the one parameter of a test that runs over no leg: skipped, and saying why."""
    reasons = {leg.missing() for each in legs for leg in each} - {None}
    reasons |= {reason.value for reason in _exclusions(names) for each in legs for leg in each if reason in leg.lacks}
    return pytest.param(*legs, id="none", marks=pytest.mark.skip(reason="; ".join(sorted(map(str, reasons)))))


def applicable(legs: Iterable[LegT], names: Iterable[str]) -> list[LegT]:
    """Return the legs that a test of these requirements runs over."""
    excluded = _exclusions(names)
    return [leg for leg in legs if leg.missing() is None and excluded.isdisjoint(leg.lacks)]


def _exclusions(names: Iterable[str]) -> set[Reason]:
    return {reason for name in names for reason in REQUIREMENTS[name].excluded}


def common_hub(legs: Sequence[Leg]) -> HubFactory | None:
    """Return the first kind of hub that all these legs can run against, or None."""
    return next((hub for hub in legs[0].hubs if all(hub in leg.hubs for leg in legs)), None)


def _legs(module: object, side: str) -> Iterable[Leg]:
    legs: Iterable[Leg] = getattr(module, f"{side.upper()}_LEGS")
    return legs
