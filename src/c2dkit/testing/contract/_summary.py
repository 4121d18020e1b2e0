"""Prints how many requirements each leg has proved, and why it was not asked for others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypedDict

import pytest

from c2dkit.testing.contract._legs import DeviceLeg, Leg
from c2dkit.testing.contract._manifest import Reason
from c2dkit.testing.contract._mark import requirements_of
from c2dkit.testing.contract._requirements import DEVICE, SERVICE, STORY

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from c2dkit.testing.contract._manifest import Requirement

__all__ = ["pytest_configure", "pytest_runtest_makereport"]

REQUIREMENTS_OF: Final = {"device": {**DEVICE, **STORY}, "service": {**SERVICE, **STORY}}


class Said(TypedDict):
    """What the report of a test says of one leg of its module.

    In plain values: under pytest-xdist the report is made in one process and read in another.
    """

    side: str
    name: str
    missing: str | None
    lacks: list[str]
    tried: list[str]
    failed: list[str]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a test of the suite what it says of the legs."""
    report = yield
    if isinstance(item, pytest.Function) and (names := requirements_of(item.obj)):
        under_test = [leg for leg in item.callspec.params.values() if isinstance(leg, Leg)]
        legs: list[Leg] = [leg for side in ("DEVICE_LEGS", "SERVICE_LEGS") for leg in getattr(item.module, side, ())]
        report.__dict__["contract"] = [_said(leg, names if leg in under_test else (), call) for leg in legs]
    return report


def _said(leg: Leg, names: Sequence[str], call: pytest.CallInfo[None]) -> Said:
    return {
        "side": "device" if isinstance(leg, DeviceLeg) else "service",
        "name": leg.name,
        "missing": leg.missing(),
        "lacks": [reason.value for reason in leg.lacks],
        "tried": list(names) if call.when == "call" else [],
        "failed": list(names) if call.excinfo is not None else [],
    }


def pytest_configure(config: pytest.Config) -> None:
    """Have the summary read the reports."""
    config.pluginmanager.register(Summary())


@dataclass
class Results:
    """What has been seen of the tests of one leg."""

    side: str
    name: str
    missing: str | None
    lacks: frozenset[Reason]
    tried: set[str] = field(default_factory=set[str])
    failed: set[str] = field(default_factory=set[str])


class Summary:
    """What has been seen of every leg that a test module has, those that cannot run here too."""

    def __init__(self) -> None:
        self._legs: dict[tuple[str, str], Results] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Read a report."""
        contract: list[Said] = report.__dict__.get("contract", [])
        for said in contract:
            new = Results(said["side"], said["name"], said["missing"], frozenset(map(Reason, said["lacks"])))
            results = self._legs.setdefault((new.side, new.name), new)
            results.tried.update(said["tried"])
            results.failed.update(said["failed"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each leg."""
        if self._legs:
            terminalreporter.section("contract: the requirements that each leg has proved")
            for line in _lines(sorted(self._legs.values(), key=lambda leg: leg.side)):
                terminalreporter.write_line(line)


def _lines(legs: Sequence[Results]) -> Iterator[str]:
    for leg in legs:
        yield f"{leg.side:7} {leg.name:16} {_told(leg, REQUIREMENTS_OF[leg.side])}"
    yield from _left_out(legs)


def _told(leg: Results, requirements: Mapping[str, Requirement]) -> str:
    if leg.missing is not None:
        return f"not run: {leg.missing}"
    asked = [name for name, requirement in requirements.items() if requirement.excluded.isdisjoint(leg.lacks)]
    text = f"{len(leg.tried - leg.failed)} of {len(asked)}"
    if leg.failed:
        text += f", failed: {', '.join(sorted(leg.failed))}"
    if excluded := len(requirements) - len(asked):
        text += f"; {excluded} do not apply"
    return text


def _left_out(legs: Sequence[Results]) -> Iterator[str]:
    """Say for each reason how many requirements it excludes, and which legs it is true of."""
    counts = Counter(reason for requirement in [*DEVICE.values(), *SERVICE.values()] for reason in requirement.excluded)
    for reason, count in counts.items():
        names = sorted({leg.name for leg in legs if reason in leg.lacks and leg.missing is None})
        if names:
            yield f"{count:3} do not apply to {', '.join(names)}: {reason.value}"
