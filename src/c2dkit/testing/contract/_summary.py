"""Prints how many requirements each leg has proved, and why it was not asked for others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from c2dkit.testing.contract._legs import DeviceLeg, Leg
from c2dkit.testing.contract._mark import requirements_of
from c2dkit.testing.contract._requirements import DEVICE, SERVICE, STORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from c2dkit.testing.contract._manifest import Requirement

__all__ = ["pytest_runtest_makereport", "pytest_terminal_summary"]


class Results:
    """What has been seen of the tests.

    Attributes:
        legs: Every leg that a test module has, those that cannot run here too.
        tried: The requirements of which a test has run, by leg.
        failed: Those of which a test has failed.
    """

    def __init__(self) -> None:
        self.legs: dict[Leg, None] = {}
        self.tried: dict[Leg, set[str]] = {}
        self.failed: dict[Leg, set[str]] = {}


RESULTS: Final = pytest.StashKey[Results]()


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note the outcome of a test of the suite."""
    if not isinstance(item, pytest.Function) or not (names := requirements_of(item.obj)):
        return
    results = item.config.stash.setdefault(RESULTS, Results())
    for side in ("DEVICE_LEGS", "SERVICE_LEGS"):
        results.legs |= dict.fromkeys(getattr(item.module, side, ()))
    for leg in item.callspec.params.values():
        if isinstance(leg, Leg):
            if call.when == "call":
                results.tried.setdefault(leg, set()).update(names)
            if call.excinfo is not None:
                results.failed.setdefault(leg, set()).update(names)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each leg."""
    results = terminalreporter.config.stash.get(RESULTS, None)
    if results is None:
        return
    terminalreporter.section("contract: the requirements that each leg has proved")
    for line in _lines(results):
        terminalreporter.write_line(line)
    del terminalreporter.config.stash[RESULTS]


def _lines(results: Results) -> Iterator[str]:
    for leg in results.legs:
        side, requirements = ("device", DEVICE) if isinstance(leg, DeviceLeg) else ("service", SERVICE)
        yield f"{side:7} {leg.name:16} {_told(leg, {**requirements, **STORY}, results)}"
    yield from _left_out(results.legs)


def _told(leg: Leg, requirements: Mapping[str, Requirement], results: Results) -> str:
    why = leg.missing()
    if why is not None:
        return f"not run: {why}"
    asked = [name for name, requirement in requirements.items() if requirement.excluded.isdisjoint(leg.lacks)]
    failed = results.failed.get(leg, set())
    proved = results.tried.get(leg, set()) - failed
    text = f"{len(proved)} of {len(asked)}"
    if failed:
        text += f", failed: {', '.join(sorted(failed))}"
    if excluded := len(requirements) - len(asked):
        text += f"; {excluded} do not apply"
    return text


def _left_out(legs: Iterable[Leg]) -> Iterator[str]:
    """Say for each reason how many requirements it excludes, and which legs it is true of."""
    counts = Counter(reason for requirement in [*DEVICE.values(), *SERVICE.values()] for reason in requirement.excluded)
    for reason, count in counts.items():
        names = sorted({leg.name for leg in legs if reason in leg.lacks and leg.missing() is None})
        if names:
            yield f"{count:3} do not apply to {', '.join(names)}: {reason.value}"
