"""Runs the cases on the legs: a hub and a driver for each leg, and the reference clients for the other side."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import anyio

from ._expect import CaseError
from ._hub_side import HubSide, make_hub
from ._peers import Driver, ask, running
from ._story import Story
from .drivers.c2dkit_device import ReferenceDevice
from .drivers.c2dkit_service import ReferenceService

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from c2dkit.hub import LocalHub

    from ._model import Case, Leg, Role
    from ._peers import Peer
    from .drivers._reference import Reference

__all__ = ["LegReport", "Result", "run", "run_leg"]

AT_ONCE: Final = 4
"""How many legs run side by side."""
STEP_SECONDS: Final = 15
CLOCK_FIRST: Final = "renewal"
"""What a case needs that has to come before the hub's clock leaves the real time, which the SDKs' tokens are of."""

Status: TypeAlias = Literal["pass", "refused", "not applicable", "fail"]


class Result(NamedTuple):
    """What came of a case on a leg, and why: the SDK's refusal, the reason, or what has happened instead."""

    status: Status
    reason: str = ""


@dataclass
class LegReport:
    """What came of a leg: the versions that were driven, and a result for each case by its id."""

    leg: Leg
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    results: dict[str, Result] = field(default_factory=dict[str, Result])


async def run(legs: Sequence[Leg], cases: Sequence[Case]) -> Sequence[LegReport]:
    """Run every case on every leg of a role that it certifies, some legs at a time."""
    reports = [LegReport(leg) for leg in legs]
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def run_one(number: int, report: LegReport) -> None:
        async with limit:
            await run_leg(report, cases, address=None if report.leg.about.reference else own_address(number))

    async with anyio.create_task_group() as tasks:
        for number, report in enumerate(reports, 1):
            tasks.start_soon(run_one, number, report)
    return reports


def own_address(number: int) -> str:
    """Return a loopback address that no other process's hub listens on, for the ports are those that SDKs dial."""
    process = os.getpid()
    return f"127.{32 + number}.{process >> 8 & 0xFF}.{process & 0xFF}"


async def run_leg(
    report: LegReport, cases: Sequence[Case], *, address: str | None, step_seconds: float = STEP_SECONDS
) -> None:
    """Run the cases that certify the leg's role, one after another, and put what came of them into ``report``."""
    leg = report.leg
    mine = sorted(
        (case for case in cases if leg.role in case.certifies), key=lambda case: CLOCK_FIRST not in case.needs
    )
    async with make_hub(address) as hub:
        driven = Driven(leg, hub, step_seconds)
        try:
            for case in mine:
                report.results[case.id] = await run_case(case, driven)
        finally:
            await driven.stop()
        report.versions = driven.versions


class Driven:
    """A leg's driver, which is started anew after a failure; a step may take ``step_seconds``."""

    def __init__(self, leg: Leg, hub: LocalHub, step_seconds: float) -> None:
        self.leg = leg
        self.hub = hub
        self.step_seconds = step_seconds
        self.versions: Mapping[str, str] = {}
        self._stack = AsyncExitStack()
        self._driver: Driver | None = None

    async def driver(self) -> Driver:
        """Return the driver, running."""
        if self._driver is None:
            self._driver = await self._stack.enter_async_context(running(self.leg, self.hub.ca_file))
            self.versions = self._driver.versions
        return self._driver

    async def stop(self) -> None:
        """End the driver."""
        self._driver = None
        await self._stack.aclose()


async def run_case(case: Case, driven: Driven) -> Result:
    """Run one case on one leg."""
    leg = driven.leg
    for need in case.needs:
        if need in leg.about.lacks:
            return Result("not applicable", leg.about.lacks[need])
    side = HubSide(driven.hub, seconds=driven.step_seconds)
    try:
        driver = await driven.driver()
        async with references(leg, driven.hub) as peers:
            refusal = await Story(case, leg, side, {**peers, leg.role: driver}, driven.step_seconds).tell()
            await ask(driver, {"do": "reset"}, seconds=driven.step_seconds)
    except CaseError as error:
        await driven.stop()
        return Result("fail", str(error))
    finally:
        side.clear()
    return Result("pass") if refusal is None else Result("refused", refusal)


@asynccontextmanager
async def references(leg: Leg, hub: LocalHub) -> AsyncGenerator[Mapping[Role, Peer]]:
    """The reference clients, in this process, for the roles that the leg has not."""
    made: dict[Role, Reference] = {
        "device": ReferenceDevice("AMQP", hub.ca_file),
        "service": ReferenceService("AMQP", hub.ca_file),
    }
    made.pop(leg.role, None)
    try:
        yield made
    finally:
        for reference in made.values():
            await reference.answer({"do": "reset"})
